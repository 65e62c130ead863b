//! `automap incidents`: past incidents, and what engineers said of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`report`] | how incidents look, for people and for programs |

pub mod arguments;
pub mod report;

use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::{client::Channel, error::ServiceError};

use arguments::{
    ConfirmArgs, DeleteArgs, IncidentsCommand, JudgementArgs, ListArgs, RejectArgs, ShowArgs, SimilarArgs,
};
use report::{IncidentReport, SimilarReport};

use crate::{
    arguments::AnswerFormat,
    failure::Failure,
    profiler_client::{Need, Profiler, StoreArgs},
    stdout,
};

/// Incidents of one page.
const PAGE: u32 = 500;

type Client = ProfilerServiceClient<Channel>;

/// Runs the command.
///
/// # Errors
/// There is no such incident or service, or the store or the profiler cannot be reached.
pub async fn run(command: IncidentsCommand) -> Result<(), Failure> {
    match command {
        IncidentsCommand::List(args) => list(args).await,
        IncidentsCommand::Show(args) => show(args).await,
        IncidentsCommand::Confirm(args) => confirm(args).await,
        IncidentsCommand::Reject(args) => reject(args).await,
        IncidentsCommand::Similar(args) => similar(args).await,
        IncidentsCommand::Delete(args) => delete(args).await,
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let profiler = Profiler::open(&args.place, Need::Existing).await?;
    let (mut incidents, more) = profiler
        .ask(|mut client| async move {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let left = args.limit.saturating_sub(found.len() as u32);
                let request = v1::ListIncidentsRequest {
                    system: args.system.clone().unwrap_or_default(),
                    confirmed_only: args.confirmed,
                    page_size: left.min(PAGE),
                    page_token,
                };
                let page = client.list_incidents(request).await.map_err(ServiceError::from)?.into_inner();
                found.extend(page.incidents);
                page_token = page.next_page_token;
                if page_token.is_empty() || found.len() >= args.limit as usize {
                    return Ok((found, !page_token.is_empty()));
                }
            }
        })
        .await?;
    let reports: Vec<IncidentReport> = incidents.drain(..).map(IncidentReport::from).collect();
    match args.output {
        AnswerFormat::Json => stdout::print_json(&reports)?,
        AnswerFormat::Table => stdout::print(&report::table(&reports))?,
    }
    if more {
        stdout::note("there are more; --limit N lists more");
    }
    Ok(())
}

async fn show(args: ShowArgs) -> Result<(), Failure> {
    let profiler = Profiler::open(&args.place, Need::Existing).await?;
    let incident = profiler.ask(|client| get(client, args.id)).await?;
    print(incident, args.output)
}

async fn confirm(args: ConfirmArgs) -> Result<(), Failure> {
    let confirmation = v1::Confirmation {
        root_causes: args.services,
        metric: args.metric.map_or(0, |metric| metric.to_wire().into()),
        ..judgement(args.judgement)
    };
    judge(&args.place, args.id, confirmation, args.output).await
}

async fn reject(args: RejectArgs) -> Result<(), Failure> {
    judge(&args.place, args.id, judgement(args.judgement), args.output).await
}

fn judgement(args: JudgementArgs) -> v1::Confirmation {
    v1::Confirmation { note: args.note, confirmed_by: args.by, ..v1::Confirmation::default() }
}

async fn judge(
    place: &StoreArgs,
    incident_id: String,
    confirmation: v1::Confirmation,
    output: AnswerFormat,
) -> Result<(), Failure> {
    let profiler = Profiler::open(place, Need::Existing).await?;
    let request = v1::ConfirmRootCauseRequest { incident_id, confirmation: Some(confirmation) };
    let incident = profiler
        .ask(|mut client| async move {
            let answer = client.confirm_root_cause(request).await;
            Ok(answer.map_err(|status| misnamed(status.into()))?.into_inner().incident.unwrap_or_default())
        })
        .await?;
    print(incident, output)
}

async fn similar(args: SimilarArgs) -> Result<(), Failure> {
    let profiler = Profiler::open(&args.place, Need::Existing).await?;
    let (id, limit, confirmed_only) = (args.id, args.limit, args.confirmed);
    let found = profiler
        .ask(|mut client| async move {
            let incident = get(client.clone(), id.clone()).await?;
            if incident.anomaly_graph.is_none() {
                return Ok(None);
            }
            let request = v1::FindSimilarIncidentsRequest {
                system: incident.context.unwrap_or_default().system,
                anomaly_graph: incident.anomaly_graph,
                profiles: incident.profiles,
                limit,
                confirmed_only,
                exclude_incident_id: id,
            };
            let answer = client.find_similar_incidents(request).await.map_err(ServiceError::from)?;
            Ok(Some(answer.into_inner().similar))
        })
        .await?;
    let Some(found) = found else {
        return match args.output {
            AnswerFormat::Json => {
                stdout::note(report::NOT_COMPARED);
                stdout::print_json(&Vec::<SimilarReport>::new())
            }
            AnswerFormat::Table => stdout::print(&format!("{}\n", report::NOT_COMPARED)),
        };
    };
    let reports: Vec<SimilarReport> = found.into_iter().map(SimilarReport::from).collect();
    match args.output {
        AnswerFormat::Json => stdout::print_json(&reports),
        AnswerFormat::Table => stdout::print(&report::similar_table(&reports)),
    }
}

async fn delete(args: DeleteArgs) -> Result<(), Failure> {
    let profiler = Profiler::open(&args.place, Need::Existing).await?;
    let ids = args.ids;
    profiler
        .ask(|mut client| async move {
            for incident_id in ids {
                let request = v1::DeleteIncidentRequest { incident_id: incident_id.clone() };
                client.delete_incident(request).await.map_err(|status| misnamed(status.into()))?;
                stdout::print(&format!("deleted incident {incident_id}\n"))?;
            }
            Ok(())
        })
        .await
}

async fn get(mut client: Client, incident_id: String) -> Result<v1::Incident, Failure> {
    let answer = client.get_incident(v1::GetIncidentRequest { incident_id }).await;
    Ok(answer.map_err(|status| misnamed(status.into()))?.into_inner().incident.unwrap_or_default())
}

/// An id or a service that does not exist was typed wrongly.
fn misnamed(error: ServiceError) -> Failure {
    use automap_service_kit::error::ErrorCode;
    match error.code() {
        ErrorCode::NotFound => {
            Failure::Usage(error.message().replace("ListIncidents names", "`automap incidents list` names"))
        }
        ErrorCode::InvalidInput => Failure::Usage(error.message().into()),
        _ => error.into(),
    }
}

fn print(incident: v1::Incident, output: AnswerFormat) -> Result<(), Failure> {
    let report = IncidentReport::from(incident);
    match output {
        AnswerFormat::Json => stdout::print_json(&report),
        AnswerFormat::Table => stdout::print(&report.text()),
    }
}
