//! One diagnosis: the verdict, the reasons, the graph, and what engineers say.

use automap_proto::{
    metric::MetricKind,
    ranking::RankedService,
    v1::{self, DiagnosisState, walker_service_server::WalkerService as _},
};
use automap_service_kit::error::ServiceError;
use axum::{
    extract::{Path, Query, State},
    http::Extensions,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    Page,
    ask::{may_confirm, rpc},
    confirm,
    failure::PageError,
    layout::{Live, Visitor, page},
};
use crate::report::{
    answer::Answer,
    context::time,
    drawing::picture::{Picture, Size},
    gaps, sections,
};

/// How much is shown.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// `large` for more of the graph.
    graph: String,
    /// `all` for every service in the table.
    services: String,
}

impl Wanted {
    fn size(&self) -> Size {
        if self.graph == "large" { Size::LARGE } else { Size::USUAL }
    }

    fn rows(&self) -> usize {
        if self.services == "all" { usize::MAX } else { sections::MAX_LISTED }
    }
}

/// The page of a diagnosis.
pub(super) async fn show(
    State(state): State<Page>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    caller: Extensions,
) -> Result<Markup, PageError> {
    let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.clone() };
    let reader = Reader { visitor: Visitor::of(&caller), may_confirm: may_confirm(&caller) };
    let found = state.walker.get_diagnosis(rpc(request, caller)).await?.into_inner();
    let diagnosis = found.diagnosis.unwrap_or_default();
    if diagnosis.state() != DiagnosisState::Done {
        return Ok(unfinished(&id, &diagnosis, &reader.visitor));
    }
    // Without the profiler the answer is worth reading all the same.
    let incident = match diagnosis.incident_id.as_str() {
        "" => Ok(None),
        id => state.walker.incident(id).await,
    };
    let answer = Answer::try_from(diagnosis).map_err(ServiceError::from)?;
    let drawn = drawn(answer, wanted.size()).await?;
    Ok(finished(&drawn, &wanted, &incident, &reader))
}

/// Who reads it.
struct Reader {
    visitor: Visitor,
    may_confirm: bool,
}

/// An answer with the picture of its graph, where it has one.
struct Drawn {
    answer: Answer,
    picture: Option<(Picture, Markup)>,
}

/// Lays the graph out, off the threads that answer others. A graph that the library cannot lay out is left out.
async fn drawn(answer: Answer, size: Size) -> Result<Drawn, ServiceError> {
    let graph = answer.graph.clone();
    let (ranking, front_end) = (answer.ranking.clone(), answer.wire.front_end.clone());
    let picture = tokio::task::spawn_blocking(move || {
        let picture = Picture::of_diagnosis(graph.as_ref()?, &ranking, &front_end, size);
        let element = crate::report::drawing::svg::element(&picture);
        Some((picture, element))
    });
    let picture = picture.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a graph could not be laid out");
        None
    });
    Ok(Drawn { answer, picture })
}

fn unfinished(id: &str, diagnosis: &v1::Diagnosis, visitor: &Visitor) -> Markup {
    let running = diagnosis.state() == DiagnosisState::Running;
    let what = match diagnosis.state() {
        DiagnosisState::Running => "A diagnosis is under way",
        DiagnosisState::Cancelled => "The diagnosis was cancelled",
        _ => "The diagnosis failed",
    };
    let title = format!("{what}: {}", diagnosis.system);
    let content = html! {
        h1 { (title) }
        p.identity { (id) " · begun " (time(diagnosis.created_at)) }
        @if running {
            p.told id="progress" role="status" { "This page shows the answer when it is there." }
        } @else if !diagnosis.failure.is_empty() {
            p.told.problem { (diagnosis.failure) }
        }
    };
    page(&title, if running { Live::One(id) } else { Live::No }, visitor, &content)
}

