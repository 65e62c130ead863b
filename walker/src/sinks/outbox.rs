//! What waits for one sink: messages, and of those beyond a number only the names of diagnoses, which are found again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::message::Message;

/// Most that may wait, names included: a few megabytes.
const MAX_WAITING: usize = 1 << 16;

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Waiting {
    Message(Arc<Message>),
    /// The id of a diagnosis that is kept.
    Named(String),
}

/// The queue of one sink, read by one task.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Messages that may wait as they are.
    room: usize,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    messages: usize,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(room: usize) -> Self {
        Self { room, queue: Mutex::default(), changed: Notify::new() }
    }

    /// Puts a message at the end.
    ///
    /// # Errors
    /// Why it has no place.
    pub(super) fn put(&self, message: &Arc<Message>) -> Result<(), &'static str> {
        let mut queue = self.queue();
        if queue.closed {
            return Err("the walker ends");
        }
        if queue.waiting.len() >= MAX_WAITING {
            return Err("it has too many to deliver");
        }
        let next = if queue.messages < self.room {
            queue.messages += 1;
            Waiting::Message(Arc::clone(message))
        } else {
            Waiting::Named(message.diagnosis_id.clone())
        };
        queue.waiting.push_back(next);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for the oldest; none when all were taken and no more come.
    pub(super) async fn take(&self) -> Option<Waiting> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(next) = queue.waiting.pop_front() {
                    queue.messages -= usize::from(matches!(next, Waiting::Message(_)));
                    return Some(next);
                }
                if queue.closed {
                    return None;
                }
            }
            // A change between the lines above and this one is remembered.
            self.changed.notified().await;
        }
    }

    /// No more come.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole between any two methods.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: usize) -> Arc<Message> {
        Arc::new(Message { diagnosis_id: id.to_string(), ..Message::default() })
    }

    #[tokio::test]
    async fn nothing_is_lost_beyond_the_room_and_the_order_stays() {
        let outbox = Outbox::new(2);
        assert!((0..1000).all(|id| outbox.put(&message(id)).is_ok()));
        for id in 0..2 {
            assert_eq!(outbox.take().await, Some(Waiting::Message(message(id))));
        }
        assert!(outbox.put(&message(1000)).is_ok(), "there is room for a message again");
        for id in 2..1000 {
            assert_eq!(outbox.take().await, Some(Waiting::Named(id.to_string())));
        }
        outbox.close();
        assert_eq!(outbox.put(&message(1)), Err("the walker ends"));
        assert_eq!(outbox.take().await, Some(Waiting::Message(message(1000))));
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_a_message_and_by_the_end() {
        let outbox = Arc::new(Outbox::new(1));
        let taking = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { (outbox.take().await.is_some(), outbox.take().await.is_none()) }
        });
        tokio::task::yield_now().await;
        outbox.put(&message(1)).unwrap();
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(taking.await.unwrap(), (true, true));
    }

    #[test]
    fn what_waits_is_bounded() {
        let outbox = Outbox::new(1);
        assert!((0..MAX_WAITING).all(|id| outbox.put(&message(id)).is_ok()));
        assert_eq!(outbox.put(&message(0)), Err("it has too many to deliver"));
    }
}
