//! Certificates and authorities renewed while calls and queries go on.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use automap_integration_tests::{
    pki::{Authority, Identity, Pki, replace},
    processes::Service,
    recording,
    samples::START,
    setup::Setup,
    tls_front::TlsFront,
};
use automap_proto::{
    time::UnixMillis,
    v1::{
        self, collector_service_client::CollectorServiceClient, walker_service_client::WalkerServiceClient,
    },
};
use automap_service_kit::{
    client::{Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
    tls::ClientTlsConfig,
};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::{
    live_diagnosis,
    slow_source::{SETTLED, Slow},
};

/// How long renewed files may take to be taken up.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a process logs when it has taken renewed files up.
const TAKEN_UP: &str = "certificates were renewed and count from now on";

/// How long the callers of this test get to take renewed files up, which they do every second and tell nobody.
const SETTLING: Duration = Duration::from_secs(10);

fn dialer(ca: &Path, identity: &Identity, url: &str) -> Dialer {
    let tls = ClientTlsConfig {
        ca: Some(ca.into()),
        certificate: Some(identity.certificate.clone()),
        key: Some(identity.key.clone()),
        reload_seconds: 1,
        ..ClientTlsConfig::default()
    };
    // One attempt: a retry would hide a failed call.
    let config = ClientConfig { tls, attempts: 1, ..ClientConfig::default() };
    Dialer::new("client", &config, &[url]).unwrap()
}

async fn diagnose_once(dialer: &Dialer, url: &str) -> Result<(), ServiceError> {
    diagnose_through(&mut WalkerServiceClient::new(dialer.channel("url", url).unwrap())).await
}

async fn diagnose_through(client: &mut WalkerServiceClient<Channel>) -> Result<(), ServiceError> {
    let recording = v1::metric_source::Source::Recording("incident".into());
    let request = v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(recording) }),
        ..Default::default()
    };
    let mut answers = client.diagnose(request).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// Callers, each with one call at a time, until they are told to stop or a call fails.
struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<Caller>,
}

struct Caller {
    answered: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Result<(), ServiceError>>,
}

