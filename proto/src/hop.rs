//! Who calls whom along a path.

use serde::{Deserialize, Serialize};

use crate::{invalid::Invalid, v1};

/// Who calls whom between two neighbours of a path, of which the first is nearer to the front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// Nothing tells that one calls the other, as in a graph that is none of calls.
    #[default]
    Unknown,
    /// The first calls the second.
    Calls,
    /// The second calls the first: the walk went against the call.
    CalledBy,
    /// Each calls the other.
    Both,
}

impl Hop {
    /// From what is known: whether the first `calls` the second, and whether it is `called` by it.
    pub const fn new(calls: bool, called: bool) -> Self {
        match (calls, called) {
            (true, true) => Self::Both,
            (true, false) => Self::Calls,
            (false, true) => Self::CalledBy,
            (false, false) => Self::Unknown,
        }
    }

    /// The wire value. Those of later versions are not known here.
    pub fn from_wire(value: i32) -> Self {
        match v1::Hop::try_from(value) {
            Ok(v1::Hop::Calls) => Self::Calls,
            Ok(v1::Hop::CalledBy) => Self::CalledBy,
            Ok(v1::Hop::Both) => Self::Both,
            Ok(v1::Hop::Unspecified) | Err(_) => Self::Unknown,
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::Hop {
        match self {
            Self::Unknown => v1::Hop::Unspecified,
            Self::Calls => v1::Hop::Calls,
            Self::CalledBy => v1::Hop::CalledBy,
            Self::Both => v1::Hop::Both,
        }
    }

    /// The hops of a path over so many `services`; all unknown where the message tells none.
    ///
    /// # Errors
    /// The message tells of more or fewer steps than the path has.
    pub(crate) fn of_path(field: &str, services: usize, wire: &[i32]) -> Result<Vec<Self>, Invalid> {
        let steps = services.saturating_sub(1);
        if wire.is_empty() {
            return Ok(vec![Self::Unknown; steps]);
        }
        if wire.len() != steps {
            let problem =
                format!("must tell of {steps} steps of the path, or of none; it tells of {}", wire.len());
            return Err(Invalid::new(field, problem));
        }
        Ok(wire.iter().copied().map(Self::from_wire).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_tells_both_directions_and_survives_the_wire() {
        let all = [(false, false), (true, false), (false, true), (true, true)];
        let hops = all.map(|(calls, called)| Hop::new(calls, called));
        assert_eq!(hops, [Hop::Unknown, Hop::Calls, Hop::CalledBy, Hop::Both]);
        assert_eq!(hops.map(|hop| Hop::from_wire(hop.to_wire().into())), hops);
        assert_eq!(Hop::from_wire(99), Hop::Unknown, "of a later version");
    }

    #[test]
    fn a_path_has_a_hop_for_each_step_or_they_are_unknown() {
        let of_path = |services, wire: &[i32]| Hop::of_path("hops", services, wire);
        assert_eq!(of_path(3, &[1, 2]), Ok(vec![Hop::Calls, Hop::CalledBy]));
        assert_eq!(of_path(3, &[]), Ok(vec![Hop::Unknown; 2]));
        assert_eq!(of_path(0, &[]), Ok(vec![]));
        for (services, wire) in [(3, &[1][..]), (1, &[1]), (0, &[1])] {
            assert_eq!(of_path(services, wire).unwrap_err().field(), "hops");
        }
    }
}
