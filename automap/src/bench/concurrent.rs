//! `automap bench concurrent`: many callers who want an incident diagnosed at the same moment.

use std::{
    collections::BTreeMap,
    path::Path,
    thread::available_parallelism,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use automap_proto::{
    metric::METRIC_COUNT,
    v1::{self, diagnose_response::Part, walker_service_client::WalkerServiceClient},
};
use automap_service_kit::{
    client::{Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
    server::ServerConfig,
};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use prost::Message as _;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    diagnose::{FAULT_SHARE, metrics_file},
    load::{FRONT_END, Load},
    meter,
};
use crate::{
    arguments::{AnswerFormat, BenchConcurrentArgs},
    embedded::Embedded,
    failure::Failure,
    services_config::ServicesConfig,
    stdout,
};

/// Diagnoses one after the other, before and again after the burst.
const ALONE: usize = 20;

/// How long a caller keeps coming back.
const PATIENCE: Duration = Duration::from_secs(900);

/// Callers that were told to come back come up to so much later, each by another share of it.
const LATER: f64 = 0.05;
/// Callers after which the shares begin anew.
const SHARES: usize = 16;

/// Name of the recording.
const RECORDING: &str = "incident";

/// Runs the command.
///
/// # Errors
/// The services cannot be started, or a diagnosis failed.
pub async fn run(args: &BenchConcurrentArgs) -> Result<(), Failure> {
    let load = Load {
        services: args.services,
        samples: args.samples,
        metrics: METRIC_COUNT,
        shared: false,
        seed: args.seed,
    };
    let report = bench(&load, args.calls, args.bursts).await?;
    match args.output {
        AnswerFormat::Table => stdout::print(&report.table())?,
        AnswerFormat::Json => stdout::print_json(&report)?,
    }
    if report.wrong > 0 || report.lost > 0 {
        return Err(anyhow::anyhow!("{} answers are wrong, {} are lost", report.wrong, report.lost).into());
    }
    Ok(())
}

/// What callers who come all at once get, beside one who is alone, from one run of all four services in this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Services of the incident.
    pub services: usize,
    /// Samples of each of its series.
    pub samples: usize,
    /// Cores.
    pub cores: usize,
    /// Callers who came at once.
    pub calls: usize,
    /// The median of `burst_to_alone` over the bursts.
    pub burst_to_alone: f64,
    /// Callers without an answer, of all bursts.
    pub lost: usize,
    /// Answers that differ from that of a caller who was alone, of all bursts.
    pub wrong: usize,
    /// Burst for burst, in order of time.
    pub bursts: Vec<Burst>,
}

/// One burst of callers, beside diagnoses alone before and after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Burst {
    /// One diagnosis that has the machine for itself, the median of those before and after, seconds.
    pub alone_seconds: f64,
    /// Time on cores of it, the mean, seconds.
    pub alone_cpu_seconds: f64,
    /// From the first call to the last answer, seconds.
    pub seconds: f64,
    /// Diagnoses a second while all came at once.
    pub per_second: f64,
    /// `per_second` / (cores / `alone_seconds`).
    pub burst_to_alone: f64,
    /// Share of the cores that the burst kept busy.
    pub busy_share: f64,
    /// From a caller's first call to his answer, the median, seconds.
    pub p50_seconds: f64,
    /// The same, 99 of 100.
    pub p99_seconds: f64,
    /// Times that callers were refused and told when to come back.
    pub refusals: usize,
    /// Callers without an answer.
    pub lost: usize,
    /// Answers that differ from that of a caller who was alone.
    pub wrong: usize,
    /// Memory of the process before the burst, bytes.
    pub resident_before_bytes: Option<u64>,
    /// At its peak within the burst, bytes.
    pub resident_peak_bytes: Option<u64>,
}

/// One caller's answer.
struct Call {
    answer: Result<v1::Diagnosis, ServiceError>,
    took: Duration,
    refusals: usize,
}

/// Diagnoses a generated incident alone, then with so many callers at once, then alone again, and so on.
///
/// # Errors
/// The services cannot be started, or a diagnosis that has the machine for itself failed.
pub async fn bench(load: &Load, calls: usize, bursts: usize) -> anyhow::Result<Report> {
    let home = tempfile::tempdir()?;
    write_incident(load, &home.path().join(RECORDING))?;
    let services = start(home.path()).await?;
    let config = ClientConfig { attempts: 1, ..ClientConfig::default() };
    let url = services.addresses().walker.as_str();
    let channel = Dialer::new("client", &config, &[url])?.channel("walker", url)?;
    let client = WalkerServiceClient::new(channel);
    let expected = call(client.clone(), 0).await.answer?;

    let mut measured = Vec::with_capacity(bursts);
    let mut before = Alone::measure(&client).await?;
    for _ in 0..bursts {
        let called = Called::all_at_once(&client, calls).await;
        let after = Alone::measure(&client).await?;
        measured.push(called.burst([&before, &after], &expected)?);
        before = after;
    }
    services.stop().await?;

    let mut ratios: Vec<f64> = measured.iter().map(|burst| burst.burst_to_alone).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    Ok(Report {
        services: load.services,
        samples: load.samples,
        cores: available_parallelism()?.get(),
        calls,
        burst_to_alone: median(&ratios),
        lost: measured.iter().map(|burst| burst.lost).sum(),
        wrong: measured.iter().map(|burst| burst.wrong).sum(),
        bursts: measured,
    })
}

