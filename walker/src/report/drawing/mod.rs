//! Drawings of behaviour graphs: which part is drawn, as Graphviz text and as SVG.

pub mod dot;
pub mod edge_text;
pub mod picture;
pub mod svg;
