//! Expressions asked over a grid: in parts that the server allows, several at once, merged into rows.

use std::sync::atomic::{AtomicBool, Ordering};

use automap_proto::time::{TimeGrid, UnixMillis};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant as Moment, timeout_at};

use super::{
    answer_stream::Envelope,
    api::{Api, Notes},
    fault::{FaultKind, QueryFault},
    parts::{MAX_POINTS, Part},
    rows::{Naming, PartRows, Rows, merge},
    sample_budget::SampleBudget,
    series_answer::{self, Labels},
};
use crate::listing::cut;

/// Most warnings, and most notes beside them, that an answer is believed to have; Prometheus itself says ten.
const MOST_NOTES: usize = 10;
/// Most sentences told of one expression: warnings, notes, and that its answer is partial.
const MOST_TOLD: usize = 2 * MOST_NOTES + 1;
/// What a note that is no warning begins with.
const NOTES: &str = "the server notes: ";
/// Longest one, bytes.
const NOTE_BYTES: usize = 500;

/// An expression to ask.
#[derive(Debug, Clone)]
pub(crate) struct Query<'a> {
    /// What it is for, in messages.
    pub(crate) purpose: String,
    /// PromQL with nothing left to fill in.
    pub(crate) expression: String,
    pub(crate) naming: Naming<'a>,
    /// What values are multiplied with.
    pub(crate) factor: f64,
}

/// What an expression answered over the grid.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fetched {
    pub(crate) rows: Rows,
    /// Series without a name.
    pub(crate) unnamed: usize,
}

