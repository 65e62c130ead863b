//! However many collections ask one source, it gets so many queries at once.

use std::{
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use automap_collector::{
    query::{
        config::{QuerySourceConfig, Step},
        source::QueryServer,
    },
    source::MetricSource as _,
};
use automap_integration_tests::scripted_server::{ScriptedServer, send};

use crate::{config, greeting, success, window};

/// A sample at the start of the window, where that is asked for.
fn answer(target: &str) -> String {
    let first = target.contains("start=1700000400.000");
    let cpu = r#"{"metric":{"service":"cart"},"values":[[1700000400,"5"]]}"#;
    greeting(target).unwrap_or_else(|| success("matrix", if first { cpu } else { "" }))
}

/// Answers after `pause`, and counts how many it is asked at once, at most.
fn counting(pause: Duration) -> (ScriptedServer, Arc<AtomicUsize>) {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let script = move |target: &str, _: usize, stream: &mut TcpStream| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(pause);
        // Before the answer: whoever has it may ask again at once.
        now.fetch_sub(1, Ordering::SeqCst);
        send(stream, "200 OK", "", &answer(target))
    };
    (ScriptedServer::start(Box::new(script)).unwrap(), most)
}

fn server_of(server: &ScriptedServer, concurrent_queries: usize) -> QueryServer {
    let config = QuerySourceConfig { concurrent_queries, ..config(server) };
    QueryServer::new("source", config, 1 << 20).unwrap()
}

#[tokio::test]
async fn all_collections_of_a_source_share_its_places() {
    let (server, most) = counting(Duration::from_millis(20));
    let asked = server_of(&server, 2);
    let sources: Vec<_> = (0..8).map(|_| asked.source("", None).unwrap()).collect();
    let collections = futures::future::join_all(sources.iter().map(|source| source.frame(window()))).await;
    assert!(collections.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_collection_that_is_given_up_gives_its_places_back() {
    let (silent, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (silence, end) = (Arc::clone(&silent), Arc::clone(&ended));
    let script = move |target: &str, _: usize, stream: &mut TcpStream| {
        let held = silence.load(Ordering::SeqCst) && target.contains("query_range");
        while held && !end.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        send(stream, "200 OK", "", &answer(target))
    };
    let server = ScriptedServer::start(Box::new(script)).unwrap();
    let asked = server_of(&server, 2);
    let (one, other, next) =
        (asked.source("", None).unwrap(), asked.source("", None).unwrap(), asked.source("", None).unwrap());
    // Two hold both places, and two more queries wait for one.
    let stuck = async { tokio::join!(one.frame(window()), other.frame(window())) };
    assert!(tokio::time::timeout(Duration::from_millis(500), stuck).await.is_err());
    silent.store(false, Ordering::SeqCst);
    let collected = tokio::time::timeout(Duration::from_secs(120), next.frame(window())).await.unwrap();
    assert_eq!(collected.unwrap().frame.services(), ["cart"]);
    ended.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn a_small_collection_does_not_wait_for_all_of_a_large_one() {
    let (server, _) = counting(Duration::from_millis(20));
    let asked = server_of(&server, 1);
    // Of each expression three parts of 10,000 points.
    let (large, small) = (asked.source("", Some(Step::Fixed(1))).unwrap(), asked.source("", None).unwrap());
    tokio::select! {
        collected = large.frame(window()) => panic!("the large one ended first: {collected:?}"),
        collected = small.frame(window()) => assert!(collected.is_ok()),
    }
    assert!(large.frame(window()).await.is_ok());
}

#[tokio::test]
async fn as_many_places_as_can_be_written_are_no_error() {
    let (server, _) = counting(Duration::ZERO);
    let asked = server_of(&server, usize::MAX);
    assert!(asked.source("", None).unwrap().frame(window()).await.is_ok());
}
