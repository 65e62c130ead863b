//! `automap demo`: the bundled incident through the embedded services.

use automap_proto::{method::Method, v1};

use crate::{
    arguments::{AnswerFormat, DemoArgs, IncidentArgs},
    diagnose::{draw, print},
    embedded::Embedded,
    failure::Failure,
    incident_request::IncidentRequest,
    progress::Spinner,
    recording_writer, simulated_incident, stdout,
    walker_client::WalkerClient,
};

/// Services that the table shows.
const TOP: usize = 5;

/// Runs the command.
///
/// # Errors
/// A file cannot be written, or the services failed.
pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    let incident = simulated_incident::simulate()?;
    if let Some(directory) = &args.export {
        recording_writer::write(directory, &incident.frame, &incident.context)?;
        stdout::note(&format!(
            "wrote a simulated incident to {0}; next: automap diagnose {0}",
            directory.display()
        ));
        return Ok(());
    }
    stdout::note(&format!(
        "Replaying a simulated incident of {} services: {} alerts, and {} is at fault.\n",
        incident.frame.services().len(),
        incident.context.front_end(),
        incident.culprit
    ));
    let scratch = tempfile::tempdir()?;
    let recording = scratch.path().join("incident");
    recording_writer::write(&recording, &incident.frame, &incident.context)?;
    let services = Embedded::start(&scratch.path().join("store")).await?;
    let answer = {
        let spinner = Spinner::new("starting");
        let settings = v1::DiagnosisSettings {
            method: Method::Evidence.to_wire().into(),
            want_graph: true,
            record: true,
            ..v1::DiagnosisSettings::default()
        };
        let request = IncidentRequest::new(&recording, &IncidentArgs::default())?;
        let upload = request.into_upload(settings);
        let walker = WalkerClient::new(&services.addresses().walker)?;
        walker.diagnose(upload, &|progress| spinner.show(progress)).await
    };
    services.stop().await?;
    let answer = answer?;
    print(&answer, args.output, TOP)?;
    draw(&answer, &args.graph)?;
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