/// Asks every query over the whole grid, at most `concurrent-queries` at once, those of other collections included. The
/// answers stand in the order of the queries, whatever came first; notes of the server go to `notes`. A query that is
/// answered too late, or not `until` then, fails by itself.
///
/// # Errors
/// A query failed in another way, or all answers together hold more than `max_samples`, as they came or as rows over the whole
/// grid.
pub(crate) async fn fetch(
    api: &Api,
    grid: &TimeGrid,
    queries: &[Query<'_>],
    until: Option<Moment>,
    max_samples: usize,
    notes: &mut Notes,
) -> Result<Vec<Result<Fetched, QueryFault>>, QueryFault> {
    let parts = Part::of(grid, MAX_POINTS);
    let jobs: Vec<(usize, Part)> =
        (0..queries.len()).flat_map(|index| parts.iter().map(move |part| (index, *part))).collect();
    let budget = &SampleBudget::new(grid.samples(), max_samples);
    let late: &Vec<AtomicBool> = &queries.iter().map(|_| AtomicBool::new(false)).collect();
    let mut answers: Vec<(usize, Result<Answered, QueryFault>)> = futures::stream::iter(jobs)
        .map(|(index, part)| async move {
            // A part of what is late does not stand for the whole: the others need not be asked for.
            if late[index].load(Ordering::Relaxed) || until.is_some_and(|until| Moment::now() >= until) {
                return Ok::<_, QueryFault>((index, Err(out_of_time(&queries[index].purpose))));
            }
            let asked = fetch_part(api, grid, &queries[index], part, budget);
            let answered = match in_time(asked, until, &queries[index].purpose).await {
                Err(fault) if fault.kind == FaultKind::Timeout => {
                    late[index].store(true, Ordering::Relaxed);
                    return Ok((index, Err(fault)));
                }
                answered => answered?,
            };
            budget
                .count_rows(index, answered.parts.iter().flat_map(|(_, rows)| rows.keys()))
                .map_err(|fault| QueryFault::from(fault).context(&queries[index].purpose))?;
            Ok((index, Ok(answered)))
        })
        .buffer_unordered(api.config().concurrent_queries)
        .try_collect()
        .await?;
    answers.sort_by_key(|(index, answered)| {
        (
            *index,
            answered.as_ref().ok().and_then(|answered| answered.parts.first()).map(|(part, _)| part.first),
        )
    });
    let mut parts: Vec<Vec<(Part, Rows)>> = vec![Vec::new(); queries.len()];
    let mut said = vec![Notes::new(); queries.len()];
    let mut fetched: Vec<Result<Fetched, QueryFault>> = vec![Ok(Fetched::default()); queries.len()];
    for (index, answered) in answers {
        match (answered, &mut fetched[index]) {
            (Ok(answered), Ok(whole)) => {
                parts[index].extend(answered.parts);
                whole.unnamed = whole.unnamed.max(answered.unnamed);
                said[index].extend(answered.notes);
            }
            (Err(fault), whole) if whole.is_ok() => *whole = Err(fault),
            _ => {}
        }
    }
    for (query, said) in queries.iter().zip(said) {
        notes.extend(most_telling(said).map(|note| format!("{}: {note}", query.purpose)));
    }
    for ((whole, parts), query) in fetched.iter_mut().zip(parts).zip(queries) {
        if let Ok(whole) = whole {
            whole.rows = merge(grid, parts, query.factor);
        }
    }
    Ok(fetched)
}

/// What `asked` answers, unless it takes longer than `until`; `purpose` says in a message what it is for.
///
/// # Errors
/// That of `asked`, or that it is late.
pub(crate) async fn in_time<T>(
    asked: impl Future<Output = Result<T, QueryFault>>,
    until: Option<Moment>,
    purpose: &str,
) -> Result<T, QueryFault> {
    let Some(until) = until else { return asked.await };
    timeout_at(until, asked).await.unwrap_or_else(|_| Err(out_of_time(purpose)))
}

fn out_of_time(purpose: &str) -> QueryFault {
    let late =
        "did not answer in the time that the caller allows; where many ask at once, raise concurrent-queries";
    QueryFault::new(FaultKind::Timeout, late).context(purpose)
}

struct Answered {
    parts: Vec<(Part, Rows)>,
    unnamed: usize,
    notes: Notes,
}

/// Asks one part, and where the server refuses it as too much, its halves.
async fn fetch_part(
    api: &Api,
    grid: &TimeGrid,
    query: &Query<'_>,
    part: Part,
    budget: &SampleBudget,
) -> Result<Answered, QueryFault> {
    let mut answered = Answered { parts: Vec::new(), unnamed: 0, notes: Notes::new() };
    let mut waiting = vec![part];
    while let Some(part) = waiting.pop() {
        let asked = ask_range(api, grid, query, part, budget).await;
        let (rows, envelope) = match (asked, part.halves()) {
            (Err(fault), Some([one, other])) if fault.kind == FaultKind::TooManySamples => {
                tracing::debug!(points = part.points, "the server finds this too much; asking in halves");
                waiting.extend([other, one]);
                continue;
            }
            (Err(fault), _) => {
                let quoted = brief(&query.expression);
                return Err(fault.context(&format!("{} ({quoted})", query.purpose)));
            }
            (Ok(asked), _) => asked,
        };
        let (rows, unnamed) =
            rows.finish(&query.naming).map_err(|fault| QueryFault::from(fault).context(&query.purpose))?;
        answered.parts.push((part, rows));
        answered.unnamed = answered.unnamed.max(unnamed);
        answered.notes.extend(notes_of(envelope));
    }
    Ok(answered)
}

async fn ask_range<'b>(
    api: &Api,
    grid: &TimeGrid,
    query: &Query<'_>,
    part: Part,
    budget: &'b SampleBudget,
) -> Result<(PartRows<'b>, Envelope), QueryFault> {
    let seconds = |time: UnixMillis| format!("{}.{:03}", time.0.div_euclid(1000), time.0.rem_euclid(1000));
    let (start, end) = (seconds(part.start(grid)), seconds(part.end(grid)));
    let step = format!("{}", grid.step_ms() as f64 / 1000.0);
    let parameters =
        [("query", query.expression.as_str()), ("start", &start), ("end", &end), ("step", &step)];
    let (rows, envelope) = api
        .ask(
            "query_range",
            &parameters,
            || PartRows::new(*grid, part, budget),
            |rows, element| Ok(rows.take(element, &query.naming)?),
        )
        .await?;
    match envelope.data.get("resultType").and_then(serde_json::Value::as_str) {
        Some("matrix") => Ok((rows, envelope)),
        Some(other) => Err(QueryFault::new(
            FaultKind::BadQuery,
            format!("answered a {other} where samples over time were asked for"),
        )),
        None => Err(QueryFault::new(
            FaultKind::Refused,
            "answered without a result; is this the HTTP API of Prometheus?",
        )),
    }
}

