//! An uploaded file as a reader: messages that arrive on async threads, read on a blocking one.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use crate::stop::CallerGone;

/// Messages that wait for the parser. Together with the HTTP/2 window this is all of a file that is ever in
/// memory: a client that sends faster than the parser reads has to wait.
const WAITING_MESSAGES: usize = 4;

#[derive(Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// The sending half. Dropped without [`Self::finish`], the reader fails: a file that was cut off is no shorter
/// file.
#[derive(Debug)]
pub(crate) struct UploadSender(mpsc::Sender<Piece>);

impl UploadSender {
    /// Hands the next bytes over, waiting for room. False when the reader is gone, because it has seen enough.
    pub(crate) async fn send(&self, data: Bytes) -> bool {
        self.0.send(Piece::Data(data)).await.is_ok()
    }

    /// Says that the file is complete.
    pub(crate) async fn finish(self) {
        // The reader may be gone, because it failed; then its error is the answer.
        let _ = self.0.send(Piece::End).await;
    }
}

/// The reading half; blocks.
#[derive(Debug)]
pub(crate) struct UploadReader {
    receiver: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

pub(crate) fn channel() -> (UploadSender, UploadReader) {
    let (sender, receiver) = mpsc::channel(WAITING_MESSAGES);
    let reader = UploadReader { receiver, current: Bytes::new(), ended: false };
    (UploadSender(sender), reader)
}

impl Read for UploadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Piece::Data(data)) => self.current = data,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::Error::other(CallerGone)),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut reader: UploadReader) -> io::Result<String> {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    }

    #[tokio::test]
    async fn messages_arrive_as_one_text_in_order() {
        let (sender, reader) = channel();
        let reading = tokio::task::spawn_blocking(|| read_all(reader));
        for index in 0..20 {
            assert!(sender.send(Bytes::from(format!("{index},"))).await);
            assert!(sender.send(Bytes::new()).await);
        }
        sender.finish().await;
        assert!(reading.await.unwrap().unwrap().ends_with("18,19,"));
    }

    #[tokio::test]
    async fn a_sender_that_vanishes_is_no_end_of_the_file() {
        let (sender, reader) = channel();
        assert!(sender.send(Bytes::from_static(b"1,2\n3")).await);
        drop(sender);
        let error = tokio::task::spawn_blocking(|| read_all(reader)).await.unwrap().unwrap_err();
        assert!(error.get_ref().unwrap().is::<CallerGone>());
    }

    #[tokio::test]
    async fn a_reader_that_vanishes_stops_the_sender() {
        let (sender, reader) = channel();
        drop(reader);
        assert!(!sender.send(Bytes::from_static(b"1")).await);
        sender.finish().await;
    }
}
