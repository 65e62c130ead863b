//! An answer of the HTTP API, read as its bytes arrive: each series is handed on as soon as it is whole, so that no answer
//! is ever in memory.
//!
//! `{"status":"success","data":{"resultType":"matrix","result":[{…},{…}]},"warnings":[…]}`: the elements of
//! `data.result` are cut out by counting braces and parsed one by one; what is left around them is small and parsed at the
//! end. An answer that is cut off, or holds anything else, is found out there.

use std::ops::ControlFlow;

use serde::{Deserialize, Deserializer};

/// Most bytes of one series; 11,000 points of 17 digits take a twentieth.
const MAX_SERIES_BYTES: usize = 16 << 20;

/// Most bytes around the series.
const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// Depth of the list `data.result`.
const LIST: usize = 3;

/// What stands around the series of an answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Envelope {
    #[serde(deserialize_with = "or_default")]
    pub(crate) status: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) error: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) error_type: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) infos: Vec<String>,
    /// VictoriaMetrics and Thanos: some of their stores did not answer.
    #[serde(deserialize_with = "or_default")]
    pub(crate) is_partial: bool,
    pub(crate) data: serde_json::Value,
}

/// A field that is `null` is one that is not there, as servers in Go write empty lists.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(field: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(field)?.unwrap_or_default())
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerFault {
    /// It ended before it was whole.
    #[error("ended after {bytes} bytes, before it was whole")]
    CutOff { bytes: u64 },
    /// It is not what the API answers.
    #[error("is not what the HTTP API of Prometheus answers: {0}")]
    Malformed(String),
    /// It is larger than is borne.
    #[error("{0}")]
    TooLarge(String),
}

/// Reads an answer piece by piece.
#[derive(Debug)]
pub(crate) struct AnswerStream {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Within an element of the list.
    in_element: bool,
    /// The list was entered.
    in_list: bool,
    /// The last element ended, and no comma followed yet.
    after_element: bool,
    ended: bool,
    envelope: Vec<u8>,
    element: Vec<u8>,
    bytes: u64,
    max_bytes: u64,
}

impl AnswerStream {
    /// An answer of at most `max_bytes`.
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self {
            depth: 0,
            in_string: false,
            escaped: false,
            in_element: false,
            in_list: false,
            after_element: false,
            ended: false,
            envelope: Vec::new(),
            element: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Reads the next piece and hands each element of the result that it completes to `each`.
    ///
    /// # Errors
    /// The answer is too large, or `each` refuses an element.
    ///
    /// # Complexity
    /// O(bytes).
    pub(crate) fn push<E: From<AnswerFault>>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(AnswerFault::TooLarge(format!(
                "is larger than {} MiB; ask for a shorter window or a larger step, or raise max-answer-mib",
                self.max_bytes >> 20
            ))
            .into());
        }
        // Bytes from `from` on are not copied yet; they belong to the element or to the envelope.
        let mut from = 0;
        for (index, &byte) in piece.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if self.in_list && self.depth == LIST && byte == b'{' {
                        self.keep(&piece[from..index])?;
                        from = index;
                        self.in_element = true;
                    } else if byte == b'[' && self.depth == LIST - 1 {
                        self.keep(&piece[from..index])?;
                        from = index;
                        self.in_list = ends_with_key(&self.envelope, b"\"result\"");
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    let Some(depth) = self.depth.checked_sub(1) else {
                        return Err(self.malformed("it closes what it did not open").into());
                    };
                    self.depth = depth;
                    if self.in_element && depth == LIST {
                        self.keep(&piece[from..=index])?;
                        from = index + 1;
                        self.in_element = false;
                        self.after_element = true;
                        each(&self.element)?;
                        self.element.clear();
                    } else if depth < LIST {
                        self.in_list = false;
                        self.ended |= depth == 0;
                    }
                }
                // Between elements; the envelope keeps an empty list, and a list of scalars whole.
                b',' if self.after_element && self.depth == LIST => {
                    self.keep(&piece[from..index])?;
                    from = index + 1;
                    self.after_element = false;
                }
                _ => {}
            }
        }
        self.keep(&piece[from..])?;
        Ok(())
    }

    /// What stands around the series.
    ///
    /// # Errors
    /// The answer was cut off, or is none of the API.
    pub(crate) fn finish(self) -> Result<Envelope, AnswerFault> {
        if !self.ended && (self.depth > 0 || self.in_string) {
            return Err(AnswerFault::CutOff { bytes: self.bytes });
        }
        if !self.ended {
            return Err(self.malformed("it is no JSON object"));
        }
        serde_json::from_slice(&self.envelope).map_err(|error| self.malformed(&error.to_string()))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), AnswerFault> {
        let (kept, most) = if self.in_element {
            (&mut self.element, MAX_SERIES_BYTES)
        } else {
            (&mut self.envelope, MAX_ENVELOPE_BYTES)
        };
        if kept.len() + bytes.len() > most {
            let what = if self.in_element {
                "one of its series takes"
            } else {
                "what stands around its series takes"
            };
            return Err(AnswerFault::TooLarge(format!(
                "is not what the HTTP API of Prometheus answers: {what} more than {} MiB",
                most >> 20
            )));
        }
        kept.extend_from_slice(bytes);
        Ok(())
    }

    fn malformed(&self, problem: &str) -> AnswerFault {
        AnswerFault::Malformed(format!("{problem}; it begins with {:?}", beginning(&self.envelope)))
    }

    /// Whether a body that begins like this may be an answer; `Break` when it cannot.
    pub(crate) fn plausible(&self) -> ControlFlow<AnswerFault> {
        match self.envelope.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None | Some(b'{') => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(self.malformed("it is no JSON object")),
        }
    }
}

