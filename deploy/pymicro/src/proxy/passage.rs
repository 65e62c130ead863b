//! One connection through the proxy.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rand::RngExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};

use super::Network;
use crate::conditions::NetworkConditions;

/// The least time after which Linux sends a packet again. Each further loss of the same packet doubles it.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// Losses of one piece in a row, at most: 12.6 s.
const LOSSES: u32 = 6;

/// Passes bytes between a caller at `source` and an instance of `service` until both have said all.
pub(super) async fn pass(network: Arc<Network>, service: String, client: TcpStream, source: IpAddr) {
    let connected = match network.upstream(&service) {
        Some(upstream) => TcpStream::connect(upstream).await,
        None => Err(io::ErrorKind::ConnectionRefused.into()),
    };
    let Ok(server) = connected else {
        // Dropped with nothing to linger for, the connection is reset: as near to a refusal as a proxy comes.
        client.set_zero_linger().ok();
        return;
    };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let caller = network.caller(source);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let both = tokio::try_join!(
        relay(&network, caller.as_deref(), from_client, to_server),
        relay(&network, Some(&service), from_server, to_client)
    );
    if let Err(error) = both {
        tracing::debug!(%error, service, "a connection broke");
    }
}

/// Passes on what `sender` sends, piece by piece; a sender that is no service has a good network.
async fn relay(
    network: &Network,
    sender: Option<&str>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        if let Some(sender) = sender {
            let conditions = network.conditions(sender);
            if conditions != NetworkConditions::default() {
                sleep(network.held_up(&conditions)).await;
            }
        }
        to.write_all(&buffer[..count]).await?;
    }
}

impl Network {
    fn held_up(&self, conditions: &NetworkConditions) -> Duration {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        held_up(conditions, || chance.random())
    }
}

/// How much later a piece comes; `chance` draws uniformly from 0 to 1.
fn held_up(conditions: &NetworkConditions, mut chance: impl FnMut() -> f64) -> Duration {
    let mut milliseconds = conditions.latency_ms;
    if conditions.jitter_ms > 0.0 {
        milliseconds += conditions.jitter_ms * (2.0 * chance() - 1.0);
    }
    let mut time = Duration::from_secs_f64(milliseconds.max(0.0) / 1e3);
    let mut losses = 0;
    while conditions.loss > 0.0 && losses < LOSSES && chance() < conditions.loss {
        time += RETRANSMISSION * (1 << losses);
        losses += 1;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(conditions: NetworkConditions, draws: &[f64]) -> u128 {
        let mut draws = draws.iter().copied();
        held_up(&conditions, || draws.next().unwrap()).as_millis()
    }

    #[test]
    fn jitter_is_around_the_latency() {
        let slow = NetworkConditions { latency_ms: 100.0, jitter_ms: 20.0, loss: 0.0 };
        assert_eq!(milliseconds(slow, &[0.0]), 80);
        assert_eq!(milliseconds(slow, &[0.5]), 100);
        assert_eq!(milliseconds(slow, &[1.0]), 120);
    }

    #[test]
    fn each_loss_of_a_piece_doubles_the_wait_and_there_is_an_end() {
        let lossy = NetworkConditions { loss: 0.2, ..NetworkConditions::default() };
        assert_eq!(milliseconds(lossy, &[0.2]), 0);
        assert_eq!(milliseconds(lossy, &[0.1, 0.9]), 200);
        assert_eq!(milliseconds(lossy, &[0.1, 0.1, 0.9]), 600);
        assert_eq!(milliseconds(lossy, &[0.1; 6]), 12_600);
    }
}
