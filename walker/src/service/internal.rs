//! What alerts and metrics ask of the walker.

use automap_proto::{
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::ServiceError;

use super::{WalkerRpc, claims::is_lost, registry::OnEnd, run::Unclaimed};
use crate::{
    alerts::{MAX_LISTED, is_same},
    sinks::Kept,
};

impl Kept for WalkerRpc {
    async fn kept(&self, id: &str) -> Result<v1::Diagnosis, ServiceError> {
        self.find(id).await
    }
}

impl WalkerRpc {
    /// Begins a diagnosis without a caller; the same one changes nothing. What makes it the same is told by `digest`, and not by
    /// the request: alerts that come again may tell more. Where the profiler does not tell who has it, `unclaimed` says what
    /// becomes of it. Answers the diagnosis of that id where it has ended already.
    ///
    /// # Errors
    /// The request is wrong, it waits for the profiler, or another one has that id.
    pub(crate) async fn begin(
        &self,
        id: String,
        digest: String,
        request: v1::DiagnoseRequest,
        unclaimed: Unclaimed,
    ) -> Result<Option<Box<v1::Diagnosis>>, ServiceError> {
        let mut order = self.order(id, request)?;
        order.record = true;
        self.start(order, digest, unclaimed).await
    }

    /// Hands every diagnosis that ends here from now on, done, failed or cancelled, to `hook`, once each; the first call counts.
    pub(crate) fn on_end(&self, hook: OnEnd) {
        self.registry.on_end(hook);
    }

    /// Diagnoses that run and that wait here now.
    pub(crate) fn load(&self) -> (usize, usize) {
        self.admission.load()
    }

    /// Diagnoses that were begun at `since` or later and whose walker is gone, newest first.
    ///
    /// # Errors
    /// The profiler cannot be reached.
    pub(crate) async fn lost_since(&self, since: UnixMillis) -> Result<Vec<v1::Diagnosis>, ServiceError> {
        let mut lost = Vec::new();
        let mut request = v1::ListDiagnosesRequest {
            created_from: Some(since.to_wire()),
            states: vec![DiagnosisState::Failed.into()],
            ..v1::ListDiagnosesRequest::default()
        };
        loop {
            let listing = self.peers.ask_profiler(request.clone(), |mut profiler, request| async move {
                profiler.list_diagnoses(request).await
            });
            let page = listing.await?;
            lost.extend(page.diagnoses.into_iter().filter(is_lost));
            if page.next_page_token.is_empty() {
                return Ok(lost);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Keeps alerts with a diagnosis that has ended, beside those that it has: who tells of them may not know these any more.
    /// False where what is kept does not tell the end.
    ///
    /// # Errors
    /// The profiler cannot be reached, or refuses.
    pub(crate) async fn note_alerts(&self, id: &str, alerts: v1::AlertList) -> Result<bool, ServiceError> {
        let Some(known) = self.stored(id).await? else { return Ok(false) };
        // What is shown of one that has not ended must not become its record.
        if known.state() == DiagnosisState::Running || is_lost(&known) {
            return Ok(false);
        }
        let alerts = Some(merged(known.alerts.clone().unwrap_or_default(), alerts));
        self.keep(v1::Diagnosis { alerts, ..known }).await?;
        Ok(true)
    }
}

/// The alerts of both lists, each once and as `newer` tells it; beyond as many as are listed they are counted.
fn merged(older: v1::AlertList, newer: v1::AlertList) -> v1::AlertList {
    let mut alerts = newer.alerts;
    let forgotten: Vec<v1::Alert> =
        older.alerts.into_iter().filter(|one| !alerts.iter().any(|other| is_same(one, other))).collect();
    alerts.splice(0..0, forgotten);
    let beyond = alerts.len().saturating_sub(MAX_LISTED);
    alerts.truncate(MAX_LISTED);
    v1::AlertList { alerts, left_out: older.left_out.max(newer.left_out).max(beyond as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[(&str, bool)], left_out: u64) -> v1::AlertList {
        let alert = |(name, ended): &(&str, bool)| v1::Alert {
            labels: [("alertname".to_owned(), (*name).to_owned())].into(),
            ends_at: ended.then(prost_types::Timestamp::default),
            ..v1::Alert::default()
        };
        v1::AlertList { alerts: names.iter().map(alert).collect(), left_out }
    }

    #[test]
    fn alerts_that_are_noted_take_none_away() {
        let both = merged(list(&[("a", false), ("b", false)], 3), list(&[("b", true), ("c", false)], 0));
        assert_eq!(both, list(&[("a", false), ("b", true), ("c", false)], 3));
        let many: Vec<String> = (0..MAX_LISTED).map(|one| one.to_string()).collect();
        let many: Vec<(&str, bool)> = many.iter().map(|name| (name.as_str(), false)).collect();
        let full = merged(list(&many, 0), list(&[("more", false)], 0));
        assert_eq!((full.alerts.len(), full.left_out), (MAX_LISTED, 1));
        let again = merged(full, list(&[("more", false)], 0));
        assert_eq!((again.alerts.len(), again.left_out), (MAX_LISTED, 1), "what is told again is no more");
    }
}
