//! A service that is missing, before a diagnosis or in its middle: the answer is partial and says so, or the error names it.

use std::{path::Path, time::Duration};

use automap_integration_tests::{
    command,
    processes::{FourProcesses, Service},
    recording,
};
use automap_proto::v1::{self, diagnose_response::Part, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client,
    error::{ErrorCode, ServiceError},
};
use serde_json::Value;
use tonic::Request;

/// Longer than any pause of a busy machine. A peer that keeps silent may be given up on before or after it.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a service is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Missing {
    /// It was killed before.
    Before,
    /// It is killed while it owes an answer.
    During,
    /// It neither answers nor closes anything.
    Stopped,
}

const WAYS: [Missing; 3] = [Missing::Before, Missing::During, Missing::Stopped];

fn diagnose(address: &str, method: v1::Method) -> Result<v1::Diagnosis, ServiceError> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = WalkerServiceClient::new(client::channel("address", address).unwrap());
        let source = v1::metric_source::Source::Recording("incident".into());
        let mut request = Request::new(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(source) }),
            settings: Some(v1::DiagnosisSettings {
                method: method.into(),
                record: true,
                ..Default::default()
            }),
            ..Default::default()
        });
        request.set_timeout(DEADLINE);
        let mut answers = client.diagnose(request).await?.into_inner();
        let mut diagnosis = None;
        while let Some(message) = answers.message().await? {
            if let Some(Part::Diagnosis(found)) = message.part {
                diagnosis = Some(found);
            }
        }
        Ok(diagnosis.expect("an answer that ends without an error has a diagnosis"))
    })
}

/// Diagnoses while `victim` is missing; it is gone afterwards.
fn without(
    victim: Service,
    missing: Missing,
    walker: &Service,
    methods: &[v1::Method],
) -> Vec<Result<v1::Diagnosis, ServiceError>> {
    match missing {
        Missing::Before => {
            victim.kill().unwrap();
            methods.iter().map(|method| diagnose(&walker.address, *method)).collect()
        }
        Missing::Stopped => {
            victim.signal("STOP").unwrap();
            methods.iter().map(|method| diagnose(&walker.address, *method)).collect()
        }
        Missing::During => {
            victim.signal("STOP").unwrap();
            let asked: Vec<_> = methods
                .iter()
                .map(|method| {
                    let (address, method) = (walker.address.clone(), *method);
                    std::thread::spawn(move || diagnose(&address, method))
                })
                .collect();
            std::thread::sleep(Duration::from_secs(2));
            victim.kill().unwrap();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        }
    }
}

fn start(home: &Path) -> FourProcesses {
    FourProcesses::start(home, home).unwrap()
}

/// Whether an error of a missing service is one of the two that it may be.
fn is_down(error: &ServiceError, missing: Missing) -> bool {
    match missing {
        Missing::Stopped => matches!(error.code(), ErrorCode::DeadlineExceeded | ErrorCode::Unavailable),
        _ => error.code() == ErrorCode::Unavailable,
    }
}

fn warned<'a>(diagnosis: &'a v1::Diagnosis, beginning: &str) -> &'a str {
    let found = diagnosis.warnings.iter().find(|warning| warning.starts_with(beginning));
    assert!(found.is_some(), "no warning begins with {beginning:?}: {:?}", diagnosis.warnings);
    found.unwrap()
}

#[test]
fn without_the_graph_builder_evidence_ranks_and_automap_fails_clearly() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    for missing in WAYS {
        let FourProcesses { collector: _collector, graph_builder, profiler, walker } = start(home.path());
        let mut answers =
            without(graph_builder, missing, &walker, &[v1::Method::Evidence, v1::Method::Automap]);
        let failed = answers.pop().unwrap().unwrap_err();
        assert!(is_down(&failed, missing), "{missing:?}: {failed}");
        // A caller's own deadline ends a call before its server can say what it waited for.
        assert!(missing == Missing::Stopped || failed.message().contains("graph-builder"), "{failed}");
        let partial = answers.pop().unwrap().unwrap_or_else(|error| panic!("{missing:?}: {error}"));
        assert_eq!(partial.ranking[0].service, "cart", "{missing:?}");
        assert!(warned(&partial, "without the behaviour graph").contains("graph-builder"), "{missing:?}");
        assert!(partial.behavior_graph.is_none() && partial.similar.is_empty());
        assert_eq!(partial.state(), v1::DiagnosisState::Done);
        warned(&partial, "the incident is recorded without a behaviour graph");
        assert_eq!(confirm(&walker, &partial.diagnosis_id).root_causes, ["cart"], "{missing:?}");
        let similar = |output: &str| {
            let asked = ["incidents", "similar", &partial.incident_id, "--server", &profiler.address];
            let ended = command::run(home.path(), &[&asked[..], &["--output", output]].concat()).unwrap();
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            ended
        };
        assert_eq!(similar("table").stdout, "not compared, no behaviour graph\n");
        let listed = similar("json");
        assert_eq!((listed.stdout.trim(), listed.stderr.trim()), ("[]", "not compared, no behaviour graph"));
    }
}

