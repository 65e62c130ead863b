//! Directions: colliders, then Meek's rules.

use petgraph::graphmap::UnGraphMap;

use crate::{
    bit_matrix::{BitMatrix, ones},
    graph::Bits,
    skeleton::Skeleton,
};

/// The combined skeleton with directions, as far as they can be told.
///
/// An edge that is not directed stands both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orientation {
    services: usize,
    /// (i, j) is set where the edge may run from i to j.
    ways: BitMatrix,
}

impl Orientation {
    /// Whether the edge runs, or may run, from one service to the other.
    pub fn runs(&self, from: usize, to: usize) -> bool {
        self.ways.contains(from, to)
    }

    /// Ordered pairs (from, to), sorted; an undirected edge is there in both directions.
    pub fn arrows(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.services)
            .flat_map(|from| ones(self.ways.row(from).iter().copied()).map(move |to| (from, to)))
    }
}

/// Orients the combined skeleton of all metric types (section 2, step 4).
///
/// First colliders: i – j – l with i and l not adjacent gives i → j ← l when in some metric type both edges survive
/// and j is not in S(i, l). All colliders are found on the undirected graph; an edge with arrowheads at both ends
/// stays undirected for good, as no rule could settle a contradiction in the data.
///
/// Then Meek's rules 1 to 3 (C. Meek, *Causal inference and causal explanation with background knowledge*, 1995) in
/// sweeps to the fixed point: a sweep judges each undirected edge on the graph as it stood when the sweep began, and
/// directs it where the rules demand one direction and not the other. So the answer does not depend on the order of
/// services.
///
/// `skeletons` are those of the tested metric types, each with its position in [`Bits`].
///
/// # Complexity
/// O(services · edges · services / 64) for the colliders and for each of at most `edges` sweeps.
pub fn orient(
    combined: &UnGraphMap<u32, Bits>,
    services: usize,
    skeletons: &[(usize, Skeleton)],
) -> Orientation {
    let mut adjacent = BitMatrix::new(services);
    for (first, second, _) in combined.all_edges() {
        adjacent.insert(first as usize, second as usize);
        adjacent.insert(second as usize, first as usize);
    }
    let heads = colliders(combined, &adjacent, services, skeletons);
    let mut ways = adjacent.clone();
    let mut open = Vec::new();
    for first in 0..services {
        for second in ones(adjacent.row(first).iter().copied()).filter(|&second| second > first) {
            match (heads.contains(first, second), heads.contains(second, first)) {
                (true, false) => ways.remove(second, first),
                (false, true) => ways.remove(first, second),
                (false, false) => open.push((first, second)),
                (true, true) => {}
            }
        }
    }
    apply_meek_rules(&mut ways, &adjacent, services, open);
    Orientation { services, ways }
}

/// (i, j) is set where some collider has an arrowhead i → j.
fn colliders(
    combined: &UnGraphMap<u32, Bits>,
    adjacent: &BitMatrix,
    services: usize,
    skeletons: &[(usize, Skeleton)],
) -> BitMatrix {
    let bits = |first: usize, second: usize| combined.edge_weight(first as u32, second as u32);
    let mut heads = BitMatrix::new(services);
    for first in 0..services {
        for middle in ones(adjacent.row(first).iter().copied()) {
            let Some(first_bits) = bits(first, middle) else {
                continue;
            };
            let strangers = adjacent.row(middle).iter().zip(adjacent.row(first));
            for last in ones(strangers.map(|(known, own)| known & !own)).filter(|&last| last > first) {
                let Some(last_bits) = bits(middle, last) else {
                    continue;
                };
                let collides = skeletons.iter().any(|(kind, skeleton)| {
                    first_bits[*kind]
                        && last_bits[*kind]
                        && skeleton
                            .separating_set(first, last)
                            .is_some_and(|set| set.binary_search(&(middle as u32)).is_err())
                });
                if collides {
                    heads.insert(first, middle);
                    heads.insert(last, middle);
                }
            }
        }
    }
    heads
}

fn apply_meek_rules(
    ways: &mut BitMatrix,
    adjacent: &BitMatrix,
    services: usize,
    mut open: Vec<(usize, usize)>,
) {
    loop {
        let arrows = Arrows::of(ways, services);
        let mut directed = Vec::new();
        open.retain(|&(first, second)| {
            let forward = arrows.demand(adjacent, first, second);
            let backward = arrows.demand(adjacent, second, first);
            if forward != backward {
                directed.push(if forward { (first, second) } else { (second, first) });
            }
            forward == backward
        });
        if directed.is_empty() {
            return;
        }
        for (from, to) in directed {
            ways.remove(to, from);
        }
    }
}

/// The graph as a sweep sees it.
struct Arrows {
    /// (i, j): i → j.
    out_of: BitMatrix,
    /// (j, i): i → j.
    into: BitMatrix,
    /// Both ways.
    undirected: BitMatrix,
}

impl Arrows {
    fn of(ways: &BitMatrix, services: usize) -> Self {
        let mut arrows = Self {
            out_of: BitMatrix::new(services),
            into: BitMatrix::new(services),
            undirected: BitMatrix::new(services),
        };
        for from in 0..services {
            for to in ones(ways.row(from).iter().copied()) {
                if ways.contains(to, from) {
                    arrows.undirected.insert(from, to);
                } else {
                    arrows.out_of.insert(from, to);
                    arrows.into.insert(to, from);
                }
            }
        }
        arrows
    }

    /// Whether a rule directs the undirected edge from – to as from → to.
    fn demand(&self, adjacent: &BitMatrix, from: usize, to: usize) -> bool {
        let common = |left: &BitMatrix, right: &BitMatrix| {
            left.row(from).iter().zip(right.row(to)).any(|(left, right)| left & right != 0)
        };
        // Rule 1: c → from, c and to not adjacent: the other direction would be a collider that was not found.
        let rule_1 = || {
            let towards = self.into.row(from).iter().zip(adjacent.row(to));
            towards.into_iter().any(|(into, near)| into & !near != 0)
        };
        // Rule 2: from → c → to: the other direction would close a cycle.
        let rule_2 = || common(&self.out_of, &self.into);
        // Rule 3: from – c → to and from – d → to, c and d not adjacent: the other direction would force a collider
        // or a cycle.
        let rule_3 = || {
            let between: Vec<u64> = self
                .undirected
                .row(from)
                .iter()
                .zip(self.into.row(to))
                .map(|(undirected, into)| undirected & into)
                .collect();
            ones(between.iter().copied()).any(|one| {
                let strangers = between.iter().zip(adjacent.row(one)).map(|(other, near)| other & !near);
                ones(strangers).any(|other| other != one)
            })
        };
        rule_1() || rule_2() || rule_3()
    }
}

#[cfg(test)]
mod tests;
