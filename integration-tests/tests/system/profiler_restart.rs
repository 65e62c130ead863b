//! The profiler is killed and comes back while diagnoses run, end and are watched: each is there once, and watchers go on.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    faulty_proxy::{Fault, FaultyProxy},
    processes::{FourProcesses, Service},
    recording,
    setup::Setup,
};
use automap_proto::v1::{self, DiagnosisState, walker_service_client::WalkerServiceClient};
use automap_service_kit::client::Channel;
use tonic::Streaming;

use crate::walker_calls::{client_of, ids, listed, request, start};

/// How long anything may take that comes by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// The profiler on the store of the one before.
fn profiler(setup: &Setup<'_>, home: &Path) -> Service {
    let store = home.join("store");
    let configuration =
        format!("[profiler]\npath = {store:?}\n[profiler.server]\nlisten = \"127.0.0.1:0\"\n");
    setup.service(home, "profiler", &configuration).unwrap()
}

/// Hears news until each of these has ended, and a while longer; how often each was told to be done.
async fn heard(mut news: Streaming<v1::WatchDiagnosesResponse>, awaited: &[&str]) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let missing = awaited.iter().any(|id| !ends.contains_key(*id));
        let wait = if missing {
            deadline.saturating_duration_since(Instant::now())
        } else {
            // Walkers tell each other once a second.
            Duration::from_secs(3)
        };
        match tokio::time::timeout(wait, news.message()).await {
            Ok(one) => {
                let one = one.unwrap().expect("watching goes on");
                if one.state() == DiagnosisState::Done {
                    *ends.entry(one.diagnosis_id).or_default() += 1;
                }
            }
            Err(_) => {
                assert!(!missing, "not in time: {ends:?} of {awaited:?}");
                return ends;
            }
        }
    }
}

/// Waits until a walker finds a diagnosis done, whatever it answers before.
async fn done(walker: &mut WalkerServiceClient<Channel>, id: &str) -> v1::Diagnosis {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.into() };
        let answer = walker.get_diagnosis(request).await;
        if let Ok(found) = &answer
            && let Some(found) = &found.get_ref().diagnosis
            && found.state() == DiagnosisState::Done
        {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "{id}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn nothing_is_lost_or_doubled_and_watchers_go_on() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let setup = Setup::default().set("walker.concurrent-diagnoses=16");
    let four = setup.four(home.path(), home.path()).unwrap();
    let held_up = FaultyProxy::before(&four.graph_builder.address).unwrap();
    held_up.set(Fault::Silence);
    // The profiler has another port when it is back.
    let memory = FaultyProxy::before(&four.profiler.address).unwrap();
    let walker = |graph_builder: &str| {
        let peers = [four.collector.address.as_str(), graph_builder, &memory.address];
        setup.walker(home.path(), peers).unwrap()
    };
    let walkers = [walker(&held_up.address), walker(&four.graph_builder.address)];
    let FourProcesses {
        collector: _collector,
        graph_builder: _graph_builder,
        profiler: killed,
        walker: _walker,
    } = four;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut waits, mut works) = runtime.block_on(async { (client_of(&walkers[0]), client_of(&walkers[1])) });

    let (of_waits, of_works, before) = runtime.block_on(async {
        let watch = || v1::WatchDiagnosesRequest::default();
        let of_waits = waits.watch_diagnoses(watch()).await.unwrap().into_inner();
        let of_works = works.watch_diagnoses(watch()).await.unwrap().into_inner();
        // Whoever watches hears from then on that the profiler knows of it.
        for service in &walkers {
            service.log_line("hears of other walkers").unwrap();
        }
        for id in ["one", "two", "three"] {
            start(&mut waits, id, 1).await.unwrap();
        }
        let running = listed(&mut works, &[DiagnosisState::Running]).await;
        let mut names = ids(&running);
        names.sort_unstable();
        assert_eq!(names, ["one", "three", "two"]);
        (of_waits, of_works, running)
    });

    killed.kill().unwrap();
    runtime.block_on(async {
        // Without it diagnoses begin, and one ends.
        start(&mut waits, "begun-meanwhile", 1).await.unwrap();
        let mut alone = request("ended-meanwhile", 1);
        if let Some(settings) = alone.diagnosis.as_mut().and_then(|asked| asked.settings.as_mut()) {
            settings.method = v1::Method::Evidence.into();
        }
        works.start_diagnosis(alone).await.unwrap();
        let partial = done(&mut works, "ended-meanwhile").await;
        assert!(partial.warnings.iter().any(|warning| warning.starts_with("without memory")), "{partial:?}");
    });
    let again = profiler(&setup, home.path());
    memory.stand_before(&again.address).unwrap();
    memory.cut_all();
    // What was held up goes on: a call that breaks after seconds would not be tried again.
    held_up.set(Fault::None);

    let all = ["begun-meanwhile", "ended-meanwhile", "one", "three", "two"];
    runtime.block_on(async {
        let (first, second) = tokio::join!(heard(of_waits, &all), heard(of_works, &all));
        let once: BTreeMap<String, usize> = all.iter().map(|id| ((*id).to_owned(), 1)).collect();
        assert_eq!((&first, &second), (&once, &once));
        for id in all {
            let (one, other) = (done(&mut waits, id).await, done(&mut works, id).await);
            assert_eq!(one, other, "{id}: both walkers show the same");
            assert!(!one.ranking.is_empty(), "{id}: {one:?}");
            if let Some(known) = before.iter().find(|known| known.diagnosis_id == id) {
                assert_eq!(
                    (&one.created_at, &one.walker),
                    (&known.created_at, &known.walker),
                    "{id} began once"
                );
            }
        }
        let kept = listed(&mut works, &[]).await;
        let mut names = ids(&kept);
        names.sort_unstable();
        assert_eq!(names, all);
        // The same requests again begin nothing.
        for id in ["one", "begun-meanwhile"] {
            start(&mut works, id, 1).await.unwrap();
        }
        assert_eq!(listed(&mut works, &[]).await.len(), all.len());
    });
}
