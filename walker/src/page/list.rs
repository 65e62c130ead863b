//! The list of diagnoses, newest first.

use automap_proto::v1::{self, DiagnosisState, walker_service_server::WalkerService as _};
use axum::{
    extract::{Query, State},
    http::Extensions,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Page,
    ask::rpc,
    failure::PageError,
    layout::{Live, Visitor, page},
};
use crate::report::{context::time, verdict::how_often_right};

/// Diagnoses on one page of the list.
const PAGE_SIZE: u32 = 50;

/// What is listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Of one application; empty for all.
    system: String,
    /// Where the page before ended.
    from: String,
}

/// The list.
pub(super) async fn show(
    State(state): State<Page>,
    Query(wanted): Query<Wanted>,
    caller: Extensions,
) -> Result<Markup, PageError> {
    let request = v1::WalkerServiceListDiagnosesRequest {
        system: wanted.system.trim().to_owned(),
        page_size: PAGE_SIZE,
        page_token: wanted.from,
        ..Default::default()
    };
    let visitor = Visitor::of(&caller);
    let listed = state.walker.list_diagnoses(rpc(request, caller)).await?.into_inner();
    Ok(page("Diagnoses", Live::All, &visitor, &content(&wanted.system, &listed)))
}

fn content(system: &str, listed: &v1::WalkerServiceListDiagnosesResponse) -> Markup {
    html! {
        h1 { "Diagnoses" }
        form method="get" action="/diagnoses" role="search" {
            label { "System" input name="system" value=(system) maxlength="253"; }
            button type="submit" { "Show" }
        }
        div role="status" aria-label="Diagnoses that run now" { ul id="running" {} }
        div id="diagnoses" {
            @if listed.diagnoses.is_empty() {
                p { "No diagnosis is kept here yet. An alert begins one, or a call of " code { "StartDiagnosis" } "." }
            } @else {
                ol.list { @for diagnosis in &listed.diagnoses { (entry(diagnosis)) } }
            }
            @if !listed.next_page_token.is_empty() {
                p { a href=(older(system, &listed.next_page_token)) { "Older diagnoses" } }
            }
        }
    }
}

fn older(system: &str, token: &str) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    format!("/diagnoses?system={}&from={}", escaped(system), escaped(token))
}

fn entry(diagnosis: &v1::Diagnosis) -> Markup {
    let (class, state) = state(diagnosis);
    let front_end = &diagnosis.front_end;
    html! {
        li {
            p { span.state.(class) { (state) } }
            p.what {
                a href={ "/diagnoses/" (diagnosis.diagnosis_id) } {
                    (diagnosis.system) @if !front_end.is_empty() { ", alert on " (front_end) }
                }
                (outcome(diagnosis))
            }
            p { time { (time(diagnosis.created_at)) } }
        }
    }
}

fn outcome(diagnosis: &v1::Diagnosis) -> Markup {
    let abstained = abstained(diagnosis);
    let confidence = diagnosis.assessment.as_ref().map(|known| known.confidence);
    html! {
        @if diagnosis.state() == DiagnosisState::Failed {
            ": " (diagnosis.failure)
        } @else if let Some(first) = diagnosis.ranking.first() {
            @if abstained { ": no root cause stands out; first is " (first.service) }
            @else {
                ": " strong { (first.service) }
                @if let Some(confidence) = confidence { ", " (how_often_right(confidence)) }
            }
        }
    }
}

fn abstained(diagnosis: &v1::Diagnosis) -> bool {
    diagnosis.assessment.as_ref().is_some_and(|known| known.abstention() != v1::Abstention::Unspecified)
}

/// The class and the word of a state.
fn state(diagnosis: &v1::Diagnosis) -> (&'static str, &'static str) {
    match diagnosis.state() {
        DiagnosisState::Done if abstained(diagnosis) => ("state-abstained", "abstained"),
        DiagnosisState::Done => ("state-done", "done"),
        DiagnosisState::Running => ("state-running", "running"),
        DiagnosisState::Failed => ("state-failed", "failed"),
        DiagnosisState::Cancelled => ("state-cancelled", "cancelled"),
        _ => ("state-cancelled", "unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lead_to_diagnoses_and_escape_what_they_show() {
        let diagnosis = v1::Diagnosis {
            diagnosis_id: "d-1".into(),
            system: "<script>alert(1)</script>".into(),
            front_end: "\"><img src=x onerror=alert(1)>".into(),
            state: DiagnosisState::Done.into(),
            ranking: vec![v1::RankedService {
                rank: 1,
                service: "<b>db".into(),
                ..v1::RankedService::default()
            }],
            ..v1::Diagnosis::default()
        };
        let failed = v1::Diagnosis {
            state: DiagnosisState::Failed.into(),
            failure: "<i>no".into(),
            ..v1::Diagnosis::default()
        };
        let listed = v1::WalkerServiceListDiagnosesResponse {
            diagnoses: vec![diagnosis, failed],
            next_page_token: "a+/&\"".into(),
        };
        let text = content("\"x&y", &listed).into_string();
        assert!(text.contains("href=\"/diagnoses/d-1\"") && text.contains("&lt;b&gt;db"), "{text}");
        for hostile in ["<script", "<img", "<b>", "<i>", "\"x&y"] {
            assert!(!text.contains(hostile), "{hostile} in {text}");
        }
        assert!(text.contains("/diagnoses?system=%22x%26y&amp;from=a%2B%2F%26%22"), "{text}");
    }
}