fn finished(
    drawn: &Drawn,
    wanted: &Wanted,
    incident: &Result<Option<v1::Incident>, ServiceError>,
    reader: &Reader,
) -> Markup {
    let answer = &drawn.answer;
    let id = &answer.wire.diagnosis_id;
    let ranked = answer.ranking.services();
    let may_confirm = reader.may_confirm && !answer.wire.incident_id.is_empty();
    let beside = |service: &RankedService| match may_confirm {
        true => confirm::beside(id, service, likely_metric(answer, service)),
        false => html! {},
    };
    let all = html! { a href={ "/diagnoses/" (id) "?services=all#services" } { "Show all services" } "." };
    let content = html! {
        (sections::verdict(answer))
        p.identity { a href={ "/diagnoses/" (id) } { (id) } " · " (time(answer.wire.created_at)) }
        (confirm::told(incident))
        (sections::causes(answer, beside))
        @if may_confirm { (confirm::otherwise(id, ranked)) }
        @match &drawn.picture {
            Some((picture, element)) => { (sections::graph(picture, element, &more(id, picture, wanted))) },
            None => { h2 id="graph" { "Behaviour graph" } p { "This diagnosis has no graph that could be drawn." } },
        }
        (sections::table(ranked, wanted.rows(), &all))
        (gaps::table(answer, wanted.rows(), &all))
        (sections::similar(answer))
        (sections::notes(answer))
        (details(&answer.wire))
    };
    page(&sections::headline(answer), Live::No, &reader.visitor, &content)
}

/// The metric that the answer holds at fault, or else the one that speaks loudest against the service.
fn likely_metric(answer: &Answer, service: &RankedService) -> Option<MetricKind> {
    let assessed = answer.assessment.as_ref().filter(|_| service.rank == 1);
    let at_fault = assessed.and_then(|assessment| assessment.root_cause_metrics.first());
    at_fault.map(|candidate| candidate.metric).or_else(|| service.evidence.first().map(|item| item.metric))
}

/// A link to more of the graph where some was left out.
fn more(id: &str, picture: &Picture, wanted: &Wanted) -> Markup {
    html! {
        @if let Some(note) = picture.note() {
            p.small { (note) ". "
                @if wanted.size() == Size::USUAL { a href={ "/diagnoses/" (id) "?graph=large#graph" } { "Draw more of it" } "." }
                @else { a href={ "/diagnoses/" (id) "#graph" } { "Draw less of it" } "." }
            }
        }
    }
}

/// What the answer was made with.
fn details(wire: &v1::Diagnosis) -> Markup {
    let seconds = |stage: &v1::StageTime| {
        let took = stage.duration.unwrap_or_default();
        format!("{:.3} s", took.seconds as f64 + f64::from(took.nanos) / 1e9)
    };
    html! {
        details {
            summary { "How it was made" }
            div.wide tabindex="0" role="group" aria-label="How the answer was made" { table { tbody {
                tr { th scope="row" { "version" } td { (wire.version) } }
                tr { th scope="row" { "seed" } td { (wire.seed) } }
                @if !wire.incident_id.is_empty() { tr { th scope="row" { "incident" } td { (wire.incident_id) } } }
                @for stage in &wire.stages { tr { th scope="row" { "time to " (stage.stage) } td { (seconds(stage)) } } }
                @for (name, value) in sorted(wire) { tr { th scope="row" { (name) } td { (value) } } }
            } } }
        }
    }
}

