//! How much one client may ask: calls at once, and calls begun in a minute.
//!
//! The rate is kept by the generic cell rate algorithm (ITU-T I.371): of each client one time is known, by which all that he
//! began would be used up. Clients that have nothing under way and nothing to wait for are forgotten, so memory is bounded by
//! the clients of a minute.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::error::{ErrorCode, ServiceError};

const MINUTE: Duration = Duration::from_secs(60);

/// When a client may come again who has too many calls under way.
const COME_BACK: Duration = Duration::from_secs(1);

/// Clients that are known before those are looked for that can be forgotten.
const MANY: usize = 4096;

/// Counts the calls of each client. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Quota {
    at_once: Option<usize>,
    per_minute: Option<u32>,
    clients: Arc<Mutex<BTreeMap<String, Use>>>,
}

#[derive(Debug)]
struct Use {
    running: usize,
    /// When all that was begun is used up.
    used_up: Instant,
}

/// A call under way; it no longer counts when this is dropped.
#[derive(Debug)]
pub struct Place {
    quota: Quota,
    client: String,
}

impl Quota {
    /// Limits, where there are any.
    pub fn new(at_once: Option<usize>, per_minute: Option<u32>) -> Self {
        Self { at_once, per_minute, clients: Arc::default() }
    }

    /// Lets a client begin a call; `None` when nothing is limited.
    ///
    /// # Errors
    /// `Overloaded`, with a hint when to come back: he asks too much.
    pub fn enter(&self, client: &str) -> Result<Option<Place>, ServiceError> {
        if self.at_once.is_none() && self.per_minute.is_none() {
            return Ok(None);
        }
        let now = Instant::now();
        let mut clients = self.lock();
        if clients.len() >= MANY {
            clients.retain(|_, of| of.running > 0 || of.used_up > now);
        }
        let of = clients.entry(client.to_owned()).or_insert(Use { running: 0, used_up: now });
        if self.at_once.is_some_and(|most| of.running >= most) {
            return Err(refused(client, "calls-at-once", COME_BACK));
        }
        if let Some(most) = self.per_minute {
            let after = of.used_up.max(now) + MINUTE / most;
            let ahead = after.saturating_duration_since(now);
            if ahead > MINUTE {
                return Err(refused(client, "calls-per-minute", ahead - MINUTE));
            }
            of.used_up = after;
        }
        of.running += 1;
        drop(clients);
        Ok(Some(Place { quota: self.clone(), client: client.to_owned() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Use>> {
        // The map is whole between any two statements, so a panic elsewhere leaves nothing to repair.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.quota.lock();
        if let Some(of) = clients.get_mut(&self.client) {
            of.running = of.running.saturating_sub(1);
            if of.running == 0 && of.used_up <= Instant::now() {
                clients.remove(&self.client);
            }
        }
    }
}

fn refused(client: &str, setting: &str, after: Duration) -> ServiceError {
    let problem = format!("{client} asks more than server.access.{setting} allows; try again later");
    ServiceError::new(ErrorCode::Overloaded, problem).retry_after(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_has_so_many_calls_under_way_and_others_have_theirs() {
        let quota = Quota::new(Some(2), None);
        let held = [quota.enter("ada").unwrap(), quota.enter("ada").unwrap()];
        let refused = quota.enter("ada").unwrap_err();
        assert_eq!((refused.code(), refused.retry_delay()), (ErrorCode::Overloaded, Some(COME_BACK)));
        assert!(
            refused.message().contains("ada") && refused.message().contains("calls-at-once"),
            "{refused}"
        );
        assert!(quota.enter("bob").is_ok());
        drop(held);
        assert!(quota.enter("ada").is_ok());
        assert!(quota.lock().is_empty(), "nobody is under way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_has_so_many_calls_and_the_hint_is_right() {
        let quota = Quota::new(None, Some(6));
        for _ in 0..6 {
            quota.enter("ada").unwrap();
        }
        let refused = quota.enter("ada").unwrap_err();
        assert_eq!(refused.retry_delay(), Some(Duration::from_secs(10)));
        assert!(quota.enter("bob").is_ok());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(quota.enter("ada").is_ok() && quota.enter("ada").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_are_gone_are_forgotten() {
        let quota = Quota::new(None, Some(60));
        for number in 0..MANY {
            quota.enter(&number.to_string()).unwrap();
        }
        assert_eq!(quota.lock().len(), MANY);
        tokio::time::advance(MINUTE).await;
        quota.enter("ada").unwrap();
        assert_eq!(quota.lock().len(), 1);
        assert!(Quota::new(None, None).enter("ada").unwrap().is_none());
    }
}
