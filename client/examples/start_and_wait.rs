//! Starts a diagnosis of a recording that the walker's collector has, waits for it, and says what caused the incident.
//!
//! `cargo run --release --example start_and_wait -- URL RECORDING ROOT_CAUSE [TOKEN_FILE [CA_FILE]]`

use std::io::Write as _;

use automap_client::{Client, v1};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, recording, root_cause, files @ ..] = words.as_slice() else {
        anyhow::bail!("usage: start_and_wait URL RECORDING ROOT_CAUSE [TOKEN_FILE [CA_FILE]]");
    };
    let mut builder = Client::builder(url);
    if let Some(token) = files.first() {
        builder = builder.token_file(token);
    }
    if let Some(ca) = files.get(1) {
        builder = builder.ca(ca);
    }
    let client = builder.connect()?;
    let source = v1::metric_source::Source::Recording(recording.clone());
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        ..v1::DiagnoseRequest::default()
    };
    // The id of an alert, say: asking again with the same one begins nothing new.
    let id = client.start(format!("example-{recording}"), request).await?;
    let diagnosis = client.wait(&id).await?;
    anyhow::ensure!(diagnosis.state() == v1::DiagnosisState::Done, "it failed: {}", diagnosis.failure);
    let confirmation = v1::Confirmation {
        root_causes: vec![root_cause.clone()],
        note: "said by an example".into(),
        ..v1::Confirmation::default()
    };
    let incident = client.confirm(&id, confirmation).await?;
    tell(&format!("incident {}: {root_cause} is remembered as its root cause", incident.incident_id));
    Ok(())
}

fn tell(text: &str) {
    // Whoever reads may have gone.
    writeln!(std::io::stdout(), "{text}").ok();
}
