//! Edges that an expert names, as a parameter holds them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use automap_proto::frame::check_name;
use serde::{Deserialize, Serialize};

/// Edges from a caller to a callee, written `web->cart, cart->db`. Names with a comma or an arrow cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EdgeList(Vec<(String, String)>);

impl EdgeList {
    /// (caller, callee), as they were given, each once.
    pub fn edges(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Most edges of one list.
const MAX_EDGES: usize = 10_000;

/// A text that is no list of edges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdgeList {
    /// One of its parts.
    #[error("{0:?} is no edge; write caller->callee, several separated by commas")]
    NoEdge(String),
    /// It has more edges than are read.
    #[error("names more than {MAX_EDGES} edges; a call graph of an incident may name more")]
    TooMany,
}

impl FromStr for EdgeList {
    type Err = BadEdgeList;

    fn from_str(text: &str) -> Result<Self, BadEdgeList> {
        let (mut edges, mut known) = (Vec::new(), BTreeSet::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let edge = part.split_once("->").map(|(caller, callee)| (caller.trim(), callee.trim()));
            let good = |name: &str| check_name("edge", name).is_ok() && !name.contains("->");
            match edge {
                Some((caller, callee)) if caller != callee && good(caller) && good(callee) => {
                    if known.insert((caller, callee)) {
                        edges.push((caller.to_owned(), callee.to_owned()));
                    }
                }
                _ => return Err(BadEdgeList::NoEdge(part.to_owned())),
            }
            if edges.len() > MAX_EDGES {
                return Err(BadEdgeList::TooMany);
            }
        }
        Ok(Self(edges))
    }
}

impl TryFrom<String> for EdgeList {
    type Error = BadEdgeList;

    fn try_from(text: String) -> Result<Self, BadEdgeList> {
        text.parse()
    }
}

impl fmt::Display for EdgeList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edges: Vec<String> =
            self.0.iter().map(|(caller, callee)| format!("{caller}->{callee}")).collect();
        formatter.write_str(&edges.join(", "))
    }
}

impl From<EdgeList> for String {
    fn from(list: EdgeList) -> Self {
        list.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_written_as_they_are_read() {
        let list: EdgeList = " web->cart ,cart -> db,, web->cart".parse().unwrap();
        assert_eq!(list.to_string(), "web->cart, cart->db");
        assert_eq!(list.to_string().parse(), Ok(list));
        assert!("".parse::<EdgeList>().unwrap().edges().is_empty());
        for wrong in ["web", "web->", "->db", "web->web", "a->b->c"] {
            assert_eq!(wrong.parse::<EdgeList>(), Err(BadEdgeList::NoEdge(wrong.into())));
        }
        let many: Vec<String> = (0..=MAX_EDGES).map(|callee| format!("web->{callee}")).collect();
        assert_eq!(many.join(",").parse::<EdgeList>(), Err(BadEdgeList::TooMany));
        assert_eq!(many[1..].join(",").parse::<EdgeList>().unwrap().edges().len(), MAX_EDGES);
    }
}
