//! What engineers found out about an incident.

use std::collections::BTreeSet;

use automap_proto::{
    frame::{MAX_NAME_BYTES, check_name},
    invalid::{Invalid, did_you_mean},
    metric::MetricKind,
    time::UnixMillis,
    v1,
};

/// Longest note, bytes.
pub const MAX_NOTE_BYTES: usize = 4096;

/// The judgement of an engineer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Unique names; none means that the diagnosis was rejected without naming a cause.
    pub root_causes: Vec<String>,
    /// The metric that showed the cause, where it is known.
    pub metric: Option<MetricKind>,
    /// Free text, at most [`MAX_NOTE_BYTES`].
    pub note: String,
    /// Who says so; may be empty.
    pub confirmed_by: String,
    /// When.
    pub confirmed_at: UnixMillis,
}

impl Confirmation {
    /// Checks that every root cause is one of the incident's services.
    ///
    /// # Errors
    /// A root cause is not; the message names the nearest service.
    pub fn check_services(&self, services: &BTreeSet<&str>) -> Result<(), Invalid> {
        for (index, cause) in self.root_causes.iter().enumerate() {
            if !services.contains(cause.as_str()) {
                let hint = did_you_mean(cause, services.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean {near}?"));
                return Err(Invalid::new(
                    format!("confirmation.root_causes[{index}]"),
                    format!("{cause} is no service of this incident{hint}"),
                ));
            }
        }
        Ok(())
    }
}

impl TryFrom<&v1::Confirmation> for Confirmation {
    type Error = Invalid;

    fn try_from(wire: &v1::Confirmation) -> Result<Self, Invalid> {
        let mut seen = BTreeSet::new();
        for (index, cause) in wire.root_causes.iter().enumerate() {
            let field = format!("confirmation.root_causes[{index}]");
            check_name(&field, cause)?;
            if !seen.insert(cause) {
                return Err(Invalid::new(field, format!("{cause} stands twice")));
            }
        }
        if wire.note.len() > MAX_NOTE_BYTES {
            return Err(Invalid::new(
                "confirmation.note",
                format!("has {} bytes; at most {MAX_NOTE_BYTES} are kept", wire.note.len()),
            ));
        }
        if wire.confirmed_by.len() > MAX_NAME_BYTES {
            return Err(Invalid::new(
                "confirmation.confirmed_by",
                format!("has more than {MAX_NAME_BYTES} bytes"),
            ));
        }
        let metric = match wire.metric {
            0 => None,
            value => Some(MetricKind::from_wire("confirmation.metric", value)?),
        };
        Ok(Self {
            root_causes: wire.root_causes.clone(),
            metric,
            note: wire.note.clone(),
            confirmed_by: wire.confirmed_by.clone(),
            confirmed_at: UnixMillis::from_wire("confirmation.confirmed_at", wire.confirmed_at)?,
        })
    }
}

impl From<&Confirmation> for v1::Confirmation {
    fn from(confirmation: &Confirmation) -> Self {
        Self {
            root_causes: confirmation.root_causes.clone(),
            metric: confirmation.metric.map_or(0, |metric| metric.to_wire().into()),
            note: confirmation.note.clone(),
            confirmed_by: confirmation.confirmed_by.clone(),
            confirmed_at: Some(confirmation.confirmed_at.to_wire()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(root_causes: &[&str]) -> v1::Confirmation {
        v1::Confirmation {
            root_causes: root_causes.iter().map(|&cause| cause.to_owned()).collect(),
            confirmed_at: Some(UnixMillis(1000).to_wire()),
            ..Default::default()
        }
    }

    #[test]
    fn confirmations_survive_the_wire() {
        for metric in [0, 4] {
            let sent = v1::Confirmation {
                metric,
                note: "disk full".into(),
                confirmed_by: "ada".into(),
                ..wire(&["cart", "db"])
            };
            assert_eq!(v1::Confirmation::from(&Confirmation::try_from(&sent).unwrap()), sent);
        }
    }

    #[test]
    fn bad_confirmations_are_refused_by_field() {
        for (sent, field) in [
            (wire(&["a", "a"]), "confirmation.root_causes[1]"),
            (wire(&[""]), "confirmation.root_causes[0]"),
            (v1::Confirmation { metric: 8, ..wire(&[]) }, "confirmation.metric"),
            (v1::Confirmation { note: "x".repeat(4097), ..wire(&[]) }, "confirmation.note"),
            (v1::Confirmation { confirmed_by: "x".repeat(300), ..wire(&[]) }, "confirmation.confirmed_by"),
            (v1::Confirmation { confirmed_at: None, ..wire(&[]) }, "confirmation.confirmed_at"),
        ] {
            assert_eq!(Confirmation::try_from(&sent).unwrap_err().field(), field);
        }
    }

    #[test]
    fn a_cause_that_is_no_service_comes_with_the_nearest_one() {
        let confirmation = Confirmation::try_from(&wire(&["cart", "cartservise"])).unwrap();
        let services = BTreeSet::from(["cart", "cartservice"]);
        let error = confirmation.check_services(&services).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `confirmation.root_causes[1]`: cartservise is no service of this incident; did you mean cartservice?"
        );
    }
}
