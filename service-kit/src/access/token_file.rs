//! The file that lists who has a token, by its hash.

use std::{collections::BTreeSet, path::Path};

use automap_proto::invalid::Invalid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Caller, Proof, Role, Systems, caller, systems, token::TokenHash, unauthenticated};
use crate::error::ServiceError;

/// Longest name of a token.
const LONGEST_NAME: usize = 64;

/// One token as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Whose it is: the name under which he is logged and confirms. Two tokens may bear the same name, as while one takes
    /// the place of the other.
    pub name: String,
    /// The hash of the token.
    pub hash: String,
    /// What its owner may do.
    pub role: Role,
    /// Systems of which he may know; a star means all.
    #[serde(default = "all_systems")]
    pub systems: Vec<String>,
    /// Until when it counts, `2027-01-31T00:00:00Z`; for ever unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

fn all_systems() -> Vec<String> {
    vec![systems::ALL.into()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    tokens: Vec<TokenEntry>,
}

/// One token, checked.
#[derive(Debug, Clone)]
pub struct KnownToken {
    /// Whose it is.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// Systems of which he may know.
    pub systems: Systems,
    /// Until when it counts.
    pub expires: Option<Timestamp>,
    hash: TokenHash,
}

/// All tokens of a file.
#[derive(Debug, Clone)]
pub struct TokenFile {
    tokens: Vec<KnownToken>,
}

impl TokenFile {
    /// Reads a file; `field` is the setting that names it.
    ///
    /// # Errors
    /// It cannot be read, or an entry cannot be used.
    pub fn read(field: &str, file: &Path) -> Result<Self, Invalid> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Invalid::new(field, format!("{} cannot be read: {error}", file.display())))?;
        Self::parse(&text).map_err(|problem| Invalid::new(field, format!("{}: {problem}", file.display())))
    }

    /// Reads TOML, or JSON where the text begins with a brace.
    ///
    /// # Errors
    /// What is wrong with which entry. Values are not repeated: one of them may be a token.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| {
                let kind = format!("{:?}", error.classify()).to_lowercase();
                format!(
                    "line {}, column {}: is no list of tokens ({kind} error)",
                    error.line(),
                    error.column()
                )
            })?
        } else {
            toml::from_str(text).map_err(|error| {
                let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
                format!("line {line}: {}", unquoted(error.message()))
            })?
        };
        let mut seen = BTreeSet::new();
        let tokens = written.tokens.into_iter().enumerate().map(|(index, entry)| {
            let known = check(&format!("tokens[{index}]"), entry).map_err(|invalid| invalid.to_string())?;
            if !seen.insert(known.hash) {
                return Err(format!("tokens[{index}].hash stands there twice; each token has one entry"));
            }
            Ok(known)
        });
        Ok(Self { tokens: tokens.collect::<Result<_, _>>()? })
    }

    /// The tokens, in the order of the file.
    pub fn tokens(&self) -> &[KnownToken] {
        &self.tokens
    }

    /// Who has `token` at a time. Every hash is compared, whichever fits.
    ///
    /// # Errors
    /// `Unauthenticated`: it is unknown, or has expired.
    pub fn judge(&self, token: &str, now: Timestamp) -> Result<Caller, ServiceError> {
        let hash = TokenHash::of(token);
        let mut found = None;
        for known in &self.tokens {
            if known.hash.is(&hash) {
                found = Some(known);
            }
        }
        let known = found.ok_or_else(|| {
            unauthenticated("the token is not known here, or was withdrawn; ask for another one")
        })?;
        match known.expires {
            Some(expires) if expires <= now => {
                let problem =
                    format!("the token of {} expired at {expires}; ask for another one", known.name);
                Err(unauthenticated(&problem))
            }
            _ => Ok(Caller::new(&known.name, Proof::Token, known.role, known.systems.clone())),
        }
    }
}

fn check(place: &str, entry: TokenEntry) -> Result<KnownToken, Invalid> {
    let field = |name: &str| format!("{place}.{name}");
    check_name(&field("name"), &entry.name)?;
    Systems::check(&field("systems"), &entry.systems)?;
    let expires = entry.expires.as_deref().map(|text| {
        text.parse::<Timestamp>().map_err(|_| {
            Invalid::new(
                field("expires"),
                "must be a time with its zone in quotes, such as \"2027-01-31T00:00:00Z\"",
            )
        })
    });
    Ok(KnownToken {
        hash: TokenHash::parse(&field("hash"), &entry.hash)?,
        expires: expires.transpose()?,
        systems: Systems::new(&entry.systems),
        name: entry.name,
        role: entry.role,
    })
}

