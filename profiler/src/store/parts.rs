//! Long payloads cut into values small enough for the storage engine.
//!
//! Part 0 begins with the number of parts (u16) and the CRC32 of the whole payload (u32): parts of two versions of a
//! record can never pass for one.

use std::collections::BTreeMap;

use super::{error::StoreError, sealed};

/// Largest payload of a part. sled rewrites leaves of up to 16 values as one message and moves messages above 128 KiB
/// into a file of their own, one per message and never compacted; this stays below.
pub(crate) const MAX_PART_BYTES: usize = 6 << 10;

const HEAD_BYTES: usize = 6;

/// A key with its sealed value.
pub(crate) type Part = (Vec<u8>, Vec<u8>);

/// The parts of a payload in `section`.
pub(crate) fn cut(section: &[u8], payload: &[u8]) -> Result<Vec<Part>, StoreError> {
    let chunks: Vec<&[u8]> = payload.chunks(MAX_PART_BYTES - HEAD_BYTES).collect();
    let count = u16::try_from(chunks.len().max(1))
        .map_err(|_| StoreError::Failed(format!("a record of {} bytes is too large", payload.len())))?;
    let mut head = count.to_be_bytes().to_vec();
    head.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    head.extend_from_slice(chunks.first().unwrap_or(&&[][..]));
    let mut values = Vec::with_capacity(usize::from(count));
    for number in 0..count {
        let key = part_key(section, number);
        let chunk = match number {
            0 => head.as_slice(),
            later => chunks[usize::from(later)],
        };
        let value = sealed::seal(&key, chunk);
        values.push((key, value));
    }
    Ok(values)
}

/// Puts the payload of `section` together from sealed values by part number; `record` names it in errors.
pub(crate) fn join<V: AsRef<[u8]>>(
    record: &str,
    section: &[u8],
    parts: &BTreeMap<u16, V>,
) -> Result<Vec<u8>, StoreError> {
    let damaged = |problem: String| StoreError::Damaged { record: record.to_owned(), problem };
    let mut payload = Vec::new();
    let mut promised = None;
    for (expected, (&number, value)) in parts.iter().enumerate() {
        if usize::from(number) != expected {
            return Err(damaged(format!("part {expected} is missing")));
        }
        let chunk = sealed::unseal(&part_key(section, number), value.as_ref())
            .map_err(|damage| damaged(format!("part {number}: {damage}")))?;
        if promised.is_none() {
            let (count, rest) =
                chunk.split_first_chunk::<2>().ok_or_else(|| damaged("part 0 has no head".into()))?;
            let (sum, first) =
                rest.split_first_chunk::<4>().ok_or_else(|| damaged("part 0 has no head".into()))?;
            promised = Some((u16::from_be_bytes(*count), u32::from_be_bytes(*sum)));
            payload.extend_from_slice(first);
        } else {
            payload.extend_from_slice(chunk);
        }
    }
    match promised {
        Some((count, _)) if usize::from(count) != parts.len() => {
            Err(damaged(format!("it has {} parts in place of {count}", parts.len())))
        }
        Some((_, sum)) if sum != crc32fast::hash(&payload) => {
            Err(damaged("its parts do not belong together".into()))
        }
        Some(_) => Ok(payload),
        None => Err(damaged("it has no parts".into())),
    }
}

fn part_key(section: &[u8], number: u16) -> Vec<u8> {
    let mut key = section.to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts_of(payload: &[u8]) -> BTreeMap<u16, Vec<u8>> {
        let cut = cut(b"section", payload).unwrap();
        cut.into_iter()
            .enumerate()
            .map(|(number, (_, value))| (u16::try_from(number).unwrap(), value))
            .collect()
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn payloads_of_any_length_survive_in_small_parts() {
        let whole = MAX_PART_BYTES - HEAD_BYTES;
        for length in [0, 1, whole - 1, whole, whole + 1, 3 * whole, 100_000] {
            let parts = parts_of(&payload(length));
            assert!(parts.values().all(|value| value.len() <= MAX_PART_BYTES + 6));
            assert_eq!(join("it", b"section", &parts).unwrap(), payload(length));
        }
    }

    #[test]
    fn a_missing_surplus_or_foreign_part_is_noticed() {
        let whole = parts_of(&payload(30_000));
        for missing in 0..5 {
            let mut parts = whole.clone();
            parts.remove(&missing);
            assert!(join("it", b"section", &parts).is_err(), "without part {missing}");
        }
        let mut mixed = whole.clone();
        let mut other = payload(30_000);
        other[20_000] ^= 1;
        mixed.insert(3, parts_of(&other)[&3].clone());
        let error = join("incident x", b"section", &mixed).unwrap_err().to_string();
        assert!(error.contains("incident x") && error.contains("do not belong together"), "{error}");
        let mut surplus = whole.clone();
        surplus.insert(5, sealed::seal(&part_key(b"section", 5), b"more"));
        assert!(join("it", b"section", &surplus).is_err());
        assert!(join("it", b"section", &BTreeMap::<u16, Vec<u8>>::new()).is_err());
    }
}
