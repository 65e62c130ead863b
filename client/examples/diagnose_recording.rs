//! Has a recorded incident diagnosed, and tells the root causes with the reasons for the first.
//!
//! `cargo run --release --example diagnose_recording -- URL DIRECTORY [TOKEN_FILE [CA_FILE]]`

use std::{io::Write as _, path::Path};

use automap_client::{Client, Recording, Settings};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, directory, files @ ..] = words.as_slice() else {
        anyhow::bail!("usage: diagnose_recording URL DIRECTORY [TOKEN_FILE [CA_FILE]]");
    };
    let mut builder = Client::builder(url);
    if let Some(token) = files.first() {
        builder = builder.token_file(token);
    }
    if let Some(ca) = files.get(1) {
        builder = builder.ca(ca);
    }
    let client = builder.connect()?;
    let recording = Recording::read(Path::new(directory))?;
    let settings = Settings { record: true, ..Settings::default() };
    let answer = client.diagnose(&recording, settings, |progress| tell(&progress.detail)).await?;
    for ranked in &answer.diagnosis.ranking {
        tell(&format!("{:20} {:.3}", ranked.service, ranked.score));
    }
    if let Some(first) = answer.diagnosis.ranking.first() {
        for sentence in client.explain(&answer.diagnosis.diagnosis_id, &first.service).await?.sentences {
            tell(&sentence);
        }
    }
    Ok(())
}

fn tell(text: &str) {
    // Whoever reads may have gone.
    writeln!(std::io::stdout(), "{text}").ok();
}
