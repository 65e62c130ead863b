//! A TCP proxy that delays, cuts and corrupts what passes.
//!
//! The proxies of crates.io that stand in for a bad network, which follow Toxiproxy, know no corruption and do not tell
//! which free port they took. What is needed here is small.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    runtime::Runtime,
    sync::watch,
};

/// What happens to connections; the count of bytes is of those that the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Each piece waits for so long, on either way.
    Delay(Duration),
    /// Nothing passes as long as this is the fault, and nothing is closed.
    Silence,
    /// This many connections that are opened from now on break after so many bytes; the next ones are well.
    Cut {
        /// Connections.
        connections: usize,
        /// Bytes of each that still pass.
        after: usize,
    },
    /// In this many connections that are opened from now on every byte is turned over after so many bytes.
    Corrupt {
        /// Connections.
        connections: usize,
        /// Bytes of each that pass as they are.
        after: usize,
    },
}

/// The proxy; it stops when dropped.
#[derive(Debug)]
pub struct FaultyProxy {
    /// Where it listens, as the address that it stands for: `http://127.0.0.1:port`.
    pub address: String,
    shared: Shared,
    _runtime: Runtime,
}

#[derive(Debug, Clone)]
struct Shared {
    upstream: Arc<Mutex<SocketAddr>>,
    fault: watch::Sender<Fault>,
    opened: Arc<Mutex<usize>>,
    /// Changes when all connections must break.
    breaks: watch::Sender<usize>,
}

impl FaultyProxy {
    /// Stands before a service, on a free loopback port and a thread of its own.
    ///
    /// # Errors
    /// `address` is none, or there is no port or no thread to be had.
    pub fn before(address: &str) -> anyhow::Result<Self> {
        let (scheme, upstream) = address.split_once("://").context("the address has no scheme")?;
        let upstream: SocketAddr = upstream.parse()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = format!("{scheme}://{}", listener.local_addr()?);
        let upstream = Arc::new(Mutex::new(upstream));
        let (fault, breaks) = (watch::Sender::new(Fault::None), watch::Sender::new(0));
        let shared = Shared { upstream, fault, opened: Arc::default(), breaks };
        let accepting = shared.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().pass(client));
            }
        });
        Ok(Self { address, shared, _runtime: runtime })
    }

    /// From now on it stands before this service.
    ///
    /// # Errors
    /// `address` is none.
    pub fn stand_before(&self, address: &str) -> anyhow::Result<()> {
        let (_, upstream) = address.split_once("://").context("the address has no scheme")?;
        *lock(&self.shared.upstream) = upstream.parse()?;
        Ok(())
    }

    /// From now on this happens.
    pub fn set(&self, fault: Fault) {
        self.shared.fault.send_replace(fault);
    }

    /// Breaks all connections.
    pub fn cut_all(&self) {
        self.shared.breaks.send_modify(|count| *count += 1);
    }

    /// Connections that were opened so far.
    pub fn opened(&self) -> usize {
        *lock(&self.shared.opened)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to one connection, whatever is set later.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Well,
    CutAfter(usize),
    CorruptAfter(usize),
}

impl Shared {
    /// Passes bytes until one side ends or the connection must break.
    async fn pass(self, client: TcpStream) {
        let upstream = *lock(&self.upstream);
        *lock(&self.opened) += 1;
        let fate = self.fate();
        let mut breaks = self.breaks.subscribe();
        let Ok(server) = TcpStream::connect(upstream).await else { return };
        if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
            return;
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // A way that ends closes its other end; the other way goes on until it ends, too.
        let both = async {
            tokio::try_join!(
                self.relay(from_client, to_server, Fate::Well),
                self.relay(from_server, to_client, fate)
            )
        };
        tokio::select! {
            _ = both => {}
            _ = breaks.changed() => {}
        }
    }

    fn fate(&self) -> Fate {
        let mut fate = Fate::Well;
        self.fault.send_modify(|fault| match fault {
            Fault::Cut { connections, after } if *connections > 0 => {
                *connections -= 1;
                fate = Fate::CutAfter(*after);
            }
            Fault::Corrupt { connections, after } if *connections > 0 => {
                *connections -= 1;
                fate = Fate::CorruptAfter(*after);
            }
            _ => {}
        });
        fate
    }

    async fn relay(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fate: Fate) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        let mut passed = 0;
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            self.hold_up().await;
            let mut piece = &mut buffer[..count];
            match fate {
                Fate::Well => {}
                Fate::CutAfter(after) if passed + count > after => {
                    piece = &mut piece[..after.saturating_sub(passed)]
                }
                Fate::CutAfter(_) => {}
                Fate::CorruptAfter(after) => {
                    let whole = after.saturating_sub(passed).min(count);
                    piece[whole..].iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
            to.write_all(piece).await?;
            passed += count;
            if let Fate::CutAfter(after) = fate
                && passed > after
            {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// Waits as the fault of this moment has it.
    async fn hold_up(&self) {
        let mut faults = self.fault.subscribe();
        let fault = *faults.borrow_and_update();
        match fault {
            Fault::Delay(time) => tokio::time::sleep(time).await,
            // Whoever is dropped meanwhile takes the connection along.
            Fault::Silence => drop(faults.wait_for(|now| *now != Fault::Silence).await),
            Fault::None | Fault::Cut { .. } | Fault::Corrupt { .. } => {}
        }
    }
}
