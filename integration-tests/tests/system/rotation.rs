//! Certificates and authorities renewed while calls go on.

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
    pki::{Authority, Identity, Pki},
    recording,
    setup::Setup,
};
use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client::{Channel, ClientConfig, Dialer},
    error::ServiceError,
    tls::ClientTlsConfig,
};

/// How long renewed files may take to be taken up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the callers of this test get to take renewed files up, which they do every second and tell nobody.
const SETTLING: Duration = Duration::from_secs(5);

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

/// Calls that go on until they are told to stop: some through one connection, some through a new one each.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<tokio::task::JoinHandle<Result<(), ServiceError>>>,
}

impl Load {
    fn start(dialer: &Dialer, url: &str) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..4).map(|caller| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (dialer, url) = (dialer.clone(), url.to_owned());
            tokio::spawn(async move {
                let mut kept = WalkerServiceClient::new(dialer.channel("url", &url).unwrap());
                while !stop.load(Ordering::Relaxed) {
                    if caller % 2 == 0 {
                        diagnose_through(&mut kept).await?;
                    } else {
                        diagnose_once(&dialer, &url).await?;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), ServiceError>(())
            })
        });
        let callers = callers.collect();
        Self { stop, answered, callers }
    }

    /// Waits until so many more calls were answered.
    async fn some_more(&self, count: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + count;
        let began = tokio::time::Instant::now();
        while self.answered.load(Ordering::Relaxed) < enough {
            assert!(began.elapsed() < PATIENCE, "calls are no longer answered");
            assert!(self.callers.iter().all(|caller| !caller.is_finished()), "a caller ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap().expect("no call may fail");
        }
        self.answered.load(Ordering::Relaxed)
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
            service.log_line("certificates were renewed and count from now on").unwrap();
        }
    };
    let load = Load::start(&dialer(&pki.authority.file, &pki.client, &url), &url);
    load.some_more(20).await;

    // Renewed by the same authority, as every few weeks.
    pki.authority.issue(home.path(), "server").unwrap();
    pki.authority.issue(home.path(), "client").unwrap();
    tokio::task::block_in_place(taken_up);
    load.some_more(20).await;

    // A new authority: first both are trusted, then the new one signs, then the old one is trusted no longer.
    let next = Authority::new(home.path(), "next").unwrap();
    let old_client = pki.authority.issue(home.path(), "old").unwrap();
    fs::write(&pki.authority.file, pki.authority.pem() + &next.pem()).unwrap();
    tokio::task::block_in_place(taken_up);
    wait_until(&load, || diagnose_once_with(&next, home.path(), &pki.authority.file, &url)).await;
    tokio::time::sleep(SETTLING).await;
    next.issue(home.path(), "server").unwrap();
    next.issue(home.path(), "client").unwrap();
    wait_until(&load, || diagnose_once_with(&next, home.path(), &next.file, &url)).await;
    tokio::time::sleep(SETTLING).await;
    load.some_more(20).await;
    fs::write(&pki.authority.file, next.pem()).unwrap();
    let refused = async || {
        let ended = diagnose_once(&dialer(&next.file, &old_client, &url), &url).await;
        ended.map_or(Ok(()), |()| Err(ServiceError::internal("the old client is still let in")))
    };
    wait_until(&load, refused).await;
    load.some_more(20).await;
    let answered = load.end().await;
    assert!(answered >= 100, "{answered}");
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
