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
use serde::Deserialize;

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

/// What a browser shows of the charts of a page.
#[derive(Debug, Deserialize)]
pub struct Layout {
    /// Every `figure` of class `chart`, in order.
    pub charts: Vec<Chart>,
    /// Cells with a number in confusion matrices.
    pub cells: usize,
    /// Pixels by which the page is wider than the window.
    pub overflow: f64,
}

/// One chart.
#[derive(Debug, Deserialize)]
pub struct Chart {
    /// Id of its figure.
    pub id: String,
    /// Points and bars that are inside the drawing, not too small to be seen, and of another colour than the paper.
    pub marks: usize,
    /// Words and numbers, counted in the same way.
    pub words: usize,
    /// Words and numbers that lie over others.
    pub collisions: usize,
    /// Words and numbers that the edge of the drawing cuts.
    pub cut: usize,
}

/// Counts in the browser what it shows.
const MEASURE: &str = r"<script>
const paper = getComputedStyle(document.body).backgroundColor;
const seen = (part, frame) => {
  const box = part.getBoundingClientRect(), style = getComputedStyle(part);
  const inked = color => color !== 'none' && color !== paper && !/^rgba.*, 0\)$/.test(color);
  return style.visibility === 'visible' && style.display !== 'none' && Number(style.opacity) > 0
    && box.width >= 1 && box.height >= 1 && (inked(style.fill) || inked(style.stroke))
    && box.left >= frame.left - 1 && box.right <= frame.right + 1 && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
};
const over = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2
  && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 2;
const charts = [...document.querySelectorAll('figure.chart')].map(figure => {
  const drawing = figure.querySelector('svg'), frame = drawing.getBoundingClientRect();
  const shown = kinds => [...drawing.querySelectorAll(kinds)].filter(part => seen(part, frame));
  const words = shown('text').map(word => word.getBoundingClientRect());
  const cut = [...drawing.querySelectorAll('text')].filter(word => !seen(word, frame)).length;
  return {id: figure.id, marks: shown('circle, rect').length, words: words.length, cut,
    collisions: words.filter((one, index) => words.some((other, place) => place > index && over(one, other))).length};
});
const cells = [...document.querySelectorAll('.matrix .heat')].filter(cell => cell.innerText.trim() !== '').length;
const overflow = document.documentElement.scrollWidth - innerWidth;
document.body.innerHTML = '<pre>' + JSON.stringify({charts, cells, overflow}) + '</pre>';
</script></body>";

/// Opens a copy of `page` that may run a script, in a window `width` pixels wide, and measures what is shown.
///
/// # Errors
/// The browser is missing or failed, or the page has no content security policy as reports do.
pub fn measure(page: &Path, home: &Path, width: u32) -> anyhow::Result<Layout> {
    let text = std::fs::read_to_string(page)?;
    let policy = "default-src 'none'";
    ensure!(text.contains(policy) && text.contains("</body>"), "{} is no report", page.display());
    let text = text.replacen(policy, &format!("{policy}; script-src 'unsafe-inline'"), 1);
    let profile = tempfile::tempdir_in(home)?;
    let copy = profile.path().join("measured.html");
    std::fs::write(&copy, text.replacen("</body>", MEASURE, 1))?;
    let output = chromium(profile.path())
        .arg(format!("--window-size={width},1000"))
        .arg("--dump-dom")
        .arg(format!("file://{}", copy.display()))
        .output()
        .context("cannot start chromium: install the package of that name, as .ci/test does")?;
    ensure!(output.status.success(), "chromium failed: {}", String::from_utf8_lossy(&output.stderr));
    let document = String::from_utf8_lossy(&output.stdout);
    let inside = document.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next());
    serde_json::from_str(inside.context("the script did not run")?).context("the script answered no layout")
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
