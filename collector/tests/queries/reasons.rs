//! Why a series matched nothing is told where the server says so, and is never worth the metrics.

use automap_collector::{query::preflight, source::MetricSource as _};
use automap_integration_tests::scripted_server::{ScriptedServer, send};

use crate::{config, greeting, source_of, success, window};

/// Has cpu and no memory, and refuses to say which metrics there are.
fn secretive(status: &'static str) -> ScriptedServer {
    let script = move |target: &str, _: usize, stream: &mut std::net::TcpStream| {
        let body = if let Some(greeting) = greeting(target) {
            greeting
        } else if target.contains("count+by") {
            return send(stream, status, "", r#"{"status":"error","error":"no regular expressions"}"#);
        } else if target.contains("query_range") {
            let cpu = r#"{"metric":{"service":"cart"},"values":[[1700000400,"5"]]}"#;
            success("matrix", if target.contains("my_cpu") { cpu } else { "" })
        } else {
            let cpu = r#"{"metric":{"service":"cart"},"value":[1700000400,"5"]}"#;
            success("vector", if target.contains("my_cpu") { cpu } else { "" })
        };
        send(stream, "200 OK", "", &body)
    };
    ScriptedServer::start(Box::new(script)).unwrap()
}

#[tokio::test]
async fn metrics_are_kept_where_the_server_refuses_to_tell_why_others_are_not_there() {
    for status in ["403 Forbidden", "422 Unprocessable Entity", "503 Service Unavailable"] {
        let server = secretive(status);
        let collected = source_of(config(&server)).frame(window()).await.unwrap();
        assert_eq!(collected.frame.services(), ["cart"]);
        let told = collected.warnings.join("\n");
        assert!(
            told.contains("memory: nothing matched my_memory; the source did not say which metrics it has")
        );
        assert!(told.contains("not known is names of metrics: ") && told.contains(&status[..3]), "{told}");
    }
}

#[tokio::test]
async fn a_check_goes_on_where_the_server_refuses_to_tell_which_metrics_it_has() {
    let server = secretive("403 Forbidden");
    let found = preflight::check(&source_of(config(&server)), 60_000).await.unwrap();
    assert_eq!(found.series.iter().map(|series| series.services).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(found.series[1].missing_metrics, None);
    assert!(found.warnings.iter().any(|warning| warning.contains("not known is metrics of memory: ")));
}