/// Confirms cart, by its cpu, as the cause of what was diagnosed.
fn confirm(walker: &Service, diagnosis_id: &str) -> v1::Confirmation {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = WalkerServiceClient::new(client::channel("address", &walker.address).unwrap());
        let confirmation = v1::Confirmation {
            root_causes: vec!["cart".into()],
            metric: v1::MetricKind::Cpu.into(),
            ..v1::Confirmation::default()
        };
        let request = v1::WalkerServiceConfirmRootCauseRequest {
            diagnosis_id: diagnosis_id.into(),
            confirmation: Some(confirmation),
        };
        let incident = client.confirm_root_cause(request).await.unwrap().into_inner().incident.unwrap();
        incident.confirmations.into_iter().next_back().unwrap()
    })
}

/// The answer of the command; the same data under another front end are another incident.
fn answer(home: &Path, walker: &Service, front_end: &str) -> Value {
    let asked = ["diagnose", "incident", "--front-end", front_end, "--output", "json", "--server"];
    let ended = command::run(home, &[&asked[..], &[walker.address.as_str()]].concat()).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn incidents_without_a_graph_teach_and_an_incident_that_has_one_keeps_it() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let taught = ["web", "checkout", "catalogue", "account", "payment"];
    let says_so =
        |found: &Value| found["warnings"].to_string().contains("is recorded without a behaviour graph");

    let FourProcesses { collector, graph_builder, profiler, walker } = start(home.path());
    graph_builder.kill().unwrap();
    for front_end in taught {
        let found = answer(home.path(), &walker, front_end);
        assert!(says_so(&found), "{found:#}");
        confirm(&walker, found["diagnosis_id"].as_str().unwrap());
    }
    for service in [walker, collector, profiler] {
        service.terminate().unwrap();
    }

    let FourProcesses { collector: _collector, graph_builder, profiler: _profiler, walker } =
        start(home.path());
    let next = answer(home.path(), &walker, "shipping");
    assert_eq!(next["learned_weights"]["incidents"], 5, "{next:#}");
    assert_eq!(next["similar_incidents"], serde_json::json!([]), "nothing of theirs can be compared");
    // Diagnosed again, one of them gets its graph and keeps what was confirmed.
    assert!(!says_so(&answer(home.path(), &walker, "web")));
    let next = answer(home.path(), &walker, "shipping");
    assert_eq!(next["similar_incidents"].as_array().unwrap().len(), 1, "{next:#}");
    // It does not lose the graph to a diagnosis without one.
    graph_builder.kill().unwrap();
    let again = answer(home.path(), &walker, "web");
    assert!(
        again["warnings"].to_string().contains("without the behaviour graph") && !says_so(&again),
        "{again:#}"
    );
}

#[test]
fn without_the_profiler_weights_are_uniform() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    for missing in WAYS {
        let FourProcesses { collector: _collector, graph_builder: _graph_builder, profiler, walker } =
            start(home.path());
        for answer in without(profiler, missing, &walker, &[v1::Method::Evidence, v1::Method::Automap]) {
            let partial = answer.unwrap_or_else(|error| panic!("{missing:?}: {error}"));
            assert!(!partial.ranking.is_empty());
            assert!(warned(&partial, "without memory").contains("profiler"), "{missing:?}");
            assert!(partial.metric_weights.iter().all(|weight| (weight - 1.0 / 7.0).abs() < 1e-12));
        }
    }
}

#[test]
fn without_the_collector_there_is_a_clear_error() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    for missing in WAYS {
        let FourProcesses { collector, graph_builder: _graph_builder, profiler: _profiler, walker } =
            start(home.path());
        for answer in without(collector, missing, &walker, &[v1::Method::Evidence]) {
            let failed = answer.unwrap_err();
            assert!(is_down(&failed, missing), "{missing:?}: {failed}");
            assert!(missing == Missing::Stopped || failed.message().contains("collector"), "{failed}");
        }
    }
}
