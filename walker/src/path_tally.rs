//! Counts, for every service, on which loop-erased path walks first reached it.

use std::collections::BTreeMap;

/// The path on which a service was reached most often.
#[derive(Debug, Clone, PartialEq)]
pub struct WalkedPath {
    /// From where walks start to the service, both included, without loops; indices of services.
    pub services: Vec<usize>,
    /// Share of the walks that reached the service which first did so on this path; above 0, at most 1.
    pub share: f64,
}

/// Loop-erased paths of many walks (Lawler, 1980: when a walk comes back to a service of its path, the loop is cut
/// off), kept as a tree that shares beginnings: O(steps) memory however long the paths.
#[derive(Debug, Clone)]
pub(crate) struct PathTally {
    nodes: Vec<Node>,
    children: BTreeMap<(usize, usize), usize>,
    /// Nodes of the running walk's path, from its start.
    path: Vec<usize>,
    /// Where each service stands in that path.
    place: Vec<Option<usize>>,
    /// The last walk that visited each service, counted from 1.
    visited_by: Vec<usize>,
    walks: usize,
}

#[derive(Debug, Clone)]
struct Node {
    service: usize,
    parent: Option<usize>,
    depth: usize,
    /// Walks that first reached the service on the path to this node.
    first_visits: usize,
}

impl PathTally {
    /// For walks over `services` services that all begin at `start`, which is one of them.
    pub(crate) fn new(services: usize, start: usize) -> Self {
        let mut tally = Self {
            nodes: vec![Node { service: start, parent: None, depth: 0, first_visits: 0 }],
            children: BTreeMap::new(),
            path: Vec::new(),
            place: vec![None; services],
            visited_by: vec![0; services],
            walks: 0,
        };
        tally.begin_walk();
        tally
    }

    /// Ends the running walk and begins the next.
    pub(crate) fn begin_walk(&mut self) {
        self.cut_to(0);
        self.walks += 1;
        self.enter(0);
    }

    /// The running walk goes on to `service`.
    pub(crate) fn step(&mut self, service: usize) {
        if let Some(place) = self.place[service] {
            self.cut_to(place + 1);
            return;
        }
        let parent = self.path.last().copied().unwrap_or(0);
        let depth = self.path.len();
        let next = self.nodes.len();
        let node = *self.children.entry((parent, service)).or_insert(next);
        if node == next {
            self.nodes.push(Node { service, parent: Some(parent), depth, first_visits: 0 });
        }
        self.enter(node);
    }

    /// For every service the path on which most walks first reached it; of equals the shortest, then the first in
    /// the order of services. `None` where no walk came.
    pub(crate) fn paths(&self) -> Vec<Option<WalkedPath>> {
        let mut reached = vec![0_usize; self.place.len()];
        let mut best: Vec<Option<usize>> = vec![None; self.place.len()];
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.first_visits > 0) {
            reached[node.service] += node.first_visits;
            let champion = &mut best[node.service];
            if champion.is_none_or(|known| self.beats(index, known)) {
                *champion = Some(index);
            }
        }
        best.into_iter()
            .zip(reached)
            .map(|(node, walks)| {
                node.map(|node| WalkedPath {
                    services: self.path_to(node),
                    share: self.nodes[node].first_visits as f64 / walks as f64,
                })
            })
            .collect()
    }

    fn beats(&self, challenger: usize, known: usize) -> bool {
        let rank = |node: usize| (std::cmp::Reverse(self.nodes[node].first_visits), self.nodes[node].depth);
        rank(challenger)
            .cmp(&rank(known))
            .then_with(|| self.path_to(challenger).cmp(&self.path_to(known)))
            .is_lt()
    }

    fn path_to(&self, node: usize) -> Vec<usize> {
        let mut services: Vec<usize> = std::iter::successors(Some(node), |&node| self.nodes[node].parent)
            .map(|node| self.nodes[node].service)
            .collect();
        services.reverse();
        services
    }

    fn enter(&mut self, node: usize) {
        let service = self.nodes[node].service;
        self.place[service] = Some(self.path.len());
        self.path.push(node);
        if self.visited_by[service] != self.walks {
            self.visited_by[service] = self.walks;
            self.nodes[node].first_visits += 1;
        }
    }

    /// Leaves the first `length` services of the path.
    fn cut_to(&mut self, length: usize) {
        for &node in self.path.get(length..).unwrap_or_default() {
            self.place[self.nodes[node].service] = None;
        }
        self.path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(walks: &[&[usize]]) -> Vec<Option<WalkedPath>> {
        let mut tally = PathTally::new(6, 0);
        for (index, walk) in walks.iter().enumerate() {
            if index > 0 {
                tally.begin_walk();
            }
            for &service in *walk {
                tally.step(service);
            }
        }
        tally.paths()
    }

    fn path(services: &[usize], share: f64) -> Option<WalkedPath> {
        Some(WalkedPath { services: services.to_vec(), share })
    }

    #[test]
    fn loops_are_erased_from_the_path() {
        let found = tally(&[&[1, 2, 3, 1, 4]]);
        assert_eq!(found[4], path(&[0, 1, 4], 1.0));
        assert_eq!(found[3], path(&[0, 1, 2, 3], 1.0));
        assert_eq!(found[0], path(&[0], 1.0));
        assert_eq!(found[5], None);
    }

    #[test]
    fn only_the_first_visit_of_a_walk_counts() {
        let found = tally(&[&[1, 3, 0, 2, 3], &[2, 3], &[1, 3]]);
        assert_eq!(found[3], path(&[0, 1, 3], 2.0 / 3.0));
        assert_eq!(found[2], path(&[0, 2], 1.0));
    }

    #[test]
    fn of_equally_frequent_paths_the_shortest_wins_and_then_the_first_in_order() {
        assert_eq!(tally(&[&[1, 2, 4], &[3, 4]])[4], path(&[0, 3, 4], 0.5));
        assert_eq!(tally(&[&[3, 4], &[2, 4]])[4], path(&[0, 2, 4], 0.5));
    }

    #[test]
    fn staying_and_returning_to_the_start_change_no_path() {
        assert_eq!(tally(&[&[1, 1, 1, 0, 0, 2]])[2], path(&[0, 2], 1.0));
    }
}