impl Load {
    /// So many callers, whose calls `call` makes for each by its number.
    fn start(
        callers: usize,
        call: impl Fn(usize) -> BoxFuture<'static, Result<(), ServiceError>> + Clone + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..callers).map(|caller| {
            let (stop, call, answered) = (Arc::clone(&stop), call.clone(), Arc::<AtomicUsize>::default());
            let count = Arc::clone(&answered);
            let task = tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    call(caller).await?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
            Caller { answered, task }
        });
        let callers = callers.collect();
        Self { stop, callers }
    }

    fn answered(&self) -> Vec<usize> {
        self.callers.iter().map(|caller| caller.answered.load(Ordering::Relaxed)).collect()
    }

    /// Waits until each caller was answered so many more times. With two, one of them began after now.
    async fn some_more(&self, count: usize) {
        let before = self.answered();
        let began = tokio::time::Instant::now();
        while self.answered().iter().zip(&before).any(|(now, before)| *now < before + count) {
            assert!(began.elapsed() < PATIENCE, "calls are no longer answered");
            assert!(self.callers.iter().all(|caller| !caller.task.is_finished()), "a caller ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut answered = 0;
        for caller in self.callers {
            caller.task.await.unwrap().expect("no call may fail");
            answered += caller.answered.load(Ordering::Relaxed);
        }
        answered
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_every_certificate_and_the_authority_are_renewed() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let pki = Pki::new(home.path()).unwrap();
    let four = Setup::default()
        .mutual_tls(&pki)
        .set("walker.waiting-callers=64")
        .four(home.path(), home.path())
        .unwrap();
    let url = four.walker.address.clone();
    let taken_up = || {
        // The walker has two sets of files: those of a server and those of a client.
        for service in four.all().into_iter().chain([&four.walker]) {
            service.log_line(TAKEN_UP).unwrap();
        }
    };
    let (client, address) = (dialer(&pki.authority.file, &pki.client, &url), url.clone());
    let kept = WalkerServiceClient::new(client.channel("url", &url).unwrap());
    // Some through one connection, some through a new one each.
    let load = Load::start(4, move |caller| {
        let (mut kept, client, address) = (kept.clone(), client.clone(), address.clone());
        Box::pin(async move {
            match caller % 2 {
                0 => diagnose_through(&mut kept).await,
                _ => diagnose_once(&client, &address).await,
            }
        })
    });
    load.some_more(5).await;

    // Renewed by the same authority, as every few weeks.
    pki.authority.issue(home.path(), "server").unwrap();
    pki.authority.issue(home.path(), "client").unwrap();
    tokio::task::block_in_place(taken_up);
    load.some_more(5).await;

    // A new authority: first both are trusted, then the new one signs, then the old one is trusted no longer.
    let next = Authority::new(home.path(), "next").unwrap();
    let old_client = pki.authority.issue(home.path(), "old").unwrap();
    fs::write(&pki.authority.file, pki.authority.pem() + &next.pem()).unwrap();
    tokio::task::block_in_place(taken_up);
    wait_until(&load, || diagnose_once_with(&next, home.path(), &pki.authority.file, &url)).await;
    tokio::time::sleep(SETTLING).await;
    next.issue(home.path(), "server").unwrap();
    next.issue(home.path(), "client").unwrap();
    tokio::task::block_in_place(taken_up);
    wait_until(&load, || diagnose_once_with(&next, home.path(), &next.file, &url)).await;
    tokio::time::sleep(SETTLING).await;
    load.some_more(5).await;
    fs::write(&pki.authority.file, next.pem()).unwrap();
    let refused = async || {
        let ended = diagnose_once(&dialer(&next.file, &old_client, &url), &url).await;
        ended.map_or(Ok(()), |()| Err(ServiceError::internal("the old client is still let in")))
    };
    wait_until(&load, refused).await;
    load.some_more(5).await;
    let answered = load.end().await;
    assert!(answered >= 80, "{answered}");
}

/// Diagnoses as a client of `authority` that trusts what `ca` holds.
async fn diagnose_once_with(
    authority: &Authority,
    home: &Path,
    ca: &Path,
    url: &str,
) -> Result<(), ServiceError> {
    let probe = authority.issue(home, "probe").unwrap();
    diagnose_once(&dialer(ca, &probe, url), url).await
}

/// Waits until `attempt` succeeds while calls go on.
async fn wait_until(load: &Load, attempt: impl AsyncFn() -> Result<(), ServiceError>) {
    let began = tokio::time::Instant::now();
    while let Err(error) = attempt().await {
        assert!(began.elapsed() < PATIENCE, "{error}");
        load.some_more(1).await;
    }
}

/// Has a collector ask its source for metrics.
async fn collect_once(mut collector: CollectorServiceClient<Channel>) -> Result<(), ServiceError> {
    let at = |seconds: i64| Some(UnixMillis(1000 * (START + seconds)).to_wire());
    let query = v1::QuerySource { name: "secure".into(), ..v1::QuerySource::default() };
    let request = v1::CollectFrameRequest {
        source: Some(v1::MetricSource { source: Some(v1::metric_source::Source::Query(query)) }),
        start: at(live_diagnosis::LENGTH - 1200),
        end: at(live_diagnosis::LENGTH),
    };
    let mut parts = collector.collect_frame(request).await?.into_inner();
    while parts.message().await?.is_some() {}
    Ok(())
}

#[test]
fn no_query_fails_while_what_a_source_shows_and_what_it_is_shown_are_renewed() {
    let home = tempfile::tempdir().unwrap();
    let pki = Pki::new(home.path()).unwrap();
    // Each query has a connection of its own, so that none goes on with what an older one proved.
    let prometheus = Slow::start(home.path(), |_| false);
    let front = TlsFront::before(&prometheus.server.url, &pki.server).unwrap();
    front.renew(&pki.server, &pki.authority.file).unwrap();
    let trusted = home.path().join("trusted.pem");
    replace(&trusted, &pki.authority.pem()).unwrap();
    let configuration = format!(
        "[collector.server]\nlisten = \"127.0.0.1:0\"\n[collector.sources.secure]\nurl = {:?}\npreset = \"pymicro\"\n\
         proxy = \"none\"\nattempts = 1\n{SETTLED}tls.reload-seconds = 1\ntls.ca = {trusted:?}\n\
         tls.certificate = {:?}\ntls.key = {:?}\n",
        front.address, pki.client.certificate, pki.client.key
    );
    let collector = Service::start(home.path(), "collector", &configuration).unwrap();
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    // One attempt: a retry would hide a failed call.
    let once = ClientConfig { attempts: 1, ..ClientConfig::default() };
    let dialer = Dialer::new("client", &once, &[&collector.address]).unwrap();
    let client = CollectorServiceClient::new(dialer.channel("address", &collector.address).unwrap());
    let asked = client.clone();
    let load = Load::start(2, move |_| Box::pin(collect_once(asked.clone())));
    let taken_up = || {
        collector.log_line(TAKEN_UP).unwrap();
        // What began with the old files has ended then.
        runtime.block_on(load.some_more(2));
    };
    runtime.block_on(load.some_more(2));

    // Renewed by the same authority, as every few weeks.
    pki.authority.issue(home.path(), "client").unwrap();
    taken_up();

    // A new authority: first both are trusted, then the new one signs, then the old one is trusted no longer.
    let next = Authority::new(home.path(), "next").unwrap();
    let both = home.path().join("both.pem");
    replace(&both, &(pki.authority.pem() + &next.pem())).unwrap();
    replace(&trusted, &(pki.authority.pem() + &next.pem())).unwrap();
    taken_up();
    let server = next.issue(home.path(), "next-server").unwrap();
    front.renew(&server, &both).unwrap();
    runtime.block_on(load.some_more(2));
    next.issue(home.path(), "client").unwrap();
    taken_up();
    front.renew(&server, &next.file).unwrap();
    runtime.block_on(load.some_more(2));
    replace(&trusted, &next.pem()).unwrap();
    taken_up();
    let answered = runtime.block_on(load.end());
    assert!(answered >= 14, "{answered}");

    // Who shows a certificate of the old authority is no longer believed.
    front.renew(&pki.server, &next.file).unwrap();
    let refused = runtime.block_on(collect_once(client)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable, "{refused}");
    assert!(refused.message().contains("certificate"), "{refused}");
}
