//! A drawing as Graphviz text.

use std::fmt::Write as _;

use super::{
    edge_text::{metrics, tests},
    picture::{Edge, Node, Picture},
};

/// The text of `picture` in the DOT language.
pub fn render(picture: &Picture) -> String {
    let mut text = String::from(
        "digraph automap {\n  rankdir=TB;\n  node [shape=box, style=filled, fillcolor=white];\n",
    );
    for (index, node) in picture.nodes.iter().enumerate() {
        writeln!(text, "  n{index} [label={}{}];", quoted(&label(node)), style(node)).ok();
    }
    for edge in &picture.edges {
        writeln!(text, "  n{} -> n{} [label={}{}];", edge.from, edge.to, quoted(&metrics(edge)), line(edge))
            .ok();
    }
    if let Some(note) = picture.note() {
        writeln!(text, "  label={};", quoted(&note)).ok();
    }
    text.push_str("}\n");
    text
}

/// Rank, name and class of a node.
pub(super) fn label(node: &Node) -> String {
    let rank = node.rank.map_or_else(String::new, |rank| format!("{rank}. "));
    let class = node.class.map_or_else(String::new, |class| format!(" ({})", class.letter()));
    format!("{rank}{}{class}", node.name)
}

fn style(node: &Node) -> &'static str {
    match (node.rank, node.front_end) {
        (Some(1), _) => ", fillcolor=\"#f4b6a6\", penwidth=2",
        (_, true) => ", fillcolor=\"#cfe2f3\"",
        _ => "",
    }
}

fn line(edge: &Edge) -> String {
    let mut attributes = String::new();
    if !edge.directed {
        attributes.push_str(", dir=none");
    }
    if edge.walked {
        attributes.push_str(", color=\"#c0392b\", penwidth=2");
    }
    if edge.metrics.is_empty() {
        attributes.push_str(", style=dashed");
    }
    if !edge.tests.is_empty() {
        attributes.push_str(&format!(", tooltip={}", quoted(&tests(edge).join("; "))));
    }
    attributes
}

/// A DOT string: only quotes and backslashes need an escape.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use automap_proto::{edge_test::EdgeTest, metric::MetricKind};

    use super::*;

    #[test]
    fn hostile_names_stay_inside_their_quotes() {
        let node = Node { name: "a\"]; x \\".into(), rank: Some(1), class: None, front_end: false };
        let text =
            render(&Picture { nodes: vec![node], edges: vec![], services_left_out: 2, edges_left_out: 0 });
        assert!(text.contains(r#"n0 [label="1. a\"]; x \\", fillcolor"#), "{text}");
        assert!(text.contains("2 services and 0 edges left out"));
    }

    #[test]
    fn undirected_walked_edges_say_so() {
        let edge = |confidence| Edge {
            from: 0,
            to: 1,
            directed: false,
            metrics: vec![MetricKind::Cpu],
            walked: true,
            confidence,
            tests: vec![],
        };
        let drawn = |edge| {
            render(&Picture { nodes: vec![], edges: vec![edge], services_left_out: 0, edges_left_out: 0 })
        };
        let text = drawn(edge(None));
        assert!(text.contains("n0 -> n1 [label=\"cpu\", dir=none, color="), "{text}");
        let text = drawn(edge(Some(0.874)));
        assert!(text.contains("[label=\"cpu 87 %\"") && !text.contains("tooltip"), "{text}");
        let test =
            EdgeTest { metric: MetricKind::Cpu, p_value: 0.01, samples: 60, largest_p_value: Some(0.02) };
        let text = drawn(Edge { tests: vec![test], ..edge(None) });
        assert!(
            text.contains("tooltip=\"cpu: p 0.010, at most 0.020 given none or one neighbour, 60 rows\"];"),
            "{text}"
        );
    }
}