/// Diagnoses one after the other.
struct Alone {
    times: Vec<Duration>,
    cpu: Duration,
}

impl Alone {
    async fn measure(client: &WalkerServiceClient<Channel>) -> anyhow::Result<Self> {
        let (mut times, cpu) = (Vec::with_capacity(ALONE), meter::cpu_time());
        for _ in 0..ALONE {
            let call = call(client.clone(), 0).await;
            call.answer.context("a diagnosis that has the machine for itself failed")?;
            times.push(call.took);
        }
        Ok(Self { times, cpu: meter::cpu_time().saturating_sub(cpu) })
    }
}

/// What a burst of callers got, and what it cost.
struct Called {
    calls: Vec<Call>,
    took: Duration,
    cpu: Duration,
    resident: Option<u64>,
    peak: Option<u64>,
}

impl Called {
    async fn all_at_once(client: &WalkerServiceClient<Channel>, calls: usize) -> Self {
        let resident = meter::reset_peak().then(meter::resident).flatten();
        let (began, cpu) = (Instant::now(), meter::cpu_time());
        let mut callers = JoinSet::new();
        for caller in 0..calls {
            callers.spawn(call(client.clone(), caller));
        }
        let calls = callers.join_all().await;
        let (took, cpu) = (began.elapsed(), meter::cpu_time().saturating_sub(cpu));
        Self { calls, took, cpu, resident, peak: resident.and_then(|_| meter::peak()) }
    }

    fn burst(&self, around: [&Alone; 2], expected: &v1::Diagnosis) -> anyhow::Result<Burst> {
        let cores = available_parallelism()?.get() as f64;
        let mut alone: Vec<Duration> = around.iter().flat_map(|alone| &alone.times).copied().collect();
        let alone_cpu: Duration = around.iter().map(|alone| alone.cpu).sum();
        let mut latencies: Vec<Duration> = self.calls.iter().map(|call| call.took).collect();
        alone.sort_unstable();
        latencies.sort_unstable();
        let answers = || self.calls.iter().filter_map(|call| call.answer.as_ref().ok());
        let (seconds, alone_seconds) = (self.took.as_secs_f64(), at(&alone, 0.5));
        let per_second = answers().count() as f64 / seconds;
        Ok(Burst {
            alone_seconds,
            alone_cpu_seconds: alone_cpu.as_secs_f64() / alone.len().max(1) as f64,
            seconds,
            per_second,
            burst_to_alone: per_second * alone_seconds / cores,
            busy_share: self.cpu.as_secs_f64() / (seconds * cores),
            p50_seconds: at(&latencies, 0.5),
            p99_seconds: at(&latencies, 0.99),
            refusals: self.calls.iter().map(|call| call.refusals).sum(),
            lost: self.calls.len() - answers().count(),
            wrong: answers().filter(|answer| comparable(answer) != comparable(expected)).count(),
            resident_before_bytes: self.resident,
            resident_peak_bytes: self.peak,
        })
    }
}

async fn start(home: &Path) -> anyhow::Result<Embedded> {
    let mut config = ServicesConfig::default();
    let free: [&mut ServerConfig; 4] = [
        &mut config.collector.server,
        &mut config.graph_builder.server,
        &mut config.profiler.server,
        &mut config.walker.server,
    ];
    for server in free {
        server.listen = "127.0.0.1:0".parse()?;
    }
    config.profiler.path = home.join("store");
    config.collector.recordings_root = Some(home.to_owned());
    Embedded::start_configured(config).await
}

fn write_incident(load: &Load, directory: &Path) -> anyhow::Result<()> {
    let incident_samples = load.samples / FAULT_SHARE;
    ensure!(incident_samples >= 3, "at least {} samples are needed", 3 * FAULT_SHARE);
    let alert = load.samples - incident_samples;
    let frame = load.generate()?;
    let culprit = format!("s{:05}", load.services / 2);
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("metrics.csv"), metrics_file(&frame, &culprit, alert))?;
    let known = serde_json::json!({
        "front_end": FRONT_END,
        "anomaly_start": frame.grid().time(alert).seconds(),
    });
    std::fs::write(directory.join("incident.json"), known.to_string())?;
    Ok(())
}

