//! `automap access`: tokens of callers.

pub mod arguments;

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use automap_service_kit::access::{
    Systems,
    token::{self, TokenHash},
    token_file::{KnownToken, TokenEntry, TokenFile},
};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use jiff::Timestamp;
use serde::Serialize;

use arguments::{AccessCommand, CheckTokensArgs, NewTokenArgs};

use crate::{arguments::AnswerFormat, failure::Failure, stdout};

/// Runs the command.
///
/// # Errors
/// A flag or a file cannot be used.
pub fn run(command: AccessCommand) -> Result<(), Failure> {
    match command {
        AccessCommand::NewToken(args) => new_token(args),
        AccessCommand::Check(args) => check(&args),
    }
}

#[derive(Serialize)]
struct Entries {
    tokens: [TokenEntry; 1],
}

fn new_token(args: NewTokenArgs) -> Result<(), Failure> {
    let token =
        token::generate().map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    let systems = if args.systems.is_empty() { vec!["*".into()] } else { args.systems };
    let hash = TokenHash::of(&token).to_string();
    let entry = TokenEntry { name: args.name, hash, role: args.role, systems, expires: args.expires };
    let text = toml::to_string(&Entries { tokens: [entry] }).map_err(anyhow::Error::new)?;
    // As the service will read it: what is wrong with a flag is wrong with the entry.
    let file =
        TokenFile::parse(&text).map_err(|problem| Failure::Usage(problem.replacen("tokens[0].", "--", 1)))?;
    if let Some(past) =
        file.tokens().iter().filter_map(|token| token.expires).find(|time| *time <= Timestamp::now())
    {
        return Err(Failure::Usage(format!("--expires {past}: is over; name a time to come")));
    }
    match &args.out {
        Some(file) => {
            write_privately(file, &token)?;
            stdout::note(&format!(
                "the token is in {}; give it to its owner and keep no copy",
                file.display()
            ));
        }
        // Not into the file that takes the entry.
        None => stdout::aside(&format!(
            "the token, which is shown this once:\n\n{token}\n\nits entry for the file of tokens:\n"
        )),
    }
    stdout::print(&text)
}

/// Writes a new file that only its owner can read.
fn write_privately(file: &Path, token: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut opened = opened.map_err(|error| {
        let hint = if error.kind() == ErrorKind::AlreadyExists { "; name a new file" } else { "" };
        Failure::Usage(format!("--out {}: cannot be made ({error}){hint}", file.display()))
    })?;
    writeln!(opened, "{token}").with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// A token as it is listed.
#[derive(Serialize)]
struct Listed {
    name: String,
    role: &'static str,
    systems: Vec<String>,
    expires: Option<String>,
    expired: bool,
}

impl Listed {
    fn new(known: &KnownToken, now: Timestamp) -> Self {
        Self {
            name: known.name.clone(),
            role: known.role.name(),
            systems: match &known.systems {
                Systems::All => vec!["*".into()],
                Systems::Only(names) => names.iter().cloned().collect(),
            },
            expires: known.expires.map(|time| time.to_string()),
            expired: known.expires.is_some_and(|time| time <= now),
        }
    }

    fn until(&self) -> String {
        match (&self.expires, self.expired) {
            (None, _) => "-".into(),
            (Some(time), false) => time.clone(),
            (Some(time), true) => format!("{time} (expired)"),
        }
    }
}

fn check(args: &CheckTokensArgs) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let file = TokenFile::parse(&text)
        .map_err(|problem| Failure::Usage(format!("{}: {problem}", args.file.display())))?;
    let now = Timestamp::now();
    let listed: Vec<Listed> = file.tokens().iter().map(|known| Listed::new(known, now)).collect();
    match args.output {
        AnswerFormat::Json => stdout::print_json(&listed),
        AnswerFormat::Table => {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED).set_header(["name", "role", "systems", "until"]);
            for one in &listed {
                table.add_row([one.name.clone(), one.role.into(), one.systems.join(", "), one.until()]);
            }
            stdout::print(&format!("{table}\n"))
        }
    }
}
