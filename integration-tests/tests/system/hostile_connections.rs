//! Connections and calls of somebody who wants to stop the service: each is bounded, and the service goes on.

use std::time::{Duration, Instant};

use automap_integration_tests::{load::Caller, processes::FourProcesses, recording, setup::Setup, usage};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client,
    error::{ErrorCode, ServiceError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Idle connections at once.
const MANY: usize = 10_000;

/// The opening of HTTP/2 with empty settings, after which a client may keep silent.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// How long whatever must happen may take.
const PATIENCE: Duration = Duration::from_secs(180);

fn four(home: &std::path::Path, setup: &Setup<'_>) -> FourProcesses {
    recording::demo_incident(home).unwrap();
    setup.four(home, home).unwrap()
}

/// Opens connections to the walker and says this on each.
async fn open(four: &FourProcesses, count: usize, words: &'static [u8]) -> Vec<TcpStream> {
    let address = four.walker.address.trim_start_matches("http://").to_owned();
    let mut opened = Vec::with_capacity(count);
    // In parts, so that no queue of the kernel overflows.
    for part in (0..count).step_by(100) {
        let mut opening = JoinSet::new();
        for _ in part..count.min(part + 100) {
            let address = address.clone();
            opening.spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(words).await?;
                Ok::<_, std::io::Error>(stream)
            });
        }
        opened.extend(opening.join_all().await.into_iter().map(Result::unwrap));
    }
    opened
}

/// Reads to the end that the server makes.
async fn assert_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("the connection is closed")
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_take_little_and_keep_nobody_out() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let home = tempfile::tempdir().unwrap();
    let four = four(home.path(), &Setup::default().set("walker.server.handshake-seconds=5"));
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    caller.call().await.unwrap();
    let (before, _) = usage::memory(four.walker.id()).unwrap();
    let idle = open(&four, MANY, OPENING).await;
    // Both a client that is there and one that comes now.
    caller.call().await.unwrap();
    Caller::new(&four.walker.address, "incident").unwrap().call().await.unwrap();
    let (now, _) = usage::memory(four.walker.id()).unwrap();
    let each = now.saturating_sub(before) / MANY as u64;
    println!("an idle connection takes {each} bytes");
    assert!(each < 48 << 10, "{each} bytes");
    drop(idle);

    // Those that never say a word are closed, and give their places back.
    let mut silent = open(&four, MANY, b"").await;
    caller.call().await.unwrap();
    for stream in &mut silent {
        assert_closed(stream).await;
    }
    Caller::new(&four.walker.address, "incident").unwrap().call().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_and_those_that_are_there_go_on() {
    let home = tempfile::tempdir().unwrap();
    let four = four(home.path(), &Setup::default().set("walker.server.max-connections=50"));
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    caller.call().await.unwrap();
    let idle = open(&four, 49, OPENING).await;
    let newcomer = Caller::new(&four.walker.address, "incident").unwrap();
    let refused = newcomer.call().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable, "{refused}");
    assert!(refused.message().contains("may be full"), "{refused}");
    caller.call().await.unwrap();
    drop(idle);
    let began = Instant::now();
    while let Err(error) = newcomer.call().await {
        assert!(began.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_byte_by_byte_are_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let four = four(home.path(), &Setup::default().set("walker.server.handshake-seconds=2"));
    let mut slow = JoinSet::new();
    for mut stream in open(&four, 200, b"").await {
        slow.spawn(async move {
            let began = Instant::now();
            for byte in OPENING.iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() || began.elapsed() > PATIENCE {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            began.elapsed()
        });
    }
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    caller.call().await.unwrap();
    let lasted = slow.join_all().await;
    assert!(lasted.iter().all(|time| *time < PATIENCE), "{lasted:?}");
    caller.call().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_drips_is_given_up_on_and_its_turn_goes_to_others() {
    let home = tempfile::tempdir().unwrap();
    let setup = Setup::default()
        .set("collector.patience-seconds=3")
        .set("walker.concurrent-diagnoses=1")
        .set("walker.waiting-callers=1");
    let four = four(home.path(), &setup);
    let mut client = WalkerServiceClient::new(client::channel("address", &four.walker.address).unwrap());
    use v1::diagnose_recording_request::Part;
    let incident = v1::RecordedIncident {
        description: Some(v1::RecordingDescription::default()),
        ..v1::RecordedIncident::default()
    };
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let part = |part| v1::DiagnoseRecordingRequest { part: Some(part) };
    sender.send(part(Part::Incident(incident))).await.unwrap();
    let dripping = tokio::spawn(async move {
        while sender.send(part(Part::Data(vec![b'x'].into()))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let upload = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.diagnose_recording(upload).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some(), "the upload has its turn");
    // This one waits for the turn of the other.
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    let waiting = tokio::spawn(async move { caller.call().await });
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a dripping upload is no recording"),
                Err(status) => return ServiceError::from(status),
            }
        }
    });
    let error = ended.await.expect("the upload is given up on");
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
    assert!(error.message().contains("bytes/s or more"), "{error}");
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_calls_on_one_connection_is_answered_or_refused_call_by_call() {
    let home = tempfile::tempdir().unwrap();
    let four = four(home.path(), &Setup::default().set("walker.server.max-calls=16"));
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    caller.call().await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..3000 {
        let caller = caller.clone();
        calls.spawn(async move { caller.call().await });
    }
    let ended = tokio::time::timeout(2 * PATIENCE, calls.join_all()).await.expect("every call ends");
    let refused = ended.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in refused.clone() {
        assert_eq!(error.code(), ErrorCode::Overloaded, "{error}");
        assert!(error.retry_delay().is_some(), "{error}");
    }
    let refused = refused.count();
    println!("{} answered, {refused} refused", ended.len() - refused);
    assert!(refused > 2000 && refused < ended.len(), "{refused} refused");
    caller.call().await.unwrap();
}