/// Calls until there is an answer, and comes back when it is told to.
async fn call(client: WalkerServiceClient<Channel>, caller: usize) -> Call {
    let (began, mut refusals) = (Instant::now(), 0);
    loop {
        let answer = once(client.clone()).await;
        let told = answer.as_ref().err().filter(|error| error.code() == ErrorCode::Overloaded);
        match told.and_then(ServiceError::retry_delay) {
            Some(delay) if began.elapsed() < PATIENCE => {
                refusals += 1;
                let later = LATER * (caller % SHARES) as f64 / SHARES as f64;
                tokio::time::sleep(delay.mul_f64(1.0 + later)).await;
            }
            _ => return Call { answer, took: began.elapsed(), refusals },
        }
    }
}

async fn once(mut client: WalkerServiceClient<Channel>) -> Result<v1::Diagnosis, ServiceError> {
    let source = v1::metric_source::Source::Recording(RECORDING.into());
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        ..v1::DiagnoseRequest::default()
    };
    let mut answers = client.diagnose(request).await?.into_inner();
    let mut found = None;
    while let Some(message) = answers.message().await? {
        if let Some(Part::Diagnosis(diagnosis)) = message.part {
            found = Some(diagnosis);
        }
    }
    found.ok_or_else(|| ServiceError::internal("the answer ended before its diagnosis"))
}

/// A diagnosis without what differs from call to call: its bytes, and the maps, whose order is nobody's.
fn comparable(diagnosis: &v1::Diagnosis) -> (Vec<u8>, [BTreeMap<String, String>; 2]) {
    let mut rest = diagnosis.clone();
    rest.diagnosis_id.clear();
    rest.created_at = None;
    rest.ended_at = None;
    rest.stages.clear();
    let maps = [std::mem::take(&mut rest.settings), std::mem::take(&mut rest.versions)];
    (rest.encode_to_vec(), maps.map(|map| map.into_iter().collect()))
}

/// The median of sorted values; none at all have zero.
fn median(sorted: &[f64]) -> f64 {
    let last = sorted.len().saturating_sub(1);
    f64::midpoint(
        sorted.get(last / 2).copied().unwrap_or_default(),
        sorted.get(last.div_ceil(2)).copied().unwrap_or_default(),
    )
}

/// The duration at this share of sorted ones, seconds.
fn at(sorted: &[Duration], share: f64) -> f64 {
    let place = (share * sorted.len().saturating_sub(1) as f64).ceil() as usize;
    sorted.get(place).map_or(0.0, Duration::as_secs_f64)
}

impl Report {
    /// The figures for a person: one column for each burst.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let figures = ["figure".to_owned()].into_iter();
        table.set_header(figures.chain((1..=self.bursts.len()).map(|burst| format!("burst {burst}"))));
        for (figure, value) in Burst::FIGURES {
            table.add_row([figure.to_owned()].into_iter().chain(self.bursts.iter().map(value)));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{} services x {METRIC_COUNT} metrics x {} samples, {} callers at once, {} cores\n{table}\n\
             of cores / alone, the median: {:.2}\n",
            self.services, self.samples, self.calls, self.cores, self.burst_to_alone
        )
    }
}

/// Tells one figure of a burst.
type Figure = fn(&Burst) -> String;

impl Burst {
    /// What the table tells of each.
    const FIGURES: [(&'static str, Figure); 13] = [
        ("alone, s", |burst| format!("{:.3}", burst.alone_seconds)),
        ("alone, cpu s", |burst| format!("{:.3}", burst.alone_cpu_seconds)),
        ("all answered after, s", |burst| format!("{:.2}", burst.seconds)),
        ("diagnoses a second", |burst| format!("{:.2}", burst.per_second)),
        ("of cores / alone", |burst| format!("{:.2}", burst.burst_to_alone)),
        ("cores kept busy", |burst| format!("{:.2}", burst.busy_share)),
        ("p50, s", |burst| format!("{:.2}", burst.p50_seconds)),
        ("p99, s", |burst| format!("{:.2}", burst.p99_seconds)),
        ("refusals", |burst| burst.refusals.to_string()),
        ("lost", |burst| burst.lost.to_string()),
        ("wrong", |burst| burst.wrong.to_string()),
        ("memory before, MiB", |burst| mebibytes(burst.resident_before_bytes)),
        ("memory at its peak, MiB", |burst| mebibytes(burst.resident_peak_bytes)),
    ];
}

fn mebibytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| (bytes >> 20).to_string())
}