/// Whether the text ends with this key and a colon.
fn ends_with_key(text: &[u8], key: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    text.strip_suffix(b":").is_some_and(|text| text.trim_ascii_end().ends_with(key))
}

/// The first letters of a body, for a message.
pub(crate) fn beginning(body: &[u8]) -> String {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]).into_owned();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > SHOWN { line.chars().take(SHOWN).chain(['…']).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MATRIX: &str = r#"{"status":"success", "data": {"resultType":"matrix","result" : [
        {"metric":{"service":"a ]},\"{"},"values":[[1,"2"],[2,"3"]]} ,{"metric":{},"values":[]}
        ]},"warnings":["slow, but [whole]"],"infos":["rate on a gauge"]}"#;

    fn read(pieces: &[&[u8]], max_bytes: u64) -> Result<(Vec<String>, Envelope), AnswerFault> {
        let mut stream = AnswerStream::new(max_bytes);
        let mut elements = Vec::new();
        for piece in pieces {
            stream.push(piece, |element| {
                elements.push(String::from_utf8(element.to_vec()).unwrap());
                Ok::<_, AnswerFault>(())
            })?;
        }
        Ok((elements, stream.finish()?))
    }

    proptest! {
        #[test]
        fn pieces_may_end_anywhere(cuts in proptest::collection::vec(1_usize..60, 1..40)) {
            let mut rest = MATRIX.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let (elements, envelope) = read(&pieces, 1 << 20).unwrap();
            prop_assert_eq!(elements.len(), 2);
            let whole = elements[0].ends_with(r#"[2,"3"]]}"#);
            prop_assert!(whole);
            prop_assert_eq!(&elements[1], r#"{"metric":{},"values":[]}"#);
            prop_assert_eq!(envelope.warnings, ["slow, but [whole]"]);
            prop_assert_eq!(envelope.infos, ["rate on a gauge"]);
            prop_assert_eq!(&envelope.data["resultType"], "matrix");
        }

        #[test]
        fn an_answer_that_is_cut_off_is_never_whole(end in 0_usize..MATRIX.len() - 1) {
            prop_assert!(read(&[&MATRIX.as_bytes()[..end]], 1 << 20).is_err());
        }
    }

    #[test]
    fn other_answers_are_told_from_whole_ones() {
        let fault = |text: &str| read(&[text.as_bytes()], 1 << 20).unwrap_err().to_string();
        assert!(fault("<html>Log in</html>").contains("it begins with \"<html>Log in</html>\""));
        assert!(fault("{\"status\": success}").contains("expected value"));
        assert!(fault("]").contains("did not open"));
        assert!(fault("{\"status\":\"success\"").contains("before it was whole"));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
        let (elements, envelope) = read(&[scalar.as_bytes()], 1 << 20).unwrap();
        assert!(elements.is_empty());
        assert_eq!(envelope.data["resultType"], "scalar");
        let nulls = r#"{"status":"success","warnings":null,"isPartial":null,"error":null,"data":{"resultType":"matrix","result":null}}"#;
        let (elements, envelope) = read(&[nulls.as_bytes()], 1 << 20).unwrap();
        assert!(elements.is_empty() && envelope.warnings.is_empty() && !envelope.is_partial);
    }

    #[test]
    fn an_endless_answer_is_given_up_at_the_limit() {
        let piece = vec![b' '; 4096];
        let mut stream = AnswerStream::new(1 << 14);
        let pushed = (0..10).try_for_each(|_| stream.push(&piece, |_| Ok::<_, AnswerFault>(())));
        assert!(pushed.unwrap_err().to_string().contains("larger than 0 MiB"));
        let mut stream = AnswerStream::new(u64::MAX);
        let letters = vec![b'x'; 1 << 20];
        stream.push(b"{\"status\":\"", |_| Ok::<_, AnswerFault>(())).unwrap();
        let pushed = (0..3).try_for_each(|_| stream.push(&letters, |_| Ok::<_, AnswerFault>(())));
        assert!(pushed.unwrap_err().to_string().contains("more than 1 MiB"));
    }
}
