//! Telling an answer that was damaged on its way.

use automap_proto::v1;
use prost::Message;
use sha2::{Digest as _, Sha256};

/// An answer between peers that carries a checksum.
pub trait Checked: Message {
    /// What it answers.
    type Request: Message;

    /// The checksum that it carries.
    fn checksum(&self) -> u64;

    /// The same answer without its checksum.
    fn bare(&self) -> Self;
}

impl Checked for v1::TestEdgesResponse {
    type Request = v1::TestEdgesRequest;

    fn checksum(&self) -> u64 {
        self.checksum
    }

    fn bare(&self) -> Self {
        Self { checksum: 0, ..self.clone() }
    }
}

impl Checked for v1::TestResamplesResponse {
    type Request = v1::TestResamplesRequest;

    fn checksum(&self) -> u64 {
        self.checksum
    }

    fn bare(&self) -> Self {
        Self { checksum: 0, ..self.clone() }
    }
}

/// The checksum of an answer to a request: both as they were encoded, the answer without its checksum.
pub fn checksum<A: Checked>(request: &A::Request, answer: &A) -> u64 {
    let mut digest = Sha256::new();
    for bytes in [request.encode_to_vec(), answer.bare().encode_to_vec()] {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    let mut first = [0; 8];
    for (byte, value) in first.iter_mut().zip(digest.finalize()) {
        *byte = value;
    }
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_answer_both_count() {
        let request = v1::TestEdgesRequest { level: 1, ..v1::TestEdgesRequest::default() };
        let answer = v1::TestEdgesResponse { tests: 7, ..v1::TestEdgesResponse::default() };
        let known = checksum(&request, &answer);
        assert_eq!(known, checksum(&request, &v1::TestEdgesResponse { checksum: known, ..answer.clone() }));
        assert_ne!(known, checksum(&v1::TestEdgesRequest { level: 2, ..request.clone() }, &answer));
        assert_ne!(known, checksum(&request, &v1::TestEdgesResponse { tests: 8, ..answer }));
    }
}
