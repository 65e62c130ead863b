//! Bearer tokens and their hashes.
//!
//! A token is 256 bits of the system's randomness, so nobody guesses one, however fast he hashes. SHA-256 is therefore the
//! right hash for the file: slow ones, as Argon2, protect what people choose, and would cost each call tens of
//! milliseconds here. Hashes are compared in constant time, and all of them each time.

use std::fmt;

use automap_proto::invalid::Invalid;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every token begins with, so that scanners for leaked secrets know one.
pub const PREFIX: &str = "automap_";

/// What every hash begins with.
const ALGORITHM: &str = "sha256:";

const BYTES: usize = 32;

/// The hash of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; BYTES]);

/// A new token, to be given to its owner and kept by nobody else.
///
/// # Errors
/// The system gives no randomness.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", hex(&bytes)))
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// The text is something else; `field` is where it stands. The text itself is not repeated: it may be a token.
    pub fn parse(field: &str, text: &str) -> Result<Self, Invalid> {
        if text.starts_with(PREFIX) {
            let problem = "holds a token itself: whoever reads this file has it. Make another one with `automap access \
                           new-token`, and put its hash here";
            return Err(Invalid::new(field, problem));
        }
        let digits =
            text.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 2 * BYTES && digits.is_ascii());
        let mut bytes = [0; BYTES];
        let read = digits.and_then(|digits| {
            for (index, byte) in bytes.iter_mut().enumerate() {
                let pair = &digits[2 * index..2 * index + 2];
                *byte = u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))?;
            }
            Some(())
        });
        read.map(|()| Self(bytes)).ok_or_else(|| {
            Invalid::new(
                field,
                "must be sha256: and 64 hexadecimal digits, as `automap access new-token` prints it",
            )
        })
    }

    /// Whether both are the same, in a time that does not tell where they differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ALGORITHM}{}", hex(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_its_hash_is_read_back() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), PREFIX.len() + 64);
        assert_ne!(one, other);
        let hash = TokenHash::of(&one);
        assert!(TokenHash::parse("hash", &hash.to_string()).unwrap().is(&hash));
        assert!(!hash.is(&TokenHash::of(&other)));
        // FIPS 180-4, the example of one block.
        let known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenHash::of("abc").to_string(), known);
    }

    #[test]
    fn what_is_no_hash_is_refused_and_a_token_is_not_repeated() {
        let token = generate().unwrap();
        let plus = format!("sha256:+{}", "0".repeat(63));
        for text in ["", "sha256:", "sha256:zz", "md5:0", token.as_str(), plus.as_str()] {
            let error = TokenHash::parse("tokens[0].hash", text).unwrap_err();
            assert!(error.field() == "tokens[0].hash" && !error.to_string().contains(&token), "{error}");
        }
        assert!(!format!("{:?}", TokenHash::of("abc")).contains("ba78"));
    }
}
