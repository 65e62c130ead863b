//! Listings, newest first: their keys and page tokens.

use std::ops::Range;

use automap_proto::{invalid::Invalid, time::UnixMillis};

use super::key::{LISTING, system_bytes, time_bytes};
use crate::record_id::RecordId;

/// Most records of a page.
pub const MAX_PAGE_SIZE: usize = 500;
/// Records of a page unless the request says so.
pub const DEFAULT_PAGE_SIZE: usize = 50;
/// Most records that are looked at for a page, and most bytes of them.
pub const MAX_SCANNED: usize = 1000;
pub(crate) const MAX_SCANNED_BYTES: usize = 32 << 20;
/// A page ends before it passes this many bytes, so that it fits into one message.
pub(crate) const MAX_PAGE_BYTES: usize = 3 << 20;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    Incidents = 0,
    ConfirmedIncidents = 1,
    Diagnoses = 2,
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// The application; `None` for all.
    pub system: Option<String>,
    /// Only incidents with confirmed root causes.
    pub confirmed_only: bool,
    /// Most records; 0 means [`DEFAULT_PAGE_SIZE`], at most [`MAX_PAGE_SIZE`].
    pub page_size: usize,
    /// Where to go on: the token of the page before, or empty.
    pub page_token: String,
    /// Only records of this time or later.
    pub from: Option<UnixMillis>,
    /// Only records from before this time.
    pub before: Option<UnixMillis>,
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub records: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
}

impl ListQuery {
    /// Records of a page.
    pub(crate) fn size(&self) -> Result<usize, Invalid> {
        match self.page_size {
            0 => Ok(DEFAULT_PAGE_SIZE),
            size if size <= MAX_PAGE_SIZE => Ok(size),
            size => Err(Invalid::new("page_size", format!("is {size}; at most {MAX_PAGE_SIZE}"))),
        }
    }

    /// The key after which records of the wanted time begin, where the token, if any, leads no further.
    ///
    /// # Errors
    /// The token is none of this listing, or no time is left.
    pub(crate) fn start(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        if let (Some(from), Some(before)) = (self.from, self.before)
            && from >= before
        {
            return Err(Invalid::new("created_before", "is not after created_from"));
        }
        // A key without an id comes before those of its time, and the times before it are older ones' later ones.
        let newest = self.before.map(|before| key_of_time(prefix, UnixMillis(before.0.saturating_sub(1))));
        Ok(self.position(prefix)?.max(newest))
    }

    /// The key after which the page begins.
    pub(crate) fn position(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, Invalid> {
        if self.page_token.is_empty() {
            return Ok(None);
        }
        let foreign = || Invalid::new("page_token", "is none that this listing gave; begin without one");
        let bytes = decode_hex(&self.page_token).ok_or_else(foreign)?;
        let (sum, position) = bytes.split_first_chunk::<4>().ok_or_else(foreign)?;
        let mut key = prefix.to_vec();
        key.extend_from_slice(position);
        if u32::from_be_bytes(*sum) != crc32fast::hash(&key) {
            return Err(foreign());
        }
        Ok(Some(key))
    }
}

/// What the keys of a listing begin with; no system in particular lists all.
pub(crate) fn prefix(collection: Collection, system: Option<&str>) -> Vec<u8> {
    let mut bytes = vec![LISTING, collection as u8];
    bytes.extend_from_slice(&system_bytes(system));
    bytes
}

/// Where the keys lie by which the records of each system are listed: system by system, without those that list all.
pub(crate) fn of_systems(collection: Collection) -> Range<Vec<u8>> {
    vec![LISTING, collection as u8, 1]..vec![LISTING, collection as u8 + 1]
}

/// What the keys of the listing begin with that a key is of.
pub(crate) fn prefix_of(key: &[u8]) -> Option<&[u8]> {
    key.get(..3 + usize::from(*key.get(2)?))
}

/// What the keys of a time begin with.
fn key_of_time(prefix: &[u8], at: UnixMillis) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend(time_bytes(at).map(|byte| !byte));
    key
}

