//! Alertmanager's webhook, version 4: read with limits.

use std::collections::BTreeMap;

use automap_proto::{invalid::Invalid, time::UnixMillis, v1};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::nesting::depth;

/// Largest notification, bytes: some thousand alerts.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// Deepest nesting of a notification; Alertmanager's own is 4.
const MAX_DEPTH: usize = 16;
/// Most alerts of one notification.
const MAX_ALERTS: usize = 5000;
/// Most labels of an alert.
const MAX_LABELS: usize = 128;
/// Most bytes that the labels of an alert take together, names included.
const MAX_LABEL_BYTES: usize = 8 << 10;
/// Longest `groupKey`, bytes.
const MAX_KEY_BYTES: usize = 16 << 10;
/// Longest `generatorURL` that is kept, bytes.
const MAX_URL_BYTES: usize = 2 << 10;
/// Longest part of a message of the parser that is told.
const MAX_TOLD: usize = 200;

/// A notification, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    /// Names the group of alerts, the same at each notification.
    pub(crate) group_key: String,
    /// Alerts that Alertmanager left out.
    pub(crate) truncated: u64,
    /// In the order in which they began, then by their labels.
    pub(crate) alerts: Vec<Alert>,
    /// Why single alerts cannot be used.
    pub(crate) refused: Vec<Invalid>,
}

/// An alert of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// Hash of its labels, which are what an alert is.
    pub(crate) identity: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) starts_at: UnixMillis,
    /// Where it is resolved.
    pub(crate) ends_at: Option<UnixMillis>,
    pub(crate) generator_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: String,
    group_key: String,
    #[serde(default)]
    truncated_alerts: u64,
    alerts: Vec<WireAlert>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    status: Status,
    labels: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

impl Notification {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is no JSON, not of version 4, or beyond a limit. An alert that cannot be used by itself is among the refused.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let nested = depth(body);
        if nested > MAX_DEPTH {
            return Err(Invalid::new(
                "body",
                format!("is nested {nested} deep; at most {MAX_DEPTH} are read"),
            ));
        }
        let wire: Wire = serde_json::from_slice(body)
            .map_err(|error| Invalid::new("body", format!("is no notification: {}", shortened(&error))))?;
        if wire.version != "4" {
            let problem = "is not 4; only version 4 of Alertmanager's webhook is read";
            return Err(Invalid::new("version", problem));
        }
        if wire.group_key.is_empty() || wire.group_key.len() > MAX_KEY_BYTES {
            return Err(Invalid::new("groupKey", format!("must have 1 to {MAX_KEY_BYTES} bytes")));
        }
        if wire.alerts.len() > MAX_ALERTS {
            let problem = format!(
                "are {}; at most {MAX_ALERTS} are read: set max_alerts of the receiver",
                wire.alerts.len()
            );
            return Err(Invalid::new("alerts", problem));
        }
        let (mut alerts, mut refused) = (Vec::new(), Vec::new());
        for (index, alert) in wire.alerts.into_iter().enumerate() {
            match Alert::new(alert) {
                Ok(alert) => alerts.push(alert),
                Err(invalid) => refused.push(invalid.within(&format!("alerts[{index}]"))),
            }
        }
        alerts.sort_by(|one, other| (one.starts_at, &one.identity).cmp(&(other.starts_at, &other.identity)));
        Ok(Self { group_key: wire.group_key, truncated: wire.truncated_alerts, alerts, refused })
    }
}

impl Alert {
    fn new(wire: WireAlert) -> Result<Self, Invalid> {
        if wire.labels.len() > MAX_LABELS {
            return Err(Invalid::new("labels", format!("are {}; at most {MAX_LABELS}", wire.labels.len())));
        }
        let bytes: usize = wire.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_LABEL_BYTES {
            return Err(Invalid::new("labels", format!("have {bytes} bytes; at most {MAX_LABEL_BYTES}")));
        }
        let starts_at = time("startsAt", &wire.starts_at)?;
        let ends_at = match wire.status {
            Status::Firing => None,
            // A clock that was set back must not end an alert before it begins.
            Status::Resolved => Some(time("endsAt", &wire.ends_at)?.max(starts_at)),
        };
        let generator_url =
            if wire.generator_url.len() > MAX_URL_BYTES { String::new() } else { wire.generator_url };
        Ok(Self { identity: identity(&wire.labels), labels: wire.labels, starts_at, ends_at, generator_url })
    }

    /// An alert that was kept.
    pub(crate) fn from_wire(wire: v1::Alert) -> Option<Self> {
        let labels: BTreeMap<String, String> = wire.labels.into_iter().collect();
        let starts_at = UnixMillis::from_wire("starts_at", wire.starts_at).ok()?;
        let ends_at = UnixMillis::from_wire("ends_at", wire.ends_at).ok();
        let identity = identity(&labels);
        Some(Self { identity, labels, starts_at, ends_at, generator_url: wire.generator_url })
    }

    /// The wire form.
    pub(crate) fn to_wire(&self) -> v1::Alert {
        v1::Alert {
            name: self.labels.get("alertname").cloned().unwrap_or_default(),
            labels: self.labels.clone().into_iter().collect(),
            starts_at: Some(self.starts_at.to_wire()),
            ends_at: self.ends_at.map(UnixMillis::to_wire),
            generator_url: self.generator_url.clone(),
        }
    }
}

