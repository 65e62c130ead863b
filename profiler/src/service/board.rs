//! Who runs which diagnosis: what walkers told lately. In memory; what must outlive this process is in the store.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use automap_proto::v1::{self, DiagnosisState};

/// How long after the start a walker that is not heard of may still come: longer than any usual lease.
const GRACE: Duration = Duration::from_secs(30);

/// Claims of a walker that has left are forgotten after this time.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// How long a diagnosis may be a walker's before that tells of it: the walker may have said what it runs before it heard that
/// it has this one, too.
const SETTLING: Duration = Duration::from_secs(10);

/// News that are remembered for walkers that come to ask.
const NEWS: usize = 1024;

/// Why a diagnosis failed whose walker is gone.
const LOST: &str =
    "its walker ended before the diagnosis did; start it again with the same request_id, or diagnose again";

/// What a walker runs.
#[derive(Debug)]
struct Claim {
    walker: String,
    granted: Instant,
    until: Instant,
    /// What is known of it.
    outline: v1::Diagnosis,
    doing: String,
    told_lost: bool,
}

/// The board on which walkers write.
#[derive(Debug)]
pub(super) struct Board {
    began: Instant,
    claims: BTreeMap<String, Claim>,
    /// Running diagnoses that somebody asked to stop.
    cancels: BTreeSet<String>,
    /// With their position and the walker that told.
    news: VecDeque<(u64, String, v1::WatchDiagnosesResponse)>,
    position: u64,
}

impl Board {
    /// An empty one. Positions of news begin at `position`, which grows from start to start.
    pub(super) fn new(began: Instant, position: u64) -> Self {
        Self { began, claims: BTreeMap::new(), cancels: BTreeSet::new(), news: VecDeque::new(), position }
    }

    /// The walker that runs a diagnosis, as far as it was heard of.
    pub(super) fn holder(&self, id: &str, now: Instant) -> Option<&str> {
        self.claims.get(id).filter(|claim| now < claim.until).map(|claim| claim.walker.as_str())
    }

    /// Whether a diagnosis that is kept as running has lost its walker.
    pub(super) fn is_lost(&self, id: &str, now: Instant) -> bool {
        match self.claims.get(id) {
            Some(claim) => now >= claim.until,
            None => now >= self.began + GRACE,
        }
    }

    /// Gives a diagnosis to a walker, or keeps it with it; false when another one has it.
    pub(super) fn claim(
        &mut self,
        outline: v1::Diagnosis,
        walker: &str,
        doing: String,
        until: Instant,
        now: Instant,
    ) -> bool {
        let id = outline.diagnosis_id.clone();
        if self.holder(&id, now).is_some_and(|holder| holder != walker) {
            return false;
        }
        let granted =
            self.claims.get(&id).filter(|claim| claim.walker == walker).map_or(now, |claim| claim.granted);
        let walker = walker.into();
        self.claims.insert(id, Claim { walker, granted, until, outline, doing, told_lost: false });
        true
    }

