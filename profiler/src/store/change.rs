//! What one write changes: the unit that is applied whole or not at all.

use std::collections::{BTreeMap, btree_map};

use sled::Batch;

/// Length of a value that stands for a removed key.
const REMOVED: u32 = u32::MAX;

/// Keys with their new values, or with none where they are removed. Of two changes to one key the later counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Change {
    pub(crate) fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.entries.insert(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.entries.insert(key, None);
    }

    /// What it puts under a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key)?.as_deref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        let entry =
            |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| key.len() + value.as_ref().map_or(0, Vec::len);
        self.entries.iter().map(entry).sum::<usize>() as u64
    }

    /// Bytes of [`Self::encode`].
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.bytes() + 8 * self.entries.len() as u64
    }

    /// By rising key.
    pub(crate) fn iter(&self) -> btree_map::Iter<'_, Vec<u8>, Option<Vec<u8>>> {
        self.entries.iter()
    }

    /// The batch that sled applies atomically.
    pub(crate) fn to_batch(&self) -> Batch {
        let mut batch = Batch::default();
        for (key, value) in &self.entries {
            match value {
                Some(bytes) => batch.insert(key.as_slice(), bytes.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        batch
    }

    /// For each entry: length of the key (u32), length of the value (u32, all ones where the key is removed), key,
    /// value; big-endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.entries {
            let length = value.as_ref().map_or(REMOVED, |value| value.len() as u32);
            bytes.extend_from_slice(&(key.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        bytes
    }

    /// `None` when the bytes are no change.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut change = Self::default();
        while !bytes.is_empty() {
            let (key_length, rest) = bytes.split_first_chunk::<4>()?;
            let (value_length, rest) = rest.split_first_chunk::<4>()?;
            let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_length) as usize)?;
            match u32::from_be_bytes(*value_length) {
                REMOVED => {
                    change.remove(key.to_vec());
                    bytes = rest;
                }
                length => {
                    let (value, rest) = rest.split_at_checked(length as usize)?;
                    change.insert(key.to_vec(), value.to_vec());
                    bytes = rest;
                }
            }
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_survive_their_encoding_and_torn_ones_are_refused() {
        let mut change = Change::default();
        change.insert(b"a".to_vec(), b"first".to_vec());
        change.insert(b"a".to_vec(), b"second".to_vec());
        change.insert(b"empty".to_vec(), Vec::new());
        change.remove(b"gone".to_vec());
        let bytes = change.encode();
        assert_eq!(change.encoded_bytes(), bytes.len() as u64);
        assert_eq!(Change::decode(&bytes), Some(change.clone()));
        assert_eq!(Change::decode(&[]), Some(Change::default()));
        let whole = [0, 1 + 8 + 5 + 1, 8 + 5, bytes.len()];
        for length in (1..bytes.len()).filter(|length| !whole.contains(length)) {
            let decoded = Change::decode(&bytes[..length]);
            assert!(decoded.is_none_or(|shorter| shorter.len() < change.len()), "{length}");
        }
    }
}