/// Whether two alerts that are kept are one.
pub(crate) fn is_same(one: &v1::Alert, other: &v1::Alert) -> bool {
    one.labels == other.labels && one.starts_at == other.starts_at
}

fn time(field: &str, text: &str) -> Result<UnixMillis, Invalid> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| Invalid::new(field, "is no time such as 2026-03-01T10:20:00Z"))?;
    Ok(UnixMillis(time.as_millisecond()))
}

fn identity(labels: &BTreeMap<String, String>) -> String {
    hash(labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]))
}

/// A short hash of parts in their order, 32 hexadecimal digits.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut whole = digest(parts);
    whole.truncate(32);
    whole
}

/// SHA-256 of texts, hexadecimal.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the parser says; it may repeat what it was given, whatever its length.
fn shortened(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn alert() -> serde_json::Value {
        json!({
            "status": "firing",
            "labels": {"alertname": "Slow", "service": "web"},
            "annotations": {"summary": "slow\nindeed"},
            "startsAt": "2026-03-01T10:20:00.5Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": "a1b2",
        })
    }

    fn notification(alerts: &serde_json::Value) -> serde_json::Value {
        json!({
            "version": "4", "groupKey": "{}:{alertname=\"Slow\"}", "truncatedAlerts": 3, "status": "firing",
            "receiver": "automap", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager", "alerts": alerts,
        })
    }

    fn parse(value: &serde_json::Value) -> Result<Notification, Invalid> {
        Notification::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_notification_is_read_and_its_alerts_stand_in_the_order_of_their_start() {
        let mut late = alert();
        late["startsAt"] = json!("2026-03-01T10:21:00+00:00");
        late["status"] = json!("resolved");
        late["endsAt"] = json!("2026-03-01T11:22:00+01:00");
        let found = parse(&notification(&json!([late, alert()]))).unwrap();
        assert_eq!((found.truncated, found.refused.len()), (3, 0));
        let starts: Vec<i64> = found.alerts.iter().map(|alert| alert.starts_at.0).collect();
        assert_eq!(starts, [1_772_360_400_500, 1_772_360_460_000]);
        assert_eq!(found.alerts[0].ends_at, None);
        assert_eq!(found.alerts[1].ends_at, Some(UnixMillis(1_772_360_520_000)));
        assert_eq!(found.alerts[0].identity, found.alerts[1].identity, "labels are what an alert is");
        assert_eq!(found.alerts[0].to_wire().name, "Slow");
        for alert in found.alerts {
            assert_eq!(Alert::from_wire(alert.to_wire()), Some(alert));
        }
    }

    #[test]
    fn what_is_no_notification_is_refused_with_its_field() {
        let refused = |body: &[u8]| Notification::parse(body).unwrap_err();
        assert_eq!(refused(b"").field(), "body");
        assert_eq!(refused(b"\xff\xfe{}").field(), "body");
        assert_eq!(refused(b"[1,2]").field(), "body");
        assert_eq!(refused(br#"{"version":"4"}"#).field(), "body");
        assert!(refused(&[b'['; 100_000]).problem().contains("nested 100000 deep"));
        let mut other = notification(&json!([]));
        other["version"] = json!("3");
        assert_eq!(parse(&other).unwrap_err().field(), "version");
        other["version"] = json!("4");
        other["groupKey"] = json!("");
        assert_eq!(parse(&other).unwrap_err().field(), "groupKey");
        let many: Vec<_> = (0..5001).map(|_| alert()).collect();
        assert_eq!(parse(&notification(&json!(many))).unwrap_err().field(), "alerts");
        // Half of a surrogate pair is no text.
        let half = notification(&json!([alert()])).to_string().replace("Slow", "\\ud800");
        assert_eq!(refused(half.as_bytes()).field(), "body");
        let mut long = alert();
        long["status"] = json!("x".repeat(100_000));
        assert!(parse(&notification(&json!([long]))).unwrap_err().problem().len() < 300);
    }

    #[test]
    fn an_alert_that_cannot_be_used_leaves_the_others() {
        let mut wrong = alert();
        wrong["startsAt"] = json!("yesterday");
        let mut heavy = alert();
        heavy["labels"]["text"] = json!("x".repeat(9000));
        let mut many = alert();
        for index in 0..200 {
            many["labels"][format!("l{index}")] = json!("x");
        }
        let found = parse(&notification(&json!([wrong, alert(), heavy, many]))).unwrap();
        assert_eq!(found.alerts.len(), 1);
        let fields: Vec<&str> = found.refused.iter().map(Invalid::field).collect();
        assert_eq!(fields, ["alerts[0].startsAt", "alerts[2].labels", "alerts[3].labels"]);
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_reader(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            Notification::parse(&body).ok();
        }

        #[test]
        fn a_notification_that_was_cut_or_changed_is_read_or_refused(at in 0_usize..400, byte in any::<u8>()) {
            let mut body = notification(&json!([alert()])).to_string().into_bytes();
            let at = at % body.len();
            Notification::parse(&body[..at]).unwrap_err();
            body[at] = byte;
            Notification::parse(&body).ok();
        }
    }
}
