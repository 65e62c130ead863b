//! Colours of the charts, each used for one purpose.

use plotters::style::RGBColor;

/// Text and what is measured.
pub const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
/// Text beside the matter.
pub const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6E);
/// Lines that guide the eye.
pub const GRID: RGBColor = RGBColor(0xD1, 0xD9, 0xE0);
/// What the page is about.
pub const ACCENT: RGBColor = RGBColor(0x0B, 0x62, 0xC4);
/// Further curves, in order.
pub const OTHERS: [RGBColor; 4] = [
    RGBColor(0xB3, 0x59, 0x00),
    RGBColor(0x2F, 0x7D, 0x32),
    RGBColor(0x8E, 0x44, 0xAD),
    RGBColor(0xA6, 0x1B, 0x3A),
];

/// As SVG writes it.
pub fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}
