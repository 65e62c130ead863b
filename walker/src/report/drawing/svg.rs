//! A drawing as SVG, laid out by the `layout-rs` crate and written by maud, which escapes the text it is given.
//!
//! Shapes carry classes and no colours: the style sheet of the page around them decides, in light and in dark. A document of its
//! own brings that sheet along. There is no style within elements, which strict pages forbid.

use layout::{
    core::{
        base::Orientation,
        color::Color,
        format::{ClipHandle, RenderBackend},
        geometry::Point,
        style::{LineStyleKind, StyleAttr},
    },
    std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind},
    topo::layout::VisualGraph,
};
use maud::{Markup, PreEscaped, html};

use super::{
    dot::label,
    edge_text::{metrics, tests},
    picture::{Edge, Node, Picture},
};

/// How the shapes look.
pub const STYLE: &str = include_str!("graph.css");

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"#;
/// Height of a box, and the width that one character of its label takes.
const HEIGHT: f64 = 36.0;
const CHARACTER: f64 = 8.0;
const PADDING: f64 = 24.0;
/// Sizes of the texts of boxes and edges, by which the canvas tells them apart.
const BOX_FONT: usize = 13;
const EDGE_FONT: usize = 12;
/// Room around the drawing.
const MARGIN: f64 = 6.0;

/// The SVG document of `picture`.
pub fn document(picture: &Picture) -> String {
    let canvas = drawn(picture);
    let style = html! { style { (PreEscaped(STYLE)) } };
    format!("{DECLARATION}{}\n", canvas.element(picture, &style).into_string())
}

/// The SVG element of `picture`, for a page with [`STYLE`].
pub fn element(picture: &Picture) -> Markup {
    drawn(picture).element(picture, &html! {})
}

fn drawn(picture: &Picture) -> Canvas {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let handles: Vec<_> = picture.nodes.iter().map(|node| graph.add_node(shape(node))).collect();
    // The layout turns round whichever edge closes a cycle: walked edges come first, so that paths lead down.
    for (index, edge) in picture.edges.iter().enumerate() {
        graph.add_edge(arrow(edge, index), handles[edge.from], handles[edge.to]);
    }
    if let Some(note) = picture.note() {
        graph.add_node(text_box(&note, "note"));
    }
    let mut canvas =
        Canvas { edge_texts: picture.edges.iter().map(described).collect(), ..Canvas::default() };
    if !picture.nodes.is_empty() {
        graph.do_it(false, false, false, &mut canvas);
    }
    canvas
}

fn shape(node: &Node) -> Element {
    let first = if node.rank == Some(1) { " first" } else { "" };
    let front_end = if node.front_end { " front-end" } else { "" };
    let class = node.class.map_or_else(String::new, |class| format!(" class-{}", class.letter()));
    text_box(&label(node), &format!("node{first}{front_end}{class}"))
}

fn text_box(text: &str, classes: &str) -> Element {
    let size = Point::new(text.chars().count() as f64 * CHARACTER + PADDING, HEIGHT);
    let kind = ShapeKind::Box(text.to_owned());
    Element::create_with_properties(kind, look(BOX_FONT), Orientation::TopToBottom, size, classes)
}

/// An arrow whose classes end in its number. Only walked ones have a text that the layout makes room for: with all of them a
/// drawing of sixteen services was 5,000 wide.
fn arrow(edge: &Edge, index: usize) -> Arrow {
    let classes = format!("{} {index}", if edge.walked { "edge walked" } else { "edge" });
    let text = if edge.walked { metrics(edge) } else { String::new() };
    let end = if edge.directed { LineEndKind::Arrow } else { LineEndKind::None };
    let line = if edge.metrics.is_empty() { LineStyleKind::Dashed } else { LineStyleKind::Normal };
    Arrow::with_properties(LineEndKind::None, end, line, &text, &look(EDGE_FONT), &classes, &None, &None)
}

/// What an edge shows to whoever points at it: its metric types, and a line for each of its tests.
fn described(edge: &Edge) -> String {
    [metrics(edge)].into_iter().chain(tests(edge)).collect::<Vec<_>>().join("\n")
}

/// The layout wants colours, which nothing here uses.
fn look(font_size: usize) -> StyleAttr {
    StyleAttr::new(Color::new(0xff), 1, None, 4, font_size)
}

/// What the layout draws on.
#[derive(Default)]
struct Canvas {
    width: f64,
    height: f64,
    /// What each edge of the picture tells.
    edge_texts: Vec<String>,
    edges: Vec<Markup>,
    nodes: Vec<Markup>,
}

impl Canvas {
    fn element(&self, picture: &Picture, style: &Markup) -> Markup {
        let (width, height) = (tenths(self.width + MARGIN), tenths(self.height + MARGIN));
        let title = title(picture);
        html! {
            svg.graph xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height)
                role="img" aria-label=(title) {
                (style)
                defs {
                    @for id in ["arrow", "arrow-walked"] {
                        marker id=(id) class=(id) markerWidth="10" markerHeight="7" refX="10" refY="3.5" orient="auto"
                            markerUnits="userSpaceOnUse" {
                            polygon points="0 0, 10 3.5, 0 7" {}
                        }
                    }
                }
                @for part in self.edges.iter().chain(&self.nodes) { (part) }
            }
        }
    }

    fn grow(&mut self, point: Point) {
        self.width = self.width.max(point.x);
        self.height = self.height.max(point.y);
    }
}

