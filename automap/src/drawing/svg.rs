//! A drawing as SVG, laid out by the `layout-rs` crate, which escapes the text it is given.

use layout::{
    backends::svg::SVGWriter,
    core::{
        base::Orientation,
        color::Color,
        geometry::Point,
        style::{LineStyleKind, StyleAttr},
    },
    std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind},
    topo::layout::VisualGraph,
};

use super::{
    dot::{label, metrics},
    picture::{Edge, Node, Picture},
};

/// One size for all text: the library writes the styles of several in an order that changes from run to run.
const FONT_SIZE: usize = 13;
const LINE: u32 = 0x5a_5a_5a_ff;
const WALKED: u32 = 0xc0_39_2b_ff;
const WHITE: u32 = 0xff_ff_ff_ff;
const CULPRIT: u32 = 0xf4_b6_a6_ff;
const FRONT_END: u32 = 0xcf_e2_f3_ff;

/// The SVG document of `picture`.
pub fn render(picture: &Picture) -> String {
    let mut graph = VisualGraph::new(Orientation::LeftToRight);
    let handles: Vec<_> = picture.nodes.iter().map(|node| graph.add_node(element(node))).collect();
    // The layout turns round whichever edge closes a cycle: walked edges come first, so that paths lead to the right.
    for edge in &picture.edges {
        graph.add_edge(arrow(edge), handles[edge.from], handles[edge.to]);
    }
    if let Some(note) = picture.note() {
        let look = StyleAttr::new(Color::new(WHITE), 0, Some(Color::new(WHITE)), 0, FONT_SIZE);
        let size = Point::new(note.chars().count() as f64 * 9.0, 36.0);
        graph.add_node(Element::create(ShapeKind::Box(note), look, Orientation::LeftToRight, size));
    }
    let mut writer = SVGWriter::new();
    if !picture.nodes.is_empty() {
        graph.do_it(false, false, false, &mut writer);
    }
    writer.finalize()
}

fn element(node: &Node) -> Element {
    let text = label(node);
    let fill = match (node.rank, node.front_end) {
        (Some(1), _) => CULPRIT,
        (_, true) => FRONT_END,
        _ => WHITE,
    };
    let width = if node.rank == Some(1) { 2 } else { 1 };
    let look = StyleAttr::new(Color::new(LINE), width, Some(Color::new(fill)), 4, FONT_SIZE);
    let size = Point::new(label(node).chars().count() as f64 * 9.0 + 24.0, 36.0);
    Element::create(ShapeKind::Box(text), look, Orientation::LeftToRight, size)
}

fn arrow(edge: &Edge) -> Arrow {
    let (color, width) = if edge.walked { (WALKED, 3) } else { (LINE, 1) };
    let look = StyleAttr::new(Color::new(color), width, None, 0, FONT_SIZE);
    let end = if edge.directed { LineEndKind::Arrow } else { LineEndKind::None };
    let line = if edge.metrics.is_empty() { LineStyleKind::Dashed } else { LineStyleKind::Normal };
    Arrow::new(LineEndKind::None, end, line, &metrics(edge), &look, &None, &None)
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;

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
        let text = render(&picture());
        assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("1. &lt;script&gt;") && !text.contains("<script>"));
        assert!(text.contains("web") && text.contains("db"));
    }

    #[test]
    fn the_same_picture_gives_the_same_bytes() {
        assert_eq!(render(&picture()), render(&picture()));
        assert!(
            render(&Picture { nodes: vec![], edges: vec![], services_left_out: 0, edges_left_out: 0 })
                .contains("</svg>")
        );
    }
}
