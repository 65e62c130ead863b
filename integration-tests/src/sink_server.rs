//! A server that takes what sinks are sent, keeps it, and answers as a script says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Largest body that it takes.
const MAX_BYTES: usize = 4 << 20;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The path.
    pub path: String,
    /// The headers, in small letters.
    pub head: String,
    /// The body.
    pub body: String,
    /// When it was there.
    pub at: Instant,
}

impl Taken {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// A server on a free loopback port; its thread ends with it.
#[derive(Debug)]
pub struct SinkServer {
    /// `http://127.0.0.1:port`.
    pub url: String,
    taken: Arc<(Mutex<Vec<Taken>>, Condvar)>,
    ended: Arc<AtomicBool>,
}

/// Says by path, and how many requests for it came before, with which status and further headers a request is answered.
pub type Answers = dyn Fn(&str, usize) -> (u16, String) + Send + Sync;

impl SinkServer {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(answers: Box<Answers>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let taken: Arc<(Mutex<Vec<Taken>>, Condvar)> = Arc::default();
        let ended = Arc::new(AtomicBool::new(false));
        let (kept, stop, answers) = (Arc::clone(&taken), Arc::clone(&ended), Arc::<Answers>::from(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                // A client that left early is part of no test; its request was not taken.
                std::thread::spawn(move || drop(answer(stream, &kept, &*answers)));
            }
        });
        Ok(Self { url, taken, ended })
    }

    /// What came for `path` so far.
    pub fn taken(&self, path: &str) -> Vec<Taken> {
        let taken = self.taken.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|one| one.path == path).cloned().collect()
    }

    /// Waits until `number` requests for `path` have come.
    ///
    /// # Errors
    /// They did not within `patience`.
    pub fn wait_for(&self, path: &str, number: usize, patience: Duration) -> anyhow::Result<Vec<Taken>> {
        let (taken, news) = &*self.taken;
        let lacking = |taken: &mut Vec<Taken>| taken.iter().filter(|one| one.path == path).count() < number;
        let held = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, waited) =
            news.wait_timeout_while(held, patience, lacking).unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Taken> = held.iter().filter(|one| one.path == path).cloned().collect();
        ensure!(!waited.timed_out(), "{} of {number} requests for {path} came: {found:#?}", found.len());
        Ok(found)
    }
}

impl Drop for SinkServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, so that it sees the end.
        TcpStream::connect(self.url.trim_start_matches("http://")).ok();
    }
}

fn answer(
    mut stream: TcpStream,
    taken: &(Mutex<Vec<Taken>>, Condvar),
    answers: &Answers,
) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(180)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).context("a request names its path")?.to_owned();
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
        head.push_str(&line);
        head.push('\n');
    }
    ensure!(length <= MAX_BYTES, "{length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, headers) = {
        let mut held = taken.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.iter().filter(|one| one.path == path).count();
        let answer = answers(&path, before);
        held.push(Taken { path, head, body: String::from_utf8(body)?, at: Instant::now() });
        answer
    };
    taken.1.notify_all();
    write!(stream, "HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: 2\r\n\r\nok")?;
    Ok(stream.flush()?)
}