/// What the drawing shows, in a sentence for whoever does not see it.
fn title(picture: &Picture) -> String {
    let walked = picture.edges.iter().filter(|edge| edge.walked).count();
    format!(
        "A graph of {} services and {} edges, of which {walked} are on the paths that were walked",
        picture.nodes.len(),
        picture.edges.len()
    )
}

/// A length as it is written: to a tenth, so that equal drawings have equal bytes.
fn tenths(length: f64) -> String {
    format!("{length:.1}")
}

impl RenderBackend for Canvas {
    fn draw_rect(
        &mut self,
        xy: Point,
        size: Point,
        _: &StyleAttr,
        properties: Option<String>,
        _: Option<ClipHandle>,
    ) {
        self.grow(Point::new(xy.x + size.x, xy.y + size.y));
        self.nodes.push(html! {
            rect class=[properties] x=(tenths(xy.x)) y=(tenths(xy.y)) width=(tenths(size.x)) height=(tenths(size.y)) rx="4" {}
        });
    }

    fn draw_text(&mut self, xy: Point, text: &str, look: &StyleAttr) {
        let class = (look.font_size == EDGE_FONT).then_some("label");
        self.nodes.push(html! {
            text class=[class] x=(tenths(xy.x)) y=(tenths(xy.y)) dominant-baseline="central" text-anchor="middle" { (text) }
        });
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        dashed: bool,
        head: (bool, bool),
        _: &StyleAttr,
        properties: Option<String>,
        _: &str,
    ) {
        let [first, second, rest @ ..] = path else { return };
        let Some((classes, number)) = properties.as_deref().and_then(|all| all.rsplit_once(' ')) else {
            return;
        };
        let text = number.parse().ok().and_then(|edge: usize| self.edge_texts.get(edge)).cloned();
        let text = text.unwrap_or_default();
        for (one, other) in path {
            self.grow(*one);
            self.grow(*other);
        }
        let pair = |point: Point| format!("{} {}", tenths(point.x), tenths(point.y));
        let mut line =
            format!("M {} C {}, {}, {}", pair(first.0), pair(first.1), pair(second.0), pair(second.1));
        for (control, end) in rest {
            line.push_str(&format!(" S {}, {}", pair(*control), pair(*end)));
        }
        let walked = classes.contains("walked");
        let marker = |there: bool| there.then_some(if walked { "url(#arrow-walked)" } else { "url(#arrow)" });
        self.edges.push(html! {
            path class=(classes) d=(line) stroke-dasharray=[dashed.then_some("5 5")] marker-start=[marker(head.0)]
                marker-end=[marker(head.1)] { @if !text.is_empty() { title { (text) } } }
        });
    }

    // Boxes and arrows are all that a picture has.
    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{edge_test::EdgeTest, metric::MetricKind};

    use super::*;

    fn picture() -> Picture {
        let node = |name: &str, rank| Node { name: name.into(), rank, class: None, front_end: false };
        let edge = |from, to| Edge {
            from,
            to,
            directed: true,
            metrics: vec![MetricKind::Cpu],
            walked: true,
            confidence: None,
            tests: vec![EdgeTest {
                metric: MetricKind::Cpu,
                p_value: 0.01,
                samples: 60,
                largest_p_value: None,
            }],
        };
        Picture {
            nodes: vec![node("web", None), node("<script>", Some(1)), node("db", None)],
            // A cycle, which a layered layout has to break.
            edges: vec![edge(0, 1), edge(1, 2), edge(2, 0)],
            services_left_out: 0,
            edges_left_out: 0,
        }
    }

    #[test]
    fn every_service_is_drawn_with_its_name_escaped() {
        let text = document(&picture());
        assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("1. &lt;script&gt;") && !text.contains("<script>"));
        assert!(text.contains("web") && text.contains("db"));
        assert_eq!(text.matches("class=\"edge walked\"").count(), 3);
        assert_eq!(text.matches("<title>cpu\ncpu: p 0.010, 60 rows</title>").count(), 3);
    }

    #[test]
    fn an_element_has_no_style_of_its_own_and_a_document_has_the_sheet() {
        let element = element(&picture()).into_string();
        assert!(!element.contains("style") && !element.contains("<?xml"), "{element}");
        assert!(document(&picture()).contains(STYLE));
    }

    #[test]
    fn the_same_picture_gives_the_same_bytes() {
        assert_eq!(document(&picture()), document(&picture()));
        let empty = Picture { nodes: vec![], edges: vec![], services_left_out: 0, edges_left_out: 0 };
        assert!(document(&empty).contains("</svg>"));
    }
}
