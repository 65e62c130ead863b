//! Which candidates of the second end of a pair were not candidates of the first as well.

/// Sets of tried candidates alone were tested before.
#[derive(Debug, Default)]
pub(crate) struct Untried {
    /// Whether the candidate at each position also neighbours the first end.
    tried: Vec<bool>,
    /// For each position, and one beyond, the next untried candidate from there on.
    next: Vec<usize>,
    end: usize,
}

impl Untried {
    /// Starts over: of `candidates`, those in `before` (ascending) were tried.
    pub(crate) fn start(&mut self, candidates: &[u32], before: Option<&[u32]>) {
        let width = candidates.len();
        self.tried.clear();
        // Both ascend.
        let mut rest = before.unwrap_or_default();
        self.tried.extend(candidates.iter().map(|candidate| {
            while let [first, further @ ..] = rest
                && first < candidate
            {
                rest = further;
            }
            rest.first() == Some(candidate)
        }));
        self.end = self.tried.iter().rposition(|tried| !tried).map_or(0, |last| last + 1);
        self.next.clear();
        self.next.resize(width + 1, width);
        for position in (0..width).rev() {
            self.next[position] = if self.tried[position] { self.next[position + 1] } else { position };
        }
    }

    /// How many candidates there are, tried or not.
    pub(crate) fn width(&self) -> usize {
        self.tried.len()
    }

    /// For each candidate whether it was tried.
    pub(crate) fn tried(&self) -> &[bool] {
        &self.tried
    }

    /// The first untried candidate at or after a position, or the width.
    pub(crate) fn next_from(&self, position: usize) -> usize {
        self.next[position]
    }

    /// One past the last untried candidate; 0 when there is none.
    pub(crate) const fn end(&self) -> usize {
        self.end
    }
}