/// The key of a record in one listing.
pub(crate) fn key(prefix: &[u8], at: UnixMillis, id: &RecordId) -> Vec<u8> {
    let mut key = key_of_time(prefix, at);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// The two keys under which a record is listed: among those of its system, and among all.
pub(crate) fn keys(collection: Collection, system: &str, at: UnixMillis, id: &RecordId) -> [Vec<u8>; 2] {
    [Some(system), None].map(|scope| key(&prefix(collection, scope), at, id))
}

/// The id at the end of a listing's key.
pub(crate) fn parse_id(prefix: &[u8], key: &[u8]) -> Option<RecordId> {
    let id = key.strip_prefix(prefix)?.get(8..)?;
    RecordId::new("key", std::str::from_utf8(id).ok()?).ok()
}

/// The time in a listing's key.
pub(crate) fn parse_time(prefix: &[u8], key: &[u8]) -> Option<UnixMillis> {
    let inverted = key.strip_prefix(prefix)?.first_chunk::<8>()?;
    let bits = u64::from_be_bytes(inverted.map(|byte| !byte)) ^ (1 << 63);
    Some(UnixMillis(bits.cast_signed()))
}

/// The token of the page after `key`. Its checksum covers the listing, so that it fits no other.
pub(crate) fn token(prefix: &[u8], key: &[u8]) -> String {
    let mut bytes = crc32fast::hash(key).to_be_bytes().to_vec();
    bytes.extend_from_slice(key.strip_prefix(prefix).unwrap_or_default());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let digits = digits.filter(|found| found.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RecordId {
        RecordId::new("id", text).unwrap()
    }

    #[test]
    fn newer_records_come_first_and_equal_times_go_by_id() {
        let key =
            |millis, text| keys(Collection::Incidents, "shop", UnixMillis(millis), &id(text))[0].clone();
        assert!(key(2, "b") < key(1, "a"));
        assert!(key(1, "a") < key(1, "b"));
        assert!(key(1, "a") < key(-1, "a"));
        let listing = prefix(Collection::Incidents, Some("shop"));
        assert_eq!(parse_id(&listing, &key(2, "b")), Some(id("b")));
        assert_eq!(parse_time(&listing, &key(-7, "b")), Some(UnixMillis(-7)));
    }

    #[test]
    fn a_time_is_found_without_walking_what_is_newer() {
        let listing = prefix(Collection::Diagnoses, None);
        let at = |millis| key(&listing, UnixMillis(millis), &id("a"));
        let query = |from: Option<i64>, before: Option<i64>| ListQuery {
            from: from.map(UnixMillis),
            before: before.map(UnixMillis),
            ..ListQuery::default()
        };
        let start = query(None, Some(7)).start(&listing).unwrap().unwrap();
        assert!(at(8) < start && at(7) < start && start < at(6));
        assert_eq!(query(Some(3), None).start(&listing), Ok(None));
        assert_eq!(query(Some(7), Some(7)).start(&listing).unwrap_err().field(), "created_before");
        let later = ListQuery { page_token: token(&listing, &at(2)), ..query(None, Some(7)) };
        assert_eq!(later.start(&listing), Ok(Some(at(2))), "the token leads further");
    }

    #[test]
    fn a_token_fits_only_the_listing_that_gave_it() {
        let listing = prefix(Collection::Incidents, Some("shop"));
        let key = &keys(Collection::Incidents, "shop", UnixMillis(7), &id("a"))[0];
        let query = |page_token: String| ListQuery { page_token, ..ListQuery::default() };
        let given = query(token(&listing, key));
        assert_eq!(given.position(&listing).unwrap().as_ref(), Some(key));
        let other = prefix(Collection::Diagnoses, Some("shop"));
        assert_eq!(given.position(&other).unwrap_err().field(), "page_token");
        for bad in ["x", "0", "00", "zz00", "0000000000", "é1"] {
            assert!(query(bad.into()).position(&listing).is_err(), "{bad}");
        }
        assert_eq!(query(String::new()).position(&listing), Ok(None));
    }

    #[test]
    fn pages_are_bounded() {
        let size = |page_size| ListQuery { page_size, ..ListQuery::default() }.size();
        assert_eq!(size(0), Ok(50));
        assert_eq!(size(500), Ok(500));
        assert_eq!(size(501).unwrap_err().field(), "page_size");
    }
}
