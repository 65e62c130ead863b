//! The state of a store in two numbers: how many changes it has seen, and a digest of all derived rows.
//!
//! The engine can lose a page without noticing, when the file is damaged in the wrong place. Every change keeps the
//! digest up to date, and opening compares it with the rows that are there.

use super::sealed::{self, Damage};

/// Key of the state; before all entities.
pub(crate) const STATE_KEY: &[u8] = &[0];

/// How many changes were applied, and the sum of the row sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) changes: u64,
    pub(crate) digest: u64,
}

impl State {
    pub(crate) fn seal(self) -> Vec<u8> {
        let mut payload = self.changes.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.digest.to_be_bytes());
        sealed::seal(STATE_KEY, &payload)
    }

    pub(crate) fn unseal(value: &[u8]) -> Result<Self, Damage> {
        let payload = sealed::unseal(STATE_KEY, value)?;
        let (changes, rest) = payload.split_first_chunk::<8>().ok_or(Damage::Truncated)?;
        let (digest, _) = rest.split_first_chunk::<8>().ok_or(Damage::Truncated)?;
        Ok(Self { changes: u64::from_be_bytes(*changes), digest: u64::from_be_bytes(*digest) })
    }
}

/// 64 bits of a row. Sums of them do not depend on the order of the rows.
pub(crate) fn row_sum(key: &[u8], value: &[u8]) -> u64 {
    let forward = |first: &[u8], second: &[u8]| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(first);
        hasher.update(second);
        u64::from(hasher.finalize())
    };
    forward(key, value) << 32 | forward(value, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_and_a_changed_one_is_refused() {
        let state = State { changes: 7, digest: u64::MAX - 3 };
        let mut value = state.seal();
        assert_eq!(State::unseal(&value), Ok(state));
        value[9] ^= 1;
        assert_eq!(State::unseal(&value), Err(Damage::Checksum));
    }

    #[test]
    fn rows_differ_by_key_and_by_value() {
        let sums = [row_sum(b"a", b"x"), row_sum(b"a", b"y"), row_sum(b"b", b"x"), row_sum(b"ax", b"")];
        for (index, sum) in sums.iter().enumerate() {
            assert!(!sums[..index].contains(sum));
        }
    }
}