/// Asks an expression at one time; a range selector answers raw samples, unix seconds and values. Each of the first `most`
/// series is handed to `take`, which keeps of it what it needs: whole, millions of them take gigabytes.
///
/// # Errors
/// The query failed.
pub(crate) async fn ask_instant<T: Default>(
    api: &Api,
    expression: &str,
    time: UnixMillis,
    most: usize,
    take: impl Fn(&mut T, Labels, Vec<(f64, f64)>),
) -> Result<(T, Notes), QueryFault> {
    let time = format!("{}.{:03}", time.0.div_euclid(1000), time.0.rem_euclid(1000));
    let parameters = [("query", expression), ("time", &time)];
    let each = |(taken, series): &mut (T, usize), element: &[u8]| {
        if *series < most {
            let mut samples = Vec::new();
            let (labels, _) = series_answer::parse(element, |time, value| samples.push((time, value)))
                .map_err(|error| {
                    QueryFault::new(FaultKind::BadQuery, format!("answered what is no series: {error}"))
                })?;
            take(taken, labels, samples);
            *series += 1;
        }
        Ok::<(), QueryFault>(())
    };
    let ((taken, _), envelope) = api.ask("query", &parameters, <(T, usize)>::default, each).await?;
    Ok((taken, notes_of(envelope).into_iter().collect()))
}

/// How many series an expression has at one time.
///
/// # Errors
/// As [`ask_instant`].
pub(crate) async fn count_instant(
    api: &Api,
    expression: &str,
    time: UnixMillis,
) -> Result<(usize, Notes), QueryFault> {
    ask_instant(api, expression, time, usize::MAX, |count: &mut usize, _, _| *count += 1).await
}

/// What an answer says besides its series, as much of it as a person reads.
fn notes_of(envelope: Envelope) -> Vec<String> {
    let said = |texts: Vec<String>| texts.into_iter().take(MOST_NOTES).map(|text| cut(text, NOTE_BYTES));
    let partial = envelope
        .is_partial
        .then(|| "the server answered in part only: some of its stores do not answer".to_owned());
    let warnings = said(envelope.warnings).map(|text| format!("the server warns: {text}"));
    let infos = said(envelope.infos).map(|text| format!("{NOTES}{text}"));
    partial.into_iter().chain(warnings).chain(infos).collect()
}

/// What of all that was said of an expression is told. Many parts may each have been told something else, and what matters
/// less must not take the room of what matters more.
fn most_telling(said: Notes) -> impl Iterator<Item = String> {
    let (less, more): (Vec<String>, Vec<String>) = said.into_iter().partition(|note| note.starts_with(NOTES));
    more.into_iter().chain(less).take(MOST_TOLD)
}

/// An expression in one line, shortened.
pub(crate) fn brief(expression: &str) -> String {
    const SHOWN: usize = 160;
    let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > SHOWN { line.chars().take(SHOWN).chain(['…']).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_many_parts_leave_room_for_a_warning_and_no_more_than_a_person_reads() {
        let mut said: Notes = (0..30).map(|index| format!("{NOTES}{index}")).collect();
        let warning = "the server warns: one store is gone".to_owned();
        said.insert(warning.clone());
        let told: Vec<String> = most_telling(said).collect();
        assert_eq!((told.len(), &told[0]), (MOST_TOLD, &warning));
    }
}
