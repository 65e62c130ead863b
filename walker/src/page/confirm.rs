//! What engineers say of a diagnosis: forms that work without a script, and what was said.
//!
//! A form is taken from a page of this port only: the guard in front of all routes compares its origin, and here one must be
//! named, which every browser does.

use std::collections::BTreeSet;

use automap_proto::{
    invalid::Invalid,
    metric::MetricKind,
    ranking::RankedService,
    v1::{self, walker_service_server::WalkerService as _},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use axum::{
    Form,
    extract::{Path, State},
    http::{Extensions, HeaderMap, header::ORIGIN},
    response::Redirect,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Page, ask::rpc, failure::PageError};
use crate::report::context::time;

/// Most services that a form proposes by name; others can be typed.
const PROPOSED: usize = 200;

/// A filled form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    /// The cause; empty where none is named.
    root_cause: String,
    /// Further causes, with commas between them.
    others: String,
    /// The metric that showed it; empty where it is not known.
    metric: String,
    note: String,
    confirmed_by: String,
    /// `yes` where the diagnosis is rejected without naming a cause.
    reject: String,
}

impl Said {
    fn into_confirmation(self) -> Result<v1::Confirmation, Invalid> {
        let rejected = self.reject == "yes";
        // A name may hold a comma, so that of the first field is taken as it is.
        let named = std::iter::once(self.root_cause.as_str()).chain(self.others.split(','));
        let mut causes: Vec<String> = Vec::new();
        for cause in named.map(str::trim).filter(|cause| !cause.is_empty()) {
            if !causes.iter().any(|known| known == cause) {
                causes.push(cause.to_owned());
            }
        }
        if !rejected && causes.is_empty() {
            return Err(Invalid::new(
                "root_cause",
                "is empty: name the service that was at fault, or reject",
            ));
        }
        let root_causes = if rejected { Vec::new() } else { causes };
        let metric = match self.metric.as_str() {
            "" => None,
            name => Some(name.parse::<MetricKind>()?),
        };
        Ok(v1::Confirmation {
            root_causes,
            metric: metric.map_or(0, |kind| kind.to_wire().into()),
            note: self.note,
            confirmed_by: self.confirmed_by,
            ..v1::Confirmation::default()
        })
    }
}

/// Keeps what an engineer says and leads back to the diagnosis.
pub(super) async fn take(
    State(state): State<Page>,
    Path(id): Path<String>,
    caller: Extensions,
    headers: HeaderMap,
    Form(said): Form<Said>,
) -> Result<Redirect, PageError> {
    if !headers.contains_key(ORIGIN) {
        let problem = "a form must come from a browser, which names its origin; others call ConfirmRootCause";
        return Err(ServiceError::new(ErrorCode::InvalidInput, problem).into());
    }
    let confirmation = said.into_confirmation().map_err(ServiceError::from)?;
    let request = v1::WalkerServiceConfirmRootCauseRequest {
        diagnosis_id: id.clone(),
        confirmation: Some(confirmation),
    };
    state.walker.confirm_root_cause(rpc(request, caller)).await?;
    // There is a diagnosis of that id, so it holds letters, digits, - and _ only.
    Ok(Redirect::to(&format!("/diagnoses/{id}#said")))
}

/// The button beside a cause; `likely` is the metric that is proposed.
pub(super) fn beside(id: &str, service: &RankedService, likely: Option<MetricKind>) -> Markup {
    let name = &service.service;
    let kinds: BTreeSet<MetricKind> = service.evidence.iter().map(|item| item.metric).chain(likely).collect();
    html! {
        form method="post" action={ "/diagnoses/" (id) "/confirmations" } {
            input type="hidden" name="root_cause" value=(name);
            @if !kinds.is_empty() {
                label { "Metric at fault" select name="metric" {
                    @for kind in kinds { option value=(kind.name()) selected[likely == Some(kind)] { (kind.name()) } }
                    option value="" { "not known" }
                } }
            }
            button.main type="submit" { "Confirm " (name) " as the root cause" }
        }
    }
}

