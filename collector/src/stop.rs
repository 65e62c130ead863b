//! Reading that ends when nobody waits for the answer any more.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, Ordering},
};

/// Travels inside an `io::Error`: whoever asked for the data is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller is gone")]
pub(crate) struct CallerGone;

/// Reads from `inner` until the flag is set; then every read fails with [`CallerGone`].
#[derive(Debug)]
pub(crate) struct StoppableReader<'a, R> {
    inner: R,
    stop: &'a AtomicBool,
}

impl<'a, R: Read> StoppableReader<'a, R> {
    pub(crate) const fn new(inner: R, stop: &'a AtomicBool) -> Self {
        Self { inner, stop }
    }
}

impl<R: Read> Read for StoppableReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other(CallerGone));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_flag_ends_an_endless_read() {
        let stop = AtomicBool::new(false);
        let mut reader = StoppableReader::new(io::repeat(b'x'), &stop);
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 8);
        stop.store(true, Ordering::Relaxed);
        let error = reader.read(&mut [0; 8]).unwrap_err();
        assert!(error.get_ref().unwrap().is::<CallerGone>());
    }
}
