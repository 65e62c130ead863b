//! Pairs of services on the wire.

use automap_proto::v1;

use crate::sharding::skeleton_code;

/// Bytes of a pair in a list of pairs, about.
pub(super) const BYTES_PER_PAIR: usize = 8;
/// Largest skeleton, or skeletons, of one message: it has at most 4 MiB.
pub(super) const MOST_SKELETON_BYTES: usize = 3 << 20;

/// Encodes pairs, which ascend, in the smaller of the two ways.
pub(super) fn to_wire(pairs: &[(u32, u32)], services: usize) -> v1::ConnectedPairs {
    if pairs.len() * BYTES_PER_PAIR < skeleton_code::bytes_for(services) {
        let pairs = pairs.iter().map(|&(first, second)| v1::ServicePair { first, second }).collect();
        v1::ConnectedPairs { bits: Vec::new(), pairs }
    } else {
        v1::ConnectedPairs { bits: skeleton_code::bits_of(pairs, services), pairs: Vec::new() }
    }
}

/// The pairs, ascending; `None` when they are none of so many services.
pub(super) fn from_wire(connected: &v1::ConnectedPairs, services: usize) -> Option<Vec<(u32, u32)>> {
    if !connected.bits.is_empty() {
        let pairs = skeleton_code::from_bits(&connected.bits, services);
        return pairs.filter(|_| connected.pairs.is_empty());
    }
    let pairs: Vec<(u32, u32)> = connected.pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    let ascend = pairs.windows(2).all(|two| two[0] < two[1]);
    let are_pairs = pairs.iter().all(|&(first, second)| first < second && (second as usize) < services);
    (ascend && are_pairs).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pairs_and_many_come_back() {
        for services in [2_u32, 9, 40] {
            let all: Vec<(u32, u32)> = (0..services)
                .flat_map(|first| (first + 1..services).map(move |second| (first, second)))
                .collect();
            for pairs in [&all[..0], &all[..1], &all[all.len() / 2..], &all] {
                let wire = to_wire(pairs, services as usize);
                assert!(wire.bits.is_empty() || wire.pairs.is_empty());
                assert_eq!(from_wire(&wire, services as usize).as_deref(), Some(pairs));
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let list = |pairs: &[(u32, u32)]| v1::ConnectedPairs {
            pairs: pairs.iter().map(|&(first, second)| v1::ServicePair { first, second }).collect(),
            ..v1::ConnectedPairs::default()
        };
        for wrong in [list(&[(1, 0)]), list(&[(0, 3)]), list(&[(1, 2), (0, 1)]), list(&[(0, 1), (0, 1)])] {
            assert_eq!(from_wire(&wrong, 3), None);
        }
        let bits = v1::ConnectedPairs { bits: vec![1], ..list(&[]) };
        assert_eq!(from_wire(&bits, 3), Some(vec![(0, 1)]));
        assert_eq!(from_wire(&bits, 9), None);
        assert_eq!(from_wire(&v1::ConnectedPairs { pairs: list(&[(0, 1)]).pairs, ..bits }, 3), None);
    }
}