fn sorted(wire: &v1::Diagnosis) -> Vec<(&String, &String)> {
    let mut settings: Vec<_> = wire.settings.iter().collect();
    settings.sort();
    settings
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::{BehaviorGraph, EdgeWeights};

    use super::*;

    /// An answer about so many services with five edges each, whose names a browser might obey.
    fn answer(services: usize) -> Answer {
        let name = |index: usize| format!("<script>{index:04}</script>\"'&");
        let mut graph = BehaviorGraph::new((0..services).map(name).collect()).unwrap();
        let weights = EdgeWeights::from_counts([1, 0, 0, 1, 0, 0, 0]).unwrap();
        for from in 0..services {
            for step in 1..=5 {
                graph.set_edge(from, (from + step * step) % services, weights).unwrap();
            }
        }
        let ranked = (0..services).map(|index| v1::RankedService {
            rank: u32::try_from(index + 1).unwrap(),
            service: name(index),
            score: 1.0 / (index + 1) as f64,
            path: vec![name(0), name(index)],
            path_share: 0.5,
            ..v1::RankedService::default()
        });
        Answer::try_from(v1::Diagnosis {
            diagnosis_id: "d-1".into(),
            incident_id: "inc-1".into(),
            system: name(0),
            front_end: name(0),
            method: v1::Method::Automap.into(),
            ranking: ranked.collect(),
            behavior_graph: Some(v1::ExplainedGraph {
                graph: Some((&graph).into()),
                ..v1::ExplainedGraph::default()
            }),
            settings: [("automap.alpha".to_owned(), "<b>0.05".to_owned())].into(),
            warnings: vec!["<b>beware".into()],
            ..v1::Diagnosis::default()
        })
        .unwrap()
    }

    async fn rendered(services: usize, wanted: &Wanted, may_confirm: bool) -> String {
        let drawn = drawn(answer(services), wanted.size()).await.unwrap();
        let reader = Reader { visitor: Visitor::Any, may_confirm };
        finished(&drawn, wanted, &Ok(None), &reader).into_string()
    }

    #[tokio::test]
    async fn of_many_services_a_part_is_drawn_and_listed_and_the_rest_on_demand() {
        let usual = rendered(2000, &Wanted::default(), true).await;
        assert_eq!(usual.matches("<rect class=\"node").count(), Size::USUAL.services);
        assert_eq!(
            usual.matches("<th scope=\"row\">").count(),
            sections::MAX_LISTED + 4,
            "settings among them"
        );
        assert!(usual.contains("graph=large") && usual.contains("services=all"));
        assert!(usual.len() < 300_000, "{} bytes", usual.len());
        let wanted = Wanted { graph: "large".into(), services: "all".into() };
        let large = rendered(2000, &wanted, true).await;
        assert_eq!(large.matches("<rect class=\"node").count(), Size::LARGE.services);
        assert!(large.matches("<th scope=\"row\">").count() >= 2000);
    }

    #[tokio::test]
    async fn names_stay_text_and_nothing_is_inline() {
        let page = rendered(30, &Wanted::default(), true).await;
        for hostile in ["<script>", "<b>", "style=", "onclick", "<style"] {
            assert!(!page.contains(hostile), "{hostile}");
        }
        assert!(page.contains("&lt;script&gt;0001&lt;/script&gt;&quot;"), "{page}");
    }

    #[tokio::test]
    async fn who_may_not_confirm_is_not_asked_to() {
        assert!(rendered(40, &Wanted::default(), true).await.contains("<form"));
        assert!(!rendered(40, &Wanted::default(), false).await.contains("<form"));
    }

    #[test]
    fn a_diagnosis_that_runs_is_followed_and_one_that_failed_says_why() {
        let running = v1::Diagnosis { state: DiagnosisState::Running.into(), ..v1::Diagnosis::default() };
        let page = unfinished("d-1", &running, &Visitor::Any).into_string();
        assert!(page.contains("data-follows=\"d-1\"") && page.contains("http-equiv=\"refresh\""), "{page}");
        let failed = v1::Diagnosis {
            state: DiagnosisState::Failed.into(),
            failure: "<b>no data".into(),
            ..v1::Diagnosis::default()
        };
        let page = unfinished("d-1", &failed, &Visitor::Any).into_string();
        assert!(page.contains("&lt;b&gt;no data") && !page.contains("refresh"), "{page}");
    }
}
