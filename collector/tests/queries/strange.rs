//! What a server answers besides its series, and what it says of a failure, is passed on as far as a person reads it.

use std::{fmt::Write as _, net::TcpStream};

use automap_collector::source::MetricSource as _;
use automap_integration_tests::scripted_server::{ScriptedServer, send};

use crate::{config, greeting, source_of, success, window};

/// Answers queries over time with this status and body.
fn answering(status: &'static str, body: String) -> ScriptedServer {
    let script = move |target: &str, _: usize, stream: &mut TcpStream| match greeting(target) {
        Some(greeting) => send(stream, "200 OK", "", &greeting),
        None => send(stream, status, "", &body),
    };
    ScriptedServer::start(Box::new(script)).unwrap()
}

#[tokio::test]
async fn a_flood_of_warnings_is_cut() {
    let mut answer = success("matrix", r#"{"metric":{"service":"cart"},"values":[[1700000400,"5"]]}"#);
    answer.pop();
    answer += r#","warnings":["first""#;
    for index in 0..500 {
        write!(answer, ",\"{index}{}\"", "ä".repeat(800)).unwrap();
    }
    answer += "]}";
    let server = answering("200 OK", answer);
    let collected = source_of(config(&server)).frame(window()).await.unwrap();
    assert!(collected.warnings.contains(&"cpu: the server warns: first".to_owned()));
    let told: usize = collected.warnings.iter().map(String::len).sum();
    assert!(collected.warnings.len() <= 20 && told < 20_000, "{told} bytes");
}

#[tokio::test]
async fn notes_of_a_server_leave_room_for_its_warnings() {
    let mut answer = success("matrix", r#"{"metric":{"service":"cart"},"values":[[1700000400,"5"]]}"#);
    answer.pop();
    let infos: Vec<String> = (0..10).map(|index| format!("\"info {index}\"")).collect();
    write!(answer, ",\"warnings\":[\"partial\"],\"infos\":[{}]}}", infos.join(",")).unwrap();
    let server = answering("200 OK", answer);
    let collected = source_of(config(&server)).frame(window()).await.unwrap();
    assert!(
        collected.warnings.contains(&"cpu: the server warns: partial".to_owned()),
        "{:?}",
        collected.warnings
    );
}

#[tokio::test]
async fn a_failure_is_told_in_a_sentence_that_a_call_has_room_for() {
    let long = "ä".repeat(20_000);
    let mut labels = String::new();
    for index in 0..50_000 {
        write!(labels, ",\"label{index}\":\"x\"").unwrap();
    }
    let series = |metric: &str, value: &str| {
        success("matrix", &format!(r#"{{"metric":{{{metric}}},"values":[[1700000400,"{value}"]]}}"#))
    };
    for (status, body, said) in [
        ("400 Bad Request", format!(r#"{{"status":"error","error":"{long}"}}"#), "answered 400 (ä"),
        ("200 OK", series(&format!(r#""a":"b"{labels}"#), "1"), "without the label service"),
        ("200 OK", series(r#""service":"cart""#, &long), "is no number"),
        ("200 OK", series(&format!(r#""service":"{long}""#), "1"), "a name that no service may have"),
    ] {
        let server = answering(status, body);
        let error = source_of(config(&server)).frame(window()).await.unwrap_err();
        assert!(error.message().contains(said) || error.message().ends_with('…'), "{}", error.message());
        assert!(error.message().len() < 2000, "{} bytes: {said}", error.message().len());
    }
}
