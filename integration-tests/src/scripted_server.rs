//! A server that answers as a script says: for faults that no real server can be brought to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// A server on a free loopback port; its thread ends with it.
#[derive(Debug)]
pub struct ScriptedServer {
    /// `http://127.0.0.1:port`.
    pub url: String,
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

/// What the script answers with: bytes as they go over the wire, written to the connection, which is then closed.
pub type Script = dyn Fn(&str, usize, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

impl ScriptedServer {
    /// Answers each request by the script, which gets the request's target, how many requests came before, and the
    /// connection.
    ///
    /// # Errors
    /// No port is free.
    pub fn start(script: Box<Script>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (asked, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stop, script) = (Arc::clone(&asked), Arc::clone(&ended), Arc::<Script>::from(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (count, script) = (Arc::clone(&count), Arc::clone(&script));
                std::thread::spawn(move || answer(stream, &count, &*script));
            }
        });
        Ok(Self { url, asked, ended })
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, so that it sees the end.
        TcpStream::connect(self.url.trim_start_matches("http://")).ok();
    }
}

fn answer(mut stream: TcpStream, count: &AtomicUsize, script: &Script) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut lines = BufReader::new(reading).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    // The rest of the head; bodies are not sent by what is tested.
    for line in lines {
        if line.is_empty() {
            break;
        }
    }
    let before = count.fetch_add(1, Ordering::Relaxed);
    // A client that left early is part of some scripts.
    script(&target, before, &mut stream).ok();
    stream.flush().ok();
}

/// A whole answer with a body of JSON.
///
/// # Errors
/// The client left.
pub fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
