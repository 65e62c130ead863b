//! The diagnoses of a round: every contender, with and without what earlier rounds taught.

use std::{collections::BTreeMap, path::Path};

use automap_proto::v1::walker_service_client::WalkerServiceClient;
use automap_service_kit::client::{self, Channel};

use super::state::ExperimentDirectory;
use crate::{
    arguments::IncidentArgs,
    embedded::Embedded,
    evaluate::{
        case::Case, contender::Contender, diagnosing::Diagnosing, label::Label, learning::confirm,
        outcome::Outcome,
    },
    failure::Failure,
    incident_request::IncidentRequest,
    output::diagnosis_json::DiagnosisJson,
    output_file::OutputFile,
    walker_client::WalkerClient,
};

/// All who diagnose, each with services of its own where it remembers.
#[derive(Debug)]
pub struct Answering {
    contenders: Vec<Answerer>,
    seed: u64,
    // Those that remember nothing share a memory that nobody writes to.
    shared: Embedded,
    _scratch: tempfile::TempDir,
}

#[derive(Debug)]
struct Answerer {
    contender: Contender,
    walker: WalkerClient,
    memory: Option<Memory>,
}

#[derive(Debug)]
struct Memory {
    services: Embedded,
    confirming: WalkerServiceClient<Channel>,
}

impl Answering {
    /// Starts the services. Memories lie in `directory`.
    ///
    /// # Errors
    /// A memory cannot be opened.
    pub async fn start(
        contenders: Vec<Contender>,
        seed: u64,
        directory: &ExperimentDirectory,
    ) -> Result<Self, Failure> {
        let scratch = tempfile::tempdir()?;
        let shared = Embedded::start(scratch.path()).await?;
        let mut answerers = Vec::new();
        for contender in contenders {
            let (walker, memory) = if contender.learns {
                let place = directory.memory(&contender.name);
                std::fs::create_dir_all(&place)?;
                let services = Embedded::start(&place).await?;
                let address = services.addresses().walker.clone();
                let confirming = WalkerServiceClient::new(client::channel("server", &address)?);
                (WalkerClient::new(&address)?, Some(Memory { services, confirming }))
            } else {
                (WalkerClient::new(&shared.addresses().walker)?, None)
            };
            answerers.push(Answerer { contender, walker, memory });
        }
        Ok(Self { contenders: answerers, seed, shared, _scratch: scratch })
    }

    /// Has everybody diagnose the incident in `incident`, writes the answers into the new directory `answers`, and confirms the root
    /// cause to those who learn. The outcomes by name of the contender.
    ///
    /// # Errors
    /// A service failed, or a file cannot be written. An incident that is refused is an outcome.
    pub async fn answer(
        &self,
        id: &str,
        incident: &Path,
        answers: &Path,
    ) -> Result<BTreeMap<String, Outcome>, Failure> {
        let case = Case {
            id: id.into(),
            label: Label::read(incident)?,
            request: IncidentRequest::new(incident, &IncidentArgs::default()),
        };
        std::fs::create_dir_all(answers)?;
        let mut outcomes = BTreeMap::new();
        for Answerer { contender, walker, memory } in &self.contenders {
            let diagnosing = Diagnosing { walker, contender, seed: self.seed };
            let (answer, outcome) = diagnosing.diagnose(&case, memory.is_some()).await?;
            if let Some(answer) = &answer {
                let name = format!("{}.json", contender.name.replace(", ", "-"));
                let file = OutputFile::prepare("--out", &answers.join(name))?;
                let text = serde_json::to_string_pretty(&DiagnosisJson::from(answer));
                file.finish(&(text.map_err(anyhow::Error::new)? + "\n"))?;
                if let Some(memory) = memory {
                    confirm(&memory.confirming, answer, &case.label, true).await?;
                }
            }
            outcomes.insert(contender.name.clone(), outcome);
        }
        Ok(outcomes)
    }

    /// Ends the services and closes the memories.
    ///
    /// # Errors
    /// A service ended with an error.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut ended = self.shared.stop().await;
        for memory in self.contenders.into_iter().filter_map(|answerer| answerer.memory) {
            ended = ended.and(memory.services.stop().await);
        }
        ended
    }
}
