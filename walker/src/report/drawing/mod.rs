//! Drawings of behaviour graphs: which part is drawn, as Graphviz text and as SVG.

pub mod dot;
pub mod picture;
pub mod svg;
