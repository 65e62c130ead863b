//! `automap demo`: a bundled incident through the embedded services.

use std::path::Path;

use automap_proto::{method::Method, v1};

use crate::{
    arguments::{AnswerFormat, DemoArgs, IncidentArgs},
    diagnose::{GraphFile, print},
    embedded::Embedded,
    failure::Failure,
    incident_request::IncidentRequest,
    progress::Spinner,
    recorded_incident::{self, RecordedIncident},
    recording_writer,
    shell_word::shell_word,
    simulated_incident, stdout,
    walker_client::WalkerClient,
};

/// The incident that is replayed when none is named.
pub const DEFAULT_INCIDENT: &str = "round-12";
/// Services that the table shows.
const TOP: usize = 5;
/// Name of the incident that was not recorded.
const SIMULATED: &str = "simulated";
/// Name for all that were.
const ALL: &str = "all";

/// Runs the command.
///
/// # Errors
/// There is no such incident, a file cannot be written, or the services failed.
pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    if let Some(directory) = &args.export {
        return export(&args.incident, directory);
    }
    if args.incident == ALL {
        return Err(Failure::Usage(format!(
            "--incident {ALL}: one can be replayed at a time; with --export DIR all are written as files"
        )));
    }
    let graph = GraphFile::prepare(&args.graph)?;
    let scratch = tempfile::tempdir()?;
    let recording = scratch.path().join("incident");
    let about = write(&args.incident, &recording)?;
    stdout::note(&format!("Replaying {about}.\n"));
    let services = Embedded::start(&scratch.path().join("store")).await?;
    let answer = {
        let spinner = Spinner::new("starting");
        let settings = v1::DiagnosisSettings {
            method: Method::Evidence.to_wire().into(),
            want_graph: true,
            // Its store ends with the command: there is no incident to come back to.
            record: false,
            ..v1::DiagnosisSettings::default()
        };
        let request = IncidentRequest::new(&recording, &IncidentArgs::default())?;
        let upload = request.into_upload(settings);
        let walker = WalkerClient::new(&services.addresses().walker)?;
        walker.diagnose(upload, &|progress| spinner.show(progress)).await
    };
    services.stop().await?;
    let answer = answer?;
    print(&answer, args.output, TOP, None)?;
    graph.draw(&answer)?;
    if args.output == AnswerFormat::Table {
        stdout::note(&format!(
            "The anomaly behaviour graph with the walked paths is in {}.\n\
             Next:\n  \
             automap demo --export incident     write this incident as files\n  \
             automap diagnose incident          diagnose files: your own metrics.csv goes the same way\n  \
             automap diagnose --help            all there is to set",
            args.graph.display()
        ));
    }
    Ok(())
}

/// Writes an incident into the new directory `place` and tells what it is.
fn write(name: &str, place: &Path) -> Result<String, Failure> {
    if name == SIMULATED {
        let incident = simulated_incident::simulate()?;
        recording_writer::write(place, &incident.frame, &incident.context)?;
        let (count, front_end) = (incident.frame.services().len(), incident.context.front_end());
        return Ok(format!(
            "a simulated incident of {count} services: {front_end} alerts, and {} is at fault",
            incident.culprit
        ));
    }
    let incident = RecordedIncident::named(name, &[SIMULATED])?;
    let label = incident.label()?;
    incident.write(place, false)?;
    let (culprit, fault) = (label.root_cause_services.join(", "), label.fault_type.unwrap_or_default());
    Ok(format!(
        "an incident that was recorded on sixteen real services: view alerts, and {culprit} suffers from {fault}"
    ))
}

fn export(name: &str, directory: &Path) -> Result<(), Failure> {
    let shown = directory.display();
    let word = directory.to_string_lossy();
    let word = shell_word(&word);
    if name == ALL {
        std::fs::create_dir(directory).map_err(|error| {
            anyhow::anyhow!("cannot create {shown} ({error}); name a directory that does not exist yet")
        })?;
        for name in recorded_incident::names() {
            RecordedIncident::named(name, &[])?.write(&directory.join(name), true)?;
        }
        stdout::note(&format!(
            "wrote all recorded incidents with their labels to {shown}; next: automap evaluate {word}"
        ));
        return Ok(());
    }
    let about = write(name, directory)?;
    stdout::note(&format!("wrote {about} to {shown}; next: automap diagnose {word}"));
    Ok(())
}
