//! Tokens of callers, as files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::command;

/// The file of tokens of a service, and a file with the token of each of its callers.
#[derive(Debug)]
pub struct Tokens {
    home: PathBuf,
    /// What `server.access.tokens` names.
    pub file: PathBuf,
}

impl Tokens {
    /// No tokens yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(home: &Path) -> anyhow::Result<Self> {
        let file = home.join("tokens.toml");
        fs::write(&file, "")?;
        Ok(Self { home: home.into(), file })
    }

    /// Makes a token by the real command, with flags such as `--role read`, adds its entry, and answers the file with the
    /// token.
    ///
    /// # Errors
    /// The command failed.
    pub fn issue(&self, name: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
        self.issue_until(name, flags, None)
    }

    /// The same with a time of expiry that the command would refuse, as it is over.
    ///
    /// # Errors
    /// The command failed.
    pub fn issue_until(&self, name: &str, flags: &[&str], expires: Option<&str>) -> anyhow::Result<PathBuf> {
        let out = self.home.join(format!("{name}.token"));
        let place = out.display().to_string();
        let words = [&["access", "new-token", "--name", name, "--out", &place][..], flags].concat();
        let ended = command::run(&self.home, &words)?;
        ensure!(ended.code == 0, "{}", ended.stderr);
        let over = expires.map_or_else(String::new, |time| format!("expires = {time:?}\n"));
        let known = fs::read_to_string(&self.file)?;
        // Read by a running service: the old text or the new one.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{known}{}{over}", ended.stdout))?;
        fs::rename(next, &self.file)?;
        Ok(out)
    }
}
