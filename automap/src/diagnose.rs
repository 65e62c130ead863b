//! `automap diagnose`: an incident in, recorded or queried; ranked and explained root causes out.

use std::path::Path;

use anyhow::Context as _;
use automap_proto::v1;

use crate::{
    answer::{Answer, Reference},
    arguments::{AnswerFormat, DiagnoseArgs},
    drawing::{
        dot,
        picture::{Picture, Size},
        svg,
    },
    embedded::Embedded,
    failure::Failure,
    incident_request::IncidentRequest,
    memory::Memory,
    named_source::NamedSource,
    output::{diagnosis_json::DiagnosisJson, diagnosis_page, diagnosis_text, paragraph::Screen},
    output_file::OutputFile,
    piped_metrics::PipedMetrics,
    progress::Spinner,
    queried_incident::QueriedIncident,
    remembered::{GuessedSystem, Remembered},
    services_config,
    shell_word::shell_word,
    stdout, walk_file,
    walker_client::WalkerClient,
};

/// Runs the command.
///
/// # Errors
/// The recording or a flag is wrong, there is too little data, or a service failed.
pub async fn run(args: DiagnoseArgs) -> Result<(), Failure> {
    let graph = args.graph.as_deref().map(GraphFile::prepare).transpose()?;
    let trace = args.trace.as_deref().map(|path| OutputFile::prepare("--trace", path)).transpose()?;
    let piped = args.path.as_deref().map(PipedMetrics::through).transpose()?.flatten();
    let incident = match (&args.path, &piped) {
        (_, Some(piped)) => Incident::Recorded(Box::new(IncidentRequest::of_pipe(piped, &args.incident)?)),
        (Some(path), None) => Incident::Recorded(Box::new(IncidentRequest::new(path, &args.incident)?)),
        (None, None) => Incident::Queried(Box::new(QueriedIncident::new(&args)?)),
    };
    let bootstrap = args.bootstrap_edges.map(|count| ("automap.bootstrap".to_owned(), count.to_string()));
    let settings = v1::DiagnosisSettings {
        method: args.method.to_wire().into(),
        seed: args.seed,
        parameters: args.settings.iter().cloned().chain(bootstrap).collect(),
        want_graph: graph.is_some(),
        record: !args.memory.no_record,
        want_walk: trace.is_some(),
    };
    let (reference, guessed) = (incident.reference(), incident.guessed_system());
    let (answer, remembered) = match &args.remote.server {
        Some(url) => {
            let answer = ask(&WalkerClient::remote(url, &args.remote)?, incident, settings).await?;
            (answer, Some("--server http://PROFILER:4313".to_owned()))
        }
        None => {
            let mut config = services_config::of_command(args.source.config.as_deref(), incident.source())?;
            let memory = Memory::open_or_scratch(&args.memory, &mut config.profiler).await?;
            let services = Embedded::start_on(memory.store.clone(), config).await?;
            let settings =
                v1::DiagnosisSettings { record: settings.record && !memory.is_scratch(), ..settings };
            let walker = WalkerClient::new(&services.addresses().walker)?;
            let answer = ask(&walker, incident, settings).await;
            // The answer stands without the memory; who is on call must not go without it.
            if let Err(error) = services.stop().await {
                stdout::warning(&format!("{error:#}"));
            }
            let place = args
                .memory
                .store
                .as_ref()
                .map(|store| format!("--store {}", shell_word(&store.to_string_lossy())));
            (answer?, (!memory.is_scratch()).then(|| place.unwrap_or_default()))
        }
    };
    let answer = Answer { reference: Some(reference), ..answer };
    let remembered = remembered.map(|place| Remembered { place, guessed });
    print(&answer, args.output, args.top, remembered.as_ref())?;
    if let Some(file) = trace {
        if answer.walk.is_empty() {
            stdout::warning(&format!("{} walks nowhere: the trace is empty", answer.method));
        }
        file.finish(&walk_file::render(&answer.walk)?)?;
    }
    graph.map_or(Ok(()), |file| file.draw(&answer))
}

/// What is diagnosed.
enum Incident {
    Recorded(Box<IncidentRequest>),
    Queried(Box<QueriedIncident>),
}

impl Incident {
    /// What people know of its time.
    fn reference(&self) -> Reference {
        match self {
            Self::Recorded(request) => Reference::alert(request.context().anomaly_start()),
            Self::Queried(incident) => incident.reference,
        }
    }

    fn guessed_system(&self) -> Option<GuessedSystem> {
        match self {
            Self::Recorded(request) => request.guessed_system(),
            Self::Queried(incident) => incident.guessed_system,
        }
    }

    /// The server that an embedded collector asks.
    fn source(&self) -> Option<&NamedSource> {
        match self {
            Self::Recorded(_) => None,
            Self::Queried(incident) => incident.source.as_ref(),
        }
    }
}

async fn ask(
    walker: &WalkerClient,
    incident: Incident,
    settings: v1::DiagnosisSettings,
) -> Result<Answer, Failure> {
    let spinner = Spinner::new("asking the walker");
    match incident {
        Incident::Recorded(request) => {
            let upload = request.into_upload(settings);
            walker.diagnose(upload, &|progress| spinner.show(progress)).await
        }
        Incident::Queried(incident) => {
            let request = v1::DiagnoseRequest { settings: Some(settings), ..incident.request };
            walker.diagnose_source(request, &|progress| spinner.show(progress)).await
        }
    }
}

/// Prints an answer; `remembered` is the memory that it was compared with, where there is one.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(
    answer: &Answer,
    format: AnswerFormat,
    top: usize,
    remembered: Option<&Remembered>,
) -> Result<(), Failure> {
    match format {
        AnswerFormat::Json => stdout::print_json(&DiagnosisJson::from(answer)),
        AnswerFormat::Table => {
            stdout::print(&diagnosis_text::render(answer, top, Screen::of_stdout(), remembered))
        }
    }
}

/// A file for the behaviour graph of an answer, drawn as its ending says.
#[derive(Debug)]
pub struct GraphFile {
    drawing: Drawing,
    file: OutputFile,
}

impl GraphFile {
    /// Makes sure that it can be drawn and written.
    ///
    /// # Errors
    /// The ending is none that is known, or the file cannot be written.
    pub fn prepare(file: &Path) -> Result<Self, Failure> {
        Ok(Self { drawing: Drawing::named(file)?, file: OutputFile::prepare("--graph", file)? })
    }

    /// Draws the graph of `answer`.
    ///
    /// # Errors
    /// The answer has no graph, or the file cannot be written.
    pub fn draw(self, answer: &Answer) -> Result<(), Failure> {
        let graph = answer.graph.as_ref().context("the walker answered without a behaviour graph")?;
        let picture = Picture::of_diagnosis(graph, &answer.ranking, &answer.wire.front_end, Size::USUAL);
        self.file.finish(&match self.drawing {
            Drawing::Svg => svg::document(&picture),
            Drawing::Dot => dot::render(&picture),
            Drawing::Page => diagnosis_page::render(answer, &picture),
        })
    }
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy)]
enum Drawing {
    Svg,
    Dot,
    Page,
}

impl Drawing {
    /// # Errors
    /// The name of the file has no known ending.
    fn named(file: &Path) -> Result<Self, Failure> {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("dot") => Ok(Self::Dot),
            Some("html") => Ok(Self::Page),
            _ => Err(Failure::Usage(format!(
                "--graph {}: the name must end in .svg, .dot or .html",
                file.display()
            ))),
        }
    }
}
