//! A real browser without a window, and a proxy that sees what it wants to fetch.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// Hosts that the browser talks to by itself, whatever page it shows.
const OWN_HOSTS: [&str; 4] = ["google.com", "googleapis.com", "gvt1.com", "gstatic.com"];

/// What a browser made of a page.
#[derive(Debug)]
pub struct Shown {
    /// The document after the browser has read it.
    pub document: String,
    /// First lines of requests that the page caused.
    pub requests: Vec<String>,
}

/// Opens `page` and answers its document and whatever it tried to fetch.
///
/// # Errors
/// The browser is missing or failed.
pub fn show(page: &Path, home: &Path) -> anyhow::Result<Shown> {
    let proxy = Proxy::start()?;
    let profile = tempfile::tempdir_in(home)?;
    let output = chromium(profile.path())
        .arg(format!("--proxy-server=127.0.0.1:{}", proxy.port))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .context("cannot start chromium: install the package of that name, as .ci/test does")?;
    ensure!(output.status.success(), "chromium failed: {}", String::from_utf8_lossy(&output.stderr));
    let requests = proxy.seen.lock().map(|seen| seen.clone()).unwrap_or_default();
    Ok(Shown {
        document: String::from_utf8_lossy(&output.stdout).into_owned(),
        requests: requests
            .into_iter()
            .filter(|line| !OWN_HOSTS.iter().any(|host| line.contains(host)))
            .collect(),
    })
}

/// Prints `page` on paper and answers the bytes of the PDF.
///
/// # Errors
/// The browser is missing or failed.
pub fn print(page: &Path, home: &Path) -> anyhow::Result<Vec<u8>> {
    let profile = tempfile::tempdir_in(home)?;
    let paper = profile.path().join("page.pdf");
    let output = chromium(profile.path())
        .arg(format!("--print-to-pdf={}", paper.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .context("cannot start chromium: install the package of that name, as .ci/test does")?;
    ensure!(output.status.success(), "chromium failed: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(&paper).context("chromium printed nothing")
}

fn chromium(profile: &Path) -> Command {
    let mut command = Command::new("chromium");
    command.stdin(Stdio::null()).arg(format!("--user-data-dir={}", profile.display())).args([
        "--headless",
        // Tests run as root in containers, where the sandbox cannot start.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]);
    command
}

/// Listens on loopback, remembers the first line of every request, and answers none.
struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else {
                    break;
                };
                connection.set_read_timeout(Some(Duration::from_secs(5))).ok();
                let mut head = [0; 1024];
                let length = connection.read(&mut head).unwrap_or(0);
                let text = String::from_utf8_lossy(&head[..length]);
                if let (Some(line), Ok(mut lines)) = (text.lines().next(), sink.lock()) {
                    lines.push(line.to_owned());
                }
                connection.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").ok();
            }
        });
        Ok(Self { port, seen })
    }
}
