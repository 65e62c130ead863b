//! Collecting a large frame from a real Prometheus, beside the same queries fetched and thrown away.
//!
//! `cargo bench -p automap-collector --bench collect_from_prometheus`, after `.ci/test` has installed Prometheus. 1,000
//! services, 7 metric types (congestion is derived), 720 samples, backfilled with promtool; a process of its own collects,
//! so that its peak of memory is that of collecting.

use std::{
    fs,
    io::{BufWriter, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::{Context as _, ensure};
use automap_collector::{
    limits::SampleBounds,
    query::{
        config::QuerySourceConfig,
        preset::{Overrides, Preset},
        source::QueryServer,
    },
    source::MetricSource as _,
};
use automap_integration_tests::{
    metrics_server::{MetricsServer, backfill},
    samples::START,
};
use automap_proto::time::UnixMillis;

const SERVICES: usize = 1000;
const SAMPLES: i64 = 720;
const STEP: i64 = 5;
/// Samples before the window, which its first rates need.
const LEAD: i64 = 12;
const ROUNDS: usize = 7;
const CONCURRENT: usize = 4;
const PRESET: &str = "pymicro";
/// Set for the process that collects.
const CHILD: &str = "AUTOMAP_BENCH_URL";

fn main() -> anyhow::Result<()> {
    if let Ok(url) = std::env::var(CHILD) {
        return collect(&url);
    }
    let home = tempfile::tempdir()?;
    let text = home.path().join("samples.om");
    let data = home.path().join("data");
    write_samples(&text)?;
    backfill(&text, &data)?;
    fs::remove_file(&text)?;
    let server = MetricsServer::prometheus_of(home.path(), &data, &[])?;
    let mut bare = Vec::new();
    let mut collected = Vec::new();
    let mut peak = 0;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        bytes = fetch_bare(&server.address)?;
        bare.push(began.elapsed().as_secs_f64());
        let output = Command::new(std::env::current_exe()?).env(CHILD, server.url()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8(output.stdout)?;
        let (seconds, memory) = told.trim().split_once(' ').context("seconds and bytes")?;
        collected.push(seconds.parse()?);
        peak = peak.max(memory.parse::<usize>()?);
    }
    let frame = SERVICES * 7 * SAMPLES as usize * size_of::<f64>();
    let (bare, collected) = (median(bare), median(collected));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SERVICES} services x 7 metrics x {SAMPLES} samples, medians of {ROUNDS} rounds")?;
    writeln!(out, "answers                 {:.1} MB", bytes as f64 / 1e6)?;
    writeln!(out, "bare queries            {bare:.3} s, {CONCURRENT} at once")?;
    writeln!(out, "collected               {collected:.3} s, {:.2} of the bare queries", collected / bare)?;
    writeln!(
        out,
        "peak of memory          {:.1} MB, {:.2} of the frame",
        peak as f64 / 1e6,
        peak as f64 / frame as f64
    )?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What every service exports, deterministic and different for each.
fn write_samples(file: &Path) -> anyhow::Result<()> {
    let mut text = BufWriter::new(fs::File::create(file)?);
    for row in -LEAD..=SAMPLES {
        let time = START + row * STEP;
        let elapsed = ((row + LEAD) * STEP) as f64;
        for service in 0..SERVICES {
            let own = (service as f64 * 0.618).fract();
            let wave = (row as f64 * 0.05 + own * 6.0).sin();
            let calls = elapsed * (5.0 + 20.0 * own) + wave;
            let name = format!("service=\"service-{service:04}\"");
            writeln!(text, "pymicro_request_duration_seconds_count{{{name}}} {calls} {time}")?;
            writeln!(text, "pymicro_request_duration_seconds_sum{{{name}}} {} {time}", calls * (0.01 + own))?;
            writeln!(text, "pymicro_requests_total{{{name},status=\"200\"}} {} {time}", calls * 0.99)?;
            writeln!(text, "pymicro_requests_total{{{name},status=\"500\"}} {} {time}", calls * 0.01)?;
            writeln!(text, "pymicro_io_bytes_total{{{name}}} {} {time}", elapsed * 1000.0 * own)?;
            writeln!(text, "process_cpu_seconds_total{{{name}}} {} {time}", elapsed * own + 0.1 * wave)?;
            writeln!(text, "process_resident_memory_bytes{{{name}}} {} {time}", 1e8 + 1e6 * wave)?;
        }
    }
    writeln!(text, "# EOF")?;
    Ok(text.flush()?)
}

/// Asks the queries of the preset and throws the answers away; answers their bytes.
fn fetch_bare(address: &str) -> anyhow::Result<usize> {
    let preset = Preset::new(PRESET, &Overrides::default())?;
    let (start, end) = (START + STEP, START + SAMPLES * STEP);
    let requests: Vec<String> = preset
        .series
        .iter()
        .map(|query| {
            let expression = query.expression.replace("$window", "20s");
            let body = format!("query={}&start={start}&end={end}&step={STEP}", escaped(&expression));
            format!(
                "POST /api/v1/query_range HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    let (next, bytes, failure) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| {
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match discard(address, request) {
                        Ok(read) => _ = bytes.fetch_add(read, Ordering::Relaxed),
                        Err(error) => {
                            if let Ok(mut failure) = failure.lock() {
                                *failure = Some(error);
                            }
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner() {
        Ok(None) => Ok(bytes.into_inner()),
        Ok(Some(error)) => Err(error),
        Err(_) => anyhow::bail!("a thread panicked"),
    }
}

fn discard(address: &str, request: &str) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut buffer = vec![0; 1 << 16];
    let mut read = stream.read(&mut buffer)?;
    ensure!(
        buffer.starts_with(b"HTTP/1.1 200"),
        "the bare query failed: {}",
        String::from_utf8_lossy(&buffer[..read])
    );
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(read),
            more => read += more,
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

/// Collects, and prints seconds and the process's peak of memory in bytes.
#[tokio::main]
async fn collect(url: &str) -> anyhow::Result<()> {
    let config = QuerySourceConfig {
        url: url.into(),
        preset: PRESET.into(),
        step: format!("{STEP}s"),
        concurrent_queries: CONCURRENT,
        ..QuerySourceConfig::default()
    };
    let source = QueryServer::new("source", config, 1 << 30)?.source("", None)?;
    let bounds = SampleBounds::new(
        Some(UnixMillis((START + STEP) * 1000)),
        Some(UnixMillis((START + SAMPLES * STEP) * 1000)),
    )?;
    let began = Instant::now();
    let collected = source.frame(bounds).await?;
    let seconds = began.elapsed().as_secs_f64();
    let shape = collected.frame.values().dim();
    ensure!(shape == (SERVICES * 7, SAMPLES as usize), "the frame has {shape:?}");
    // The generated samples hold nothing that callers measure.
    let told = |warning: &String| !warning.starts_with("client-latency: nothing matched");
    ensure!(!collected.warnings.iter().any(told), "{:?}", collected.warnings);
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak is told")?;
    let kibibytes: usize = peak.trim().trim_end_matches(" kB").parse()?;
    writeln!(std::io::stdout(), "{seconds} {}", kibibytes * 1024)?;
    Ok(())
}
