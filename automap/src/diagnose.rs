//! `automap diagnose`: an incident in, recorded or queried; ranked and explained root causes out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use automap_proto::v1;

use crate::{
    answer::Answer,
    arguments::{AnswerFormat, DiagnoseArgs, MemoryArgs},
    drawing::{
        dot,
        picture::{Picture, Size},
        svg,
    },
    embedded::Embedded,
    failure::Failure,
    incident_request::IncidentRequest,
    named_source::NamedSource,
    output::{diagnosis_json::DiagnosisJson, diagnosis_page, diagnosis_text, paragraph::Screen},
    output_file::OutputFile,
    progress::Spinner,
    queried_incident::QueriedIncident,
    stdout, store_place, walk_file,
    walker_client::WalkerClient,
};

/// Runs the command.
///
/// # Errors
/// The recording or a flag is wrong, there is too little data, or a service failed.
pub async fn run(args: DiagnoseArgs) -> Result<(), Failure> {
    if let Some(file) = &args.graph {
        Drawing::named(file)?;
    }
    let trace = args.trace.as_deref().map(|path| OutputFile::prepare("--trace", path)).transpose()?;
    let incident = match &args.path {
        Some(path) => Incident::Recorded(Box::new(IncidentRequest::new(path, &args.incident)?)),
        None => Incident::Queried(Box::new(QueriedIncident::new(&args)?)),
    };
    let bootstrap = args.bootstrap_edges.map(|count| ("automap.bootstrap".to_owned(), count.to_string()));
    let settings = v1::DiagnosisSettings {
        method: args.method.to_wire().into(),
        seed: args.seed,
        parameters: args.settings.iter().cloned().chain(bootstrap).collect(),
        want_graph: args.graph.is_some(),
        record: !args.memory.no_record,
        want_walk: trace.is_some(),
    };
    let answer = match &args.remote.server {
        Some(url) => ask(&WalkerClient::remote(url, &args.remote)?, incident, settings).await,
        None => {
            let memory = Memory::open(&args.memory)?;
            let services = Embedded::start_asking(memory.path(), incident.source()).await?;
            let walker = WalkerClient::new(&services.addresses().walker)?;
            let answer = ask(&walker, incident, settings).await;
            // The answer stands without the memory; who is on call must not go without it.
            if let Err(error) = services.stop().await {
                stdout::warning(&format!("{error:#}"));
            }
            answer
        }
    }?;
    print(&answer, args.output, args.top)?;
    if let Some(file) = trace {
        if answer.walk.is_empty() {
            stdout::warning(&format!("{} walks nowhere: the trace is empty", answer.method));
        }
        file.finish(&walk_file::render(&answer.walk)?)?;
    }
    args.graph.map_or(Ok(()), |file| draw(&answer, &file))
}

/// What is diagnosed.
enum Incident {
    Recorded(Box<IncidentRequest>),
    Queried(Box<QueriedIncident>),
}

impl Incident {
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

/// Where the embedded profiler keeps its memory during one command.
pub(crate) enum Memory {
    Kept(PathBuf),
    Scratch(tempfile::TempDir),
}

impl Memory {
    /// The store that was named, else the user's; a scratch one when nothing is to be kept.
    pub(crate) fn open(args: &MemoryArgs) -> anyhow::Result<Self> {
        if let Some(store) = &args.store {
            return Ok(Self::Kept(store.clone()));
        }
        if args.no_record {
            return Ok(Self::Scratch(tempfile::tempdir()?));
        }
        let store = store_place::of_user()?;
        fs::create_dir_all(&store)
            .with_context(|| format!("cannot create {}; name a store with --store DIR", store.display()))?;
        Ok(Self::Kept(store))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Scratch(directory) => directory.path(),
        }
    }
}

/// Prints an answer.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(answer: &Answer, format: AnswerFormat, top: usize) -> Result<(), Failure> {
    match format {
        AnswerFormat::Json => stdout::print_json(&DiagnosisJson::from(answer)),
        AnswerFormat::Table => stdout::print(&diagnosis_text::render(answer, top, Screen::of_stdout())),
    }
}

/// Draws the behaviour graph of an answer into `file`, as its ending says.
///
/// # Errors
/// The ending is none that is known, the answer has no graph, or the file cannot be written.
pub fn draw(answer: &Answer, file: &Path) -> Result<(), Failure> {
    let drawing = Drawing::named(file)?;
    let graph = answer.graph.as_ref().context("the walker answered without a behaviour graph")?;
    let picture = Picture::of_diagnosis(graph, &answer.ranking, &answer.wire.front_end, Size::USUAL);
    let text = match drawing {
        Drawing::Svg => svg::document(&picture),
        Drawing::Dot => dot::render(&picture),
        Drawing::Page => diagnosis_page::render(answer, &picture),
    };
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
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
