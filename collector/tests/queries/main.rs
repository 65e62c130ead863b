//! Collections from a server that answers as a script says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests state facts; a failed unwrap is a failed test")]

mod places;
mod reasons;
mod strange;

use std::collections::BTreeMap;

use automap_collector::{
    limits::SampleBounds,
    query::{
        config::QuerySourceConfig,
        source::{QueryServer, QuerySource},
    },
};
use automap_integration_tests::scripted_server::ScriptedServer;
use automap_proto::time::UnixMillis;

/// The window that is asked for: three points of 15 s.
fn window() -> SampleBounds {
    SampleBounds::new(Some(UnixMillis(1_700_000_400_000)), Some(UnixMillis(1_700_000_430_000))).unwrap()
}

/// A source of cpu and memory whose step and scrape interval are known.
fn config(server: &ScriptedServer) -> QuerySourceConfig {
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
    };
    QuerySourceConfig {
        url: server.url.clone(),
        expressions: texts(&[("cpu", "my_cpu"), ("memory", "my_memory")]),
        labels: texts(&[("default", "service")]),
        step: "15s".into(),
        scrape_interval: Some("15s".into()),
        proxy: Some("none".into()),
        attempts: 1,
        ..QuerySourceConfig::default()
    }
}

fn source_of(config: QuerySourceConfig) -> QuerySource {
    QueryServer::new("source", config, 1 << 20).unwrap().source("", None).unwrap()
}

/// A whole answer whose result is this.
fn success(kind: &str, result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{result}]}}}}"#)
}

/// The answer to whether anybody is there, where that is asked.
fn greeting(target: &str) -> Option<String> {
    target.contains("vector%281%29").then(|| success("vector", r#"{"metric":{},"value":[1,"1"]}"#))
}
