//! Ids of incidents and diagnoses.

use std::fmt;

use automap_proto::invalid::Invalid;

/// Longest id, bytes.
pub const MAX_ID_BYTES: usize = 64;

/// The id of an incident or a diagnosis: 1 to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(String);

impl RecordId {
    /// Checks the id that `field` holds.
    ///
    /// # Errors
    /// It is empty, too long, or holds another character.
    pub fn new(field: &str, id: &str) -> Result<Self, Invalid> {
        if id.is_empty() {
            return Err(Invalid::missing(field));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.len() > MAX_ID_BYTES || !id.bytes().all(allowed) {
            return Err(Invalid::new(field, format!("must be 1 to {MAX_ID_BYTES} letters, digits, - and _")));
        }
        Ok(Self(id.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        let longest = "x".repeat(64);
        for good in ["a", "inc-0a_Z", longest.as_str()] {
            assert_eq!(RecordId::new("id", good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(65);
        for bad in ["", "a b", "ä", "a\0", "../x", too_long.as_str()] {
            assert_eq!(RecordId::new("incident_id", bad).unwrap_err().field(), "incident_id");
        }
    }
}