    /// Whether anything is known of a diagnosis.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.claims.contains_key(id)
    }

    /// Whether a diagnosis is a walker's, heard of in time or not.
    pub(super) fn is_claimed_by(&self, id: &str, walker: &str) -> bool {
        self.claims.get(id).is_some_and(|claim| claim.walker == walker)
    }

    /// Those of a walker that it does not run any more are forgotten.
    pub(super) fn keep_only(&mut self, walker: &str, running: &BTreeSet<&str>, now: Instant) {
        self.claims.retain(|id, claim| {
            claim.walker != walker || running.contains(id.as_str()) || now < claim.granted + SETTLING
        });
    }

    /// A diagnosis has ended.
    pub(super) fn end(&mut self, id: &str) {
        self.claims.remove(id);
        self.cancels.remove(id);
    }

    /// Somebody asks to stop a running diagnosis.
    pub(super) fn cancel(&mut self, id: &str) {
        self.cancels.insert(id.into());
    }

    /// Those of these diagnoses that must stop.
    pub(super) fn cancelled<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        ids.into_iter().filter(|id| self.cancels.contains(*id)).map(str::to_owned).collect()
    }

    /// Remembers news for walkers other than `walker`.
    pub(super) fn tell(&mut self, walker: &str, news: v1::WatchDiagnosesResponse) {
        self.position += 1;
        self.news.push_back((self.position, walker.into(), news));
        while self.news.len() > NEWS {
            self.news.pop_front();
        }
    }

    /// Tells once of every claim that ran out, and forgets those that ran out long ago.
    pub(super) fn tell_of_lost(&mut self, now: Instant) {
        let lost: Vec<v1::WatchDiagnosesResponse> = self
            .claims
            .values_mut()
            .filter(|claim| now >= claim.until && !claim.told_lost)
            .map(|claim| {
                claim.told_lost = true;
                v1::WatchDiagnosesResponse {
                    diagnosis_id: claim.outline.diagnosis_id.clone(),
                    system: claim.outline.system.clone(),
                    state: DiagnosisState::Failed.into(),
                    progress: None,
                }
            })
            .collect();
        for news in lost {
            self.tell("", news);
        }
        self.claims.retain(|_, claim| now < claim.until + FORGOTTEN);
        let claims = &self.claims;
        self.cancels.retain(|id| claims.contains_key(id));
    }

    /// News after `position` that others told, and the position of the newest. None without a position.
    pub(super) fn news_for(&self, walker: &str, position: u64) -> (Vec<v1::WatchDiagnosesResponse>, u64) {
        if position == 0 {
            return (Vec::new(), self.position);
        }
        let others = self.news.iter().filter(|(at, teller, _)| *at > position && teller != walker);
        (others.map(|(_, _, news)| news.clone()).collect(), self.position)
    }

    /// All that runs.
    pub(super) fn running(&self, now: Instant) -> impl Iterator<Item = v1::Diagnosis> {
        self.claims
            .values()
            .filter(move |claim| now < claim.until)
            .map(|claim| v1::Diagnosis { doing: claim.doing.clone(), ..claim.outline.clone() })
    }

    /// A diagnosis as it stands: a running one with what it is at, or failed where its walker is gone.
    pub(super) fn as_it_stands(&self, mut kept: v1::Diagnosis, now: Instant) -> v1::Diagnosis {
        if kept.state() != DiagnosisState::Running {
            return kept;
        }
        if self.is_lost(&kept.diagnosis_id, now) {
            kept.state = DiagnosisState::Failed.into();
            kept.failure = LOST.into();
        } else if let Some(claim) = self.claims.get(&kept.diagnosis_id) {
            kept.doing.clone_from(&claim.doing);
            // They may be known since it was kept.
            kept.system.clone_from(&claim.outline.system);
            kept.front_end.clone_from(&claim.outline.front_end);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn outline(id: &str) -> v1::Diagnosis {
        v1::Diagnosis {
            diagnosis_id: id.into(),
            system: "shop".into(),
            state: DiagnosisState::Running.into(),
            ..v1::Diagnosis::default()
        }
    }

    fn claim(board: &mut Board, id: &str, walker: &str, now: Instant) -> bool {
        board.claim(outline(id), walker, "testing".into(), now + LEASE, now)
    }

    #[test]
    fn one_walker_has_a_diagnosis_until_it_is_not_heard_of() {
        let began = Instant::now();
        let mut board = Board::new(began, 0);
        assert!(claim(&mut board, "a", "w1", began));
        assert!(!claim(&mut board, "a", "w2", began + LEASE / 2));
        assert!(claim(&mut board, "a", "w1", began + LEASE / 2), "it is renewed");
        assert!(!claim(&mut board, "a", "w2", began + LEASE));
        let late = began + LEASE * 2;
        assert!(board.is_lost("a", late) && board.holder("a", late).is_none());
        assert!(claim(&mut board, "a", "w2", late));
        assert_eq!(board.holder("a", late), Some("w2"));
    }

    #[test]
    fn a_lost_one_is_shown_as_failed_and_told_once() {
        let began = Instant::now();
        let mut board = Board::new(began, 7);
        claim(&mut board, "a", "w1", began);
        let shown = board.as_it_stands(outline("a"), began);
        assert_eq!((shown.state(), shown.doing.as_str()), (DiagnosisState::Running, "testing"));
        let late = began + LEASE;
        assert_eq!(board.as_it_stands(outline("a"), late).state(), DiagnosisState::Failed);
        board.tell_of_lost(late);
        board.tell_of_lost(late);
        let (news, position) = board.news_for("w2", 7);
        assert_eq!((news.len(), position), (1, 8));
        assert_eq!(news[0].state(), DiagnosisState::Failed);
    }

    #[test]
    fn after_a_start_walkers_have_time_to_come() {
        let began = Instant::now();
        let board = Board::new(began, 0);
        assert!(!board.is_lost("a", began));
        assert!(board.is_lost("a", began + GRACE));
    }

    #[test]
    fn walkers_hear_of_others_and_not_of_themselves() {
        let began = Instant::now();
        let mut board = Board::new(began, 0);
        let news = |id: &str| v1::WatchDiagnosesResponse { diagnosis_id: id.into(), ..Default::default() };
        board.tell("w1", news("a"));
        let (none, position) = board.news_for("w2", 0);
        assert!(none.is_empty());
        board.tell("w1", news("b"));
        board.tell("w2", news("c"));
        let (heard, position) = board.news_for("w2", position);
        assert_eq!(heard.iter().map(|one| one.diagnosis_id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(board.news_for("w2", position).0.is_empty());
    }

    #[test]
    fn whoever_runs_a_cancelled_one_is_told_until_it_ends() {
        let began = Instant::now();
        let mut board = Board::new(began, 0);
        claim(&mut board, "a", "w1", began);
        board.cancel("a");
        assert_eq!(board.cancelled(["a", "b"]), ["a"]);
        board.end("a");
        assert!(board.cancelled(["a", "b"]).is_empty());
        assert!(board.running(began).next().is_none());
    }
}
