//! One diagnosis of one incident, held against its label.

use std::time::Instant;

use anyhow::Context as _;
use automap_proto::{assessment::Assessment, v1};

use super::{case::Case, contender::Contender, outcome::Outcome};
use crate::{answer::Answer, failure::Failure, stdout, walker_client::WalkerClient};

/// A contender and the walker that diagnoses as it says.
#[derive(Debug, Clone, Copy)]
pub struct Diagnosing<'a> {
    /// Who is asked.
    pub walker: &'a WalkerClient,
    /// How.
    pub contender: &'a Contender,
    /// Seeds every random choice.
    pub seed: u64,
}

impl Diagnosing<'_> {
    /// Diagnoses one incident, has it remembered when `record` says so, and compares with its label.
    ///
    /// # Errors
    /// A service failed. An incident that is refused is a miss without an answer, and is named.
    pub async fn diagnose(&self, case: &Case, record: bool) -> Result<(Option<Answer>, Outcome), Failure> {
        let settings = v1::DiagnosisSettings {
            method: self.contender.method.to_wire().into(),
            seed: self.seed,
            parameters: self.contender.parameters.clone().into_iter().collect(),
            want_graph: false,
            record,
            want_walk: false,
        };
        let began = Instant::now();
        let answer = match &case.request {
            Ok(request) => self.walker.diagnose(request.clone().into_upload(settings), &|_| {}).await,
            Err(failure) => Err(Failure::Usage(failure.to_string())),
        };
        match answer {
            Ok(answer) => {
                let seconds = began.elapsed().as_secs_f64();
                let assessment = answer.wire.assessment.as_ref().map(Assessment::try_from).transpose();
                let assessment = assessment.context("the walker's answer is not valid")?;
                let outcome = Outcome::new(&answer.ranking, assessment.as_ref(), &case.label, seconds);
                Ok((Some(answer), outcome))
            }
            // An incident may be refused; a service that fails says nothing about the method.
            Err(failure) if failure.is_of_service() => Err(failure),
            Err(failure) => {
                stdout::warning(&format!("{} gave no answer to {}: {failure}", self.contender.name, case.id));
                Ok((None, Outcome::refusal(&case.label, failure.to_string())))
            }
        }
    }
}
