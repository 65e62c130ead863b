//! The token that a client shows with each call.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use automap_proto::invalid::Invalid;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::resolution::Target;
use crate::tls::reload::Reloading;

/// How often the file is looked at for a change.
const RELOAD: Duration = Duration::from_secs(1);

/// A token from a file, followed when it changes.
#[derive(Debug, Clone)]
pub(super) struct ShownToken {
    header: Arc<Reloading<HeaderValue>>,
}

impl ShownToken {
    /// Reads the file; `field` is the setting that names it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// It cannot be read, or holds no token.
    pub(super) fn start(field: &str, file: &Path) -> Result<Self, Invalid> {
        let (field, path) = (field.to_owned(), file.to_owned());
        let build = move || read(&field, &path);
        let header = Reloading::start("tokens", vec![file.to_owned()], RELOAD, build)?;
        Ok(Self { header })
    }

    /// Puts it on a call.
    pub(super) fn to_headers(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, HeaderValue::clone(&self.header.current()));
    }
}

fn read(field: &str, file: &Path) -> Result<HeaderValue, Invalid> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Invalid::new(field, format!("{} cannot be read: {error}", file.display())))?;
    let token = text.trim();
    let wrong = || {
        let problem = format!("{} must hold one token and nothing else", file.display());
        Invalid::new(field, problem)
    };
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(wrong());
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| wrong())?;
    // Neither logs nor the compression of headers keep it.
    header.set_sensitive(true);
    Ok(header)
}

/// # Errors
/// A token would travel in clear to another machine, and nobody said that it may.
pub(super) fn check_secrecy(table: &str, target: &Target) -> Result<(), Invalid> {
    let host = target.host();
    let stays_here = host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    if target.secure() || stays_here {
        return Ok(());
    }
    Err(Invalid::new(
        format!("{table}.token-file"),
        format!(
            "would send the token to {} in clear, where anybody on the way can read it: use https://, or set \
             {table}.token-in-clear where something else protects the way",
            target.origin()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_in_clear_to_this_machine_only() {
        let secrecy = |url: &str| check_secrecy("client", &Target::parse("url", url).unwrap());
        for url in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://walker:4310"] {
            assert!(secrecy(url).is_ok(), "{url}");
        }
        for url in ["http://walker:4310", "http://10.0.0.1:1", "http://localhost.example.org"] {
            let error = secrecy(url).unwrap_err();
            assert_eq!(error.field(), "client.token-file");
            assert!(error.problem().contains("https://"), "{error}");
        }
    }

    #[test]
    fn a_file_holds_one_token_and_it_is_not_repeated() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("token");
        for (text, good) in [("automap_1\n", true), ("", false), ("automap_1 automap_2", false)] {
            std::fs::write(&file, text).unwrap();
            match read("client.token-file", &file) {
                Ok(header) => {
                    assert!(good && header.is_sensitive() && header == "Bearer automap_1", "{text}")
                }
                Err(error) => assert!(!good && !error.to_string().contains("automap_1"), "{error}"),
            }
        }
    }
}
