//! The envelope of every stored value: format version, checksum, payload.

use std::fmt;

/// Format version of the values that this build writes.
///
/// | version | what is different |
/// |---|---|
/// | 1 | all 180 numbers of a similarity vector are written out; no directory, no state, no journal |
/// | 2 | a similarity vector names its non-zero numbers, and its row the time of the record |
pub(crate) const FORMAT_VERSION: u16 = 2;

/// The oldest format version that this build reads.
const OLDEST_VERSION: u16 = 1;

const HEADER_BYTES: usize = 6;

/// Why a value cannot be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Truncated,
    Checksum,
    Version(u16),
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("it is shorter than its header"),
            Self::Checksum => formatter.write_str("its checksum does not match"),
            Self::Version(version) => write!(
                formatter,
                "it has format version {version} and this build reads {OLDEST_VERSION} to {FORMAT_VERSION}: use a newer build"
            ),
        }
    }
}

/// Version (u16), CRC32 over key, version and payload (u32), payload; big-endian. The key is part of the checksum so
/// that a value found under another record's key is refused.
pub(crate) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    seal_as(FORMAT_VERSION, key, payload)
}

/// As builds of another format version seal.
pub(crate) fn seal_as(version: u16, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let version = version.to_be_bytes();
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.extend_from_slice(&version);
    value.extend_from_slice(&checksum(key, version, payload).to_be_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of a value.
pub(crate) fn unseal<'value>(key: &[u8], value: &'value [u8]) -> Result<&'value [u8], Damage> {
    unseal_versioned(key, value).map(|(_, payload)| payload)
}

/// The format version and the payload of a value.
pub(crate) fn unseal_versioned<'value>(
    key: &[u8],
    value: &'value [u8],
) -> Result<(u16, &'value [u8]), Damage> {
    let (version, rest) = value.split_first_chunk::<2>().ok_or(Damage::Truncated)?;
    let (sum, payload) = rest.split_first_chunk::<4>().ok_or(Damage::Truncated)?;
    if u32::from_be_bytes(*sum) != checksum(key, *version, payload) {
        return Err(Damage::Checksum);
    }
    match u16::from_be_bytes(*version) {
        known @ OLDEST_VERSION..=FORMAT_VERSION => Ok((known, payload)),
        other => Err(Damage::Version(other)),
    }
}

fn checksum(key: &[u8], version: [u8; 2], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // The length keeps the boundary between key and payload where it is.
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(&version);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_and_any_other_key_is_noticed() {
        let value = seal(b"key", b"payload");
        assert_eq!(unseal(b"key", &value), Ok(b"payload".as_slice()));
        assert_eq!(unseal(b"kez", &value), Err(Damage::Checksum));
        assert_eq!(unseal(b"keyp", &seal(b"key", b"payload")[..]), Err(Damage::Checksum));
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(b"key", &flipped), Err(Damage::Checksum), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(unseal(b"key", &value[..length]).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let version = 3_u16.to_be_bytes();
        let mut value = version.to_vec();
        value.extend_from_slice(&checksum(b"key", version, b"x").to_be_bytes());
        value.push(b'x');
        assert_eq!(unseal(b"key", &value), Err(Damage::Version(3)));
        assert!(Damage::Version(3).to_string().contains("version 3"));
    }
}