/// # Errors
/// A name is empty, too long, holds what garbles a log, or is that of those who prove nothing.
pub fn check_name(field: &str, name: &str) -> Result<(), Invalid> {
    let good = !name.trim().is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if !good {
        return Err(Invalid::new(
            field,
            format!("must be 1 to {LONGEST_NAME} bytes without control characters"),
        ));
    }
    if name == caller::ANONYMOUS {
        return Err(Invalid::new(field, "is the name of those who prove nothing; choose another"));
    }
    Ok(())
}

/// A message without the values that it quotes.
fn unquoted(message: &str) -> String {
    let mut text = String::new();
    for (index, part) in message.split('"').enumerate() {
        text.push_str(if index % 2 == 0 { part } else { "…" });
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::token, error::ErrorCode};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn tokens_are_told_apart_by_hash_and_expire() {
        let (ada, robot) = (token::generate().unwrap(), token::generate().unwrap());
        let text = format!(
            "[[tokens]]\nname = \"ada\"\nhash = \"{}\"\nrole = \"confirm\"\n\
             [[tokens]]\nname = \"robot\"\nhash = \"{}\"\nrole = \"diagnose\"\nsystems = [\"shop\"]\n\
             expires = \"2027-01-01T00:00:00Z\"\n",
            TokenHash::of(&ada),
            TokenHash::of(&robot)
        );
        let file = TokenFile::parse(&text).unwrap();
        let before = at("2026-12-31T23:59:59Z");
        let caller = file.judge(&ada, before).unwrap();
        assert_eq!((caller.name(), caller.role(), caller.systems()), ("ada", Role::Confirm, &Systems::All));
        let caller = file.judge(&robot, before).unwrap();
        assert!(caller.require(Role::Diagnose, "shop").is_ok());
        for (role, system) in [(Role::Confirm, "shop"), (Role::Diagnose, "bank")] {
            let error = caller.require(role, system).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
        }
        let expired = file.judge(&robot, at("2027-01-01T00:00:00Z")).unwrap_err();
        assert!(expired.message().contains("expired at 2027-01-01"), "{expired}");
        let unknown = file.judge(&token::generate().unwrap(), before).unwrap_err();
        assert_eq!(
            (expired.code(), unknown.code()),
            (ErrorCode::Unauthenticated, ErrorCode::Unauthenticated)
        );
        let json = format!(
            r#"{{"tokens": [{{"name": "ada", "hash": "{}", "role": "read"}}]}}"#,
            TokenHash::of(&ada)
        );
        assert_eq!(TokenFile::parse(&json).unwrap().judge(&ada, before).unwrap().role(), Role::Read);
        assert!(TokenFile::parse("").unwrap().judge(&ada, before).is_err());
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_named_and_no_token_is_repeated() {
        let secret = token::generate().unwrap();
        let hash = TokenHash::of(&secret);
        let entry = |name: &str, hash: &str, more: &str| {
            format!("[[tokens]]\nname = \"{name}\"\nhash = \"{hash}\"\nrole = \"read\"\n{more}\n")
        };
        let good = entry("ada", &hash.to_string(), "");
        for (text, said) in [
            (entry("ada", &secret, ""), "tokens[0].hash"),
            (entry("", &hash.to_string(), ""), "tokens[0].name"),
            (entry("anonymous", &hash.to_string(), ""), "prove nothing"),
            (entry("ada", &hash.to_string(), "systems = []"), "tokens[0].systems"),
            (entry("ada", &hash.to_string(), "expires = \"tomorrow\""), "tokens[0].expires"),
            (entry("ada", &hash.to_string(), &format!("token = \"{secret}\"")), "line 4: unknown field"),
            (format!("[[tokens]]\nname = \"ada\"\nhash = 7\nrole = \"{secret}\"\n"), "line 3"),
            (format!("{good}{good}"), "twice"),
            (format!("{{\"tokens\": [\"{secret}\"]}}"), "line 1"),
            (secret.clone(), "line 1"),
        ] {
            let error = TokenFile::parse(&text).unwrap_err();
            assert!(error.contains(said) && !error.contains(&secret), "{said}: {error}");
        }
    }
}
