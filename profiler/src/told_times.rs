//! When an incident began and ended, as its diagnoses tell: an alert says neither.

use automap_proto::{incident::IncidentContext, time::UnixMillis, v1};
use prost::Message;

/// What diagnoses told of an incident after its context. Kept behind the wire form of the incident, whose fields have other
/// numbers; so this is also how it is encoded.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct ToldTimes {
    /// The onset that was found, where its context begins with a late alert.
    #[prost(sint64, optional, tag = "1000")]
    onset_ms: Option<i64>,
    /// When the last alert ended, where all have.
    #[prost(sint64, optional, tag = "1001")]
    end_ms: Option<i64>,
}

impl ToldTimes {
    /// The assessed onset.
    pub fn onset(&self) -> Option<UnixMillis> {
        self.onset_ms.map(UnixMillis)
    }

    /// When its alerts had ended.
    pub fn end(&self) -> Option<UnixMillis> {
        self.end_ms.map(UnixMillis)
    }

    /// The same after a diagnosis of an incident. One without alerts says nothing of the end; one with an alert that goes on,
    /// or with alerts that it does not list, says that there is none yet.
    #[must_use]
    pub fn after(self, diagnosis: &v1::Diagnosis, context: &IncidentContext) -> Self {
        let onset = diagnosis
            .assessment
            .as_ref()
            .filter(|_| context.late_alert())
            .and_then(|found| UnixMillis::from_wire("onset", found.onset).ok());
        let end_ms = match &diagnosis.alerts {
            Some(list) if !list.alerts.is_empty() => last_end(list).map(|end| end.0),
            _ => self.end_ms,
        };
        Self { onset_ms: onset.map(|onset| onset.0).or(self.onset_ms), end_ms }
    }
}

/// When the last of the alerts ended; `None` where one may go on.
fn last_end(list: &v1::AlertList) -> Option<UnixMillis> {
    let ends = list.alerts.iter().map(|alert| UnixMillis::from_wire("ends_at", alert.ends_at).ok());
    let ends: Vec<UnixMillis> = ends.collect::<Option<_>>()?;
    ends.into_iter().max().filter(|_| list.left_out == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(late_alert: bool) -> IncidentContext {
        let start = UnixMillis(100_000);
        IncidentContext::new("shop", "web", start, None, vec![], None).unwrap().with_late_alert(late_alert)
    }

    fn diagnosis(onset: Option<i64>, ends: &[Option<i64>]) -> v1::Diagnosis {
        let wire = |seconds: i64| UnixMillis(seconds * 1000).to_wire();
        let alert = |end: &Option<i64>| v1::Alert { ends_at: end.map(wire), ..Default::default() };
        v1::Diagnosis {
            assessment: onset.map(|onset| v1::Assessment { onset: Some(wire(onset)), ..Default::default() }),
            alerts: Some(v1::AlertList { alerts: ends.iter().map(alert).collect(), left_out: 0 }),
            ..Default::default()
        }
    }

    fn seconds(told: ToldTimes) -> (Option<i64>, Option<i64>) {
        (told.onset().map(|onset| onset.0 / 1000), told.end().map(|end| end.0 / 1000))
    }

    #[test]
    fn the_last_alert_to_end_ends_an_incident_when_all_have() {
        let context = context(false);
        let after = |told: ToldTimes, ends: &[Option<i64>]| told.after(&diagnosis(None, ends), &context);
        let none = ToldTimes::default();
        assert_eq!(seconds(after(none, &[Some(200), None])), (None, None));
        let ended = after(none, &[Some(200), Some(300), Some(250)]);
        assert_eq!(seconds(ended), (None, Some(300)));
        assert_eq!(after(ended, &[]), ended, "a diagnosis without alerts tells nothing");
        assert_eq!(ended.after(&v1::Diagnosis::default(), &context), ended);
        assert_eq!(after(ended, &[Some(200), None]), none, "one began again");
        let mut more = diagnosis(None, &[Some(200)]);
        more.alerts.as_mut().unwrap().left_out = 1;
        assert_eq!(none.after(&more, &context), none, "one that is not listed may go on");
    }

    #[test]
    fn the_onset_counts_where_the_alert_may_be_late() {
        let none = ToldTimes::default();
        assert_eq!(none.after(&diagnosis(Some(40), &[]), &context(false)), none);
        let told = none.after(&diagnosis(Some(40), &[]), &context(true));
        assert_eq!(seconds(told), (Some(40), None));
        assert_eq!(told.after(&diagnosis(None, &[]), &context(true)), told);
        assert_eq!(seconds(told.after(&diagnosis(Some(50), &[]), &context(true))), (Some(50), None));
    }

    #[test]
    fn what_was_told_lies_behind_an_incident_and_neither_reads_the_other() {
        let wire = crate::sample::confirmed_incident("inc-1", 100, &["cart"], &["cart"]);
        let told = ToldTimes { onset_ms: Some(-5), end_ms: Some(7) };
        let mut bytes = wire.encode_to_vec();
        assert_eq!(ToldTimes::decode(bytes.as_slice()).unwrap(), ToldTimes::default());
        bytes.extend(told.encode_to_vec());
        assert_eq!(ToldTimes::decode(bytes.as_slice()).unwrap(), told);
        assert_eq!(v1::Incident::decode(bytes.as_slice()).unwrap(), wire);
        assert!(ToldTimes::default().encode_to_vec().is_empty());
    }
}
