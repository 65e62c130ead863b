//! Charts of an evaluation as SVG, drawn by plotters.
//!
//! The drawings carry the colours of [`palette`] as plain attributes. A page that shows them may replace each colour by
//! its own, which is how they follow light and dark.

mod bars;
mod curves;
mod intervals;
pub mod palette;
mod reliability;

pub use bars::{BarRow, bars};
pub use curves::{Curve, curves};
pub use intervals::{IntervalRow, intervals};
pub use reliability::reliability;

use anyhow::anyhow;
use plotters::{
    coord::Shift,
    drawing::DrawingArea,
    prelude::{IntoDrawingArea as _, SVGBackend},
};

/// A surface of `width` × `height` pixels on which `draw` draws; the answer is the SVG element.
fn drawn(
    width: u32,
    height: u32,
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    {
        let surface = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(&surface)?;
        surface.present().map_err(failed)?;
    }
    Ok(text)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a chart cannot be drawn: {error}")
}