/// The form for whatever else it was.
pub(super) fn otherwise(id: &str, ranked: &[RankedService]) -> Markup {
    html! {
        form method="post" action={ "/diagnoses/" (id) "/confirmations" } {
            fieldset {
                legend { "It was something else" }
                label { "Service at fault" input name="root_cause" list="services-known" maxlength="253" autocomplete="off"; }
                label { "Others at fault, with commas between" input name="others" maxlength="1000" autocomplete="off"; }
                datalist id="services-known" { @for service in ranked.iter().take(PROPOSED) { option value=(service.service) {} } }
                label { "Metric at fault" select name="metric" {
                    option value="" { "not known" }
                    @for kind in MetricKind::ALL { option value=(kind.name()) { (kind.name()) } }
                } }
                label { "Note" input name="note" maxlength="1000"; }
                label { "Your name" input name="confirmed_by" maxlength="253" autocomplete="name"; }
                button type="submit" { "Confirm" }
                button type="submit" name="reject" value="yes" { "Reject the diagnosis" }
            }
        }
    }
}

/// What was said of the incident so far.
pub(super) fn told(incident: &Result<Option<v1::Incident>, ServiceError>) -> Markup {
    html! {
        @match incident {
            Ok(None) => {},
            Err(error) => { p.told.problem { "What engineers said is not known now: " (error.message()) } },
            Ok(Some(incident)) => {
                @if !incident.confirmations.is_empty() {
                    div.told id="said" role="status" {
                        @for said in &incident.confirmations { p { (sentence(said)) } }
                    }
                }
            },
        }
    }
}

fn sentence(said: &v1::Confirmation) -> String {
    let by = if said.confirmed_by.is_empty() { "An engineer" } else { &said.confirmed_by };
    let metric = MetricKind::from_wire("metric", said.metric);
    let metric = metric.map_or_else(|_| String::new(), |kind| format!(" ({kind})"));
    let what = if said.root_causes.is_empty() {
        "rejected this diagnosis".to_owned()
    } else {
        format!("confirmed the root cause {}{metric}", said.root_causes.join(", "))
    };
    let note = if said.note.is_empty() { String::new() } else { format!(": {}", said.note) };
    format!("{by} {what}, {}{note}", time(said.confirmed_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_a_cause_or_rejects() {
        let said = Said { root_cause: " db ".into(), metric: "cpu".into(), ..Said::default() };
        let confirmation = said.into_confirmation().unwrap();
        assert_eq!(
            (confirmation.root_causes.as_slice(), confirmation.metric()),
            (&["db".to_owned()][..], v1::MetricKind::Cpu)
        );
        let rejected = Said { root_cause: "db".into(), reject: "yes".into(), ..Said::default() };
        assert!(rejected.into_confirmation().unwrap().root_causes.is_empty());
        assert_eq!(Said::default().into_confirmation().unwrap_err().field(), "root_cause");
        let odd = Said { root_cause: "db".into(), metric: "<b>".into(), ..Said::default() };
        assert!(odd.into_confirmation().is_err());
    }

    #[test]
    fn a_form_may_name_several_causes_each_once() {
        let causes = |root_cause: &str, others: &str| {
            let said = Said { root_cause: root_cause.into(), others: others.into(), ..Said::default() };
            said.into_confirmation().map(|confirmation| confirmation.root_causes)
        };
        assert_eq!(causes("db", " cart, mq ,,db").unwrap(), ["db", "cart", "mq"]);
        assert_eq!(causes("", "cart").unwrap(), ["cart"]);
        assert_eq!(causes("a, b", "").unwrap(), ["a, b"], "a comma of a name");
        assert_eq!(causes(" ", " , ").unwrap_err().field(), "root_cause");
    }

    #[test]
    fn what_was_said_is_a_sentence_and_names_are_escaped() {
        let confirmation = v1::Confirmation {
            root_causes: vec!["<b>db".into()],
            metric: v1::MetricKind::Cpu.into(),
            note: "<i>noisy".into(),
            confirmed_by: "<u>ada".into(),
            ..v1::Confirmation::default()
        };
        let incident = v1::Incident {
            confirmations: vec![confirmation, v1::Confirmation::default()],
            ..v1::Incident::default()
        };
        let text = told(&Ok(Some(incident))).into_string();
        assert!(text.contains("&lt;u&gt;ada confirmed the root cause &lt;b&gt;db (cpu)"), "{text}");
        assert!(text.contains("An engineer rejected this diagnosis"), "{text}");
        assert!(!text.contains("<b>") && !text.contains("<i>") && !text.contains("<u>"));
        assert_eq!(told(&Ok(None)).into_string(), "");
    }
}
