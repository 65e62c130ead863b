//! Damaged files: flipped bits, cut, emptied, lost and stray ones.
//!
//! Each case damages a copy of one store. The real server is started on it: it may refuse, and what it answers must be
//! what was acknowledged, or an error. `automap store salvage` reads another copy: what it saves, taken into a new store,
//! must be what was acknowledged, and what it does not save it must name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::Value;

use super::{
    audit::{self, Found},
    copy_all,
    history::{History, now},
    load::{Life, Writer},
    profiler,
};
use crate::command;

/// What happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Damaged stores.
    pub cases: usize,
    /// Servers that opened one.
    pub opened: usize,
    /// Servers that refused.
    pub refused: usize,
    /// Records that were acknowledged, over all cases.
    pub records: usize,
    /// Of those, read from a server that opened.
    pub read: usize,
    /// Of those, told to be damaged by a server that opened.
    pub told_damaged: usize,
    /// Records saved by salvage in the state that was acknowledged.
    pub saved: usize,
    /// Saved, and named as perhaps older than they were.
    pub doubtful: usize,
    /// Named as missing.
    pub missing: usize,
    /// Lost without a name, but within the number of changes that salvage says are lost.
    pub unnamed: usize,
    /// Those changes, over all cases: no case may lose more records than it names changes.
    pub changes_named: u64,
}

/// Damages a store in `cases` ways. Of every four cases one damages two files, so that it can hit both copies.
///
/// # Errors
/// A record was silently wrong or lost; the damaged store stays in `home`.
pub async fn run(home: &Path, cases: usize, seed: u64) -> anyhow::Result<Report> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut report = Report::default();
    let templates =
        [template(home, "killed", false, seed).await?, template(home, "stopped", true, seed).await?];
    for case in 0..cases {
        let (store, history) = &templates[case % templates.len()];
        let place = home.join(format!("case-{case}"));
        copy_all(store, &place.join("store"))?;
        let mut damages = Vec::new();
        for _ in 0..if case % 4 == 3 { 2 } else { 1 } {
            damages.push(damage(&place.join("store"), &mut random)?);
        }
        let context = || format!("case {case}: {}; {}", damages.join(", "), place.display());
        copy_all(&place.join("store"), &place.join("copy"))?;
        serve(home, &place, history, &mut report).await.with_context(context)?;
        salvage(home, &place, history, &mut report).await.with_context(context)?;
        report.cases += 1;
        fs::remove_dir_all(&place)?;
    }
    Ok(report)
}

/// A store with some hundred records, whose server was killed or stopped; with a checkpoint, a journal after it, and
/// snapshots of the engine.
async fn template(home: &Path, name: &str, gently: bool, seed: u64) -> anyhow::Result<(PathBuf, History)> {
    let store = home.join(name);
    let mut history = History::default();
    for (life, writes) in [150, 60].into_iter().enumerate() {
        let service = profiler::start(home, &store, &[])?;
        let mut writer = Writer::new(&format!("{name}-{life}"), seed ^ life as u64);
        writer.run(profiler::connect(&service)?, writes, &Life::default()).await?;
        history.extend(writer.history);
        if life == 0 || gently {
            service.terminate()?;
        } else {
            service.kill()?;
        }
    }
    Ok((store, history))
}

/// Damages one file below `store`, and says how.
fn damage(store: &Path, random: &mut ChaCha8Rng) -> anyhow::Result<String> {
    let mut files = Vec::new();
    list(store, &mut files)?;
    files.retain(|file| file.file_name().is_some_and(|name| name != "lock"));
    files.sort();
    if random.random_range(0..8) == 0 {
        let name = format!("snap.{:016X}", random.random_range(0..u64::MAX));
        let mut garbage = vec![0; random.random_range(0..4096)];
        garbage.iter_mut().for_each(|byte| *byte = random.random_range(0..=255));
        fs::write(store.join(&name), garbage)?;
        return Ok(format!("a stray {name}"));
    }
    let file = files.choose(random).context("there are files")?;
    let name = file.strip_prefix(store)?.display().to_string();
    let mut bytes = fs::read(file)?;
    let kind = random.random_range(0..6);
    if kind == 0 {
        fs::remove_file(file)?;
        return Ok(format!("{name} is lost"));
    }
    if bytes.is_empty() {
        fs::write(file, [random.random_range(0..=255_u8); 100])?;
        return Ok(format!("{name} has content"));
    }
    let at = random.random_range(0..bytes.len());
    let what = match kind {
        1 => {
            bytes.clear();
            "is empty".to_owned()
        }
        2 => {
            bytes.truncate(at);
            format!("is cut at {at}")
        }
        3 => {
            let end = (at + random.random_range(1..5000)).min(bytes.len());
            bytes[at..end].fill(0);
            format!("has zeros from {at} to {end}")
        }
        _ => {
            let flips = random.random_range(1..=3);
            for _ in 0..flips {
                let place = random.random_range(0..bytes.len());
                bytes[place] ^= 1 << random.random_range(0..8);
            }
            format!("has {flips} flipped bits")
        }
    };
    fs::write(file, bytes)?;
    Ok(format!("{name} {what}"))
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

async fn serve(home: &Path, place: &Path, history: &History, report: &mut Report) -> anyhow::Result<()> {
    let service = match profiler::start(home, &place.join("store"), &[]) {
        Ok(service) => service,
        Err(refusal) => {
            let told = format!("{refusal:#}");
            ensure!(told.contains("automap store salvage"), "it refused without a way out: {told}");
            report.refused += 1;
            return Ok(());
        }
    };
    report.opened += 1;
    let mut client = profiler::connect(&service)?;
    for (record, allowed) in history.allowed(now()) {
        let found = audit::read(&mut client, record).await?;
        match &found {
            Found::Damaged(_) => report.told_damaged += 1,
            found if allowed.permits(found) => report.read += 1,
            wrong => bail!("the server says that {record:?} is {wrong:?}, and it may be {allowed:?}"),
        }
    }
    service.kill()
}

async fn salvage(home: &Path, place: &Path, history: &History, report: &mut Report) -> anyhow::Result<()> {
    let (file, copy, new) = (place.join("saved.export"), place.join("copy"), place.join("new"));
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is text");
    let (file, copy, new) = (text(&file)?, text(&copy)?, text(&new)?);
    let ended = command::run(home, &["store", "salvage", &file, "--store", &copy, "--output", "json"])?;
    ensure!([0, 5].contains(&ended.code), "salvage ended with {}: {}", ended.code, ended.stderr);
    let told: Value = serde_json::from_str(&ended.stdout)?;
    let list = |key: &str| -> Vec<String> {
        let all = told[key].as_array().into_iter().flatten();
        all.filter_map(|line| line.as_str().map(str::to_owned)).collect()
    };
    let (missing, doubtful) = (list("missing"), list("doubtful"));
    ensure!((ended.code == 0) == (missing.is_empty() && doubtful.is_empty()), "exit code {}", ended.code);
    let ended = command::run(home, &["store", "import", &file, "--store", &new, "--existing", "empty"])?;
    ensure!(ended.code == 0, "what was saved cannot be imported: {}", ended.stderr);
    let service = profiler::start(home, Path::new(&new), &[])?;
    let mut client = profiler::connect(&service)?;
    let mut unnamed = Vec::new();
    for (record, allowed) in history.allowed(now()) {
        report.records += 1;
        let found = audit::read(&mut client, record).await?;
        if allowed.permits(&found) {
            report.saved += 1;
            continue;
        }
        let named = |lines: &[String]| lines.iter().any(|line| names(line, record.name()));
        match &found {
            Found::Version(_) if named(&doubtful) => report.doubtful += 1,
            _ if named(&missing) => report.missing += 1,
            _ => unnamed.push(format!("{record:?} was saved as {found:?} and may be {allowed:?}")),
        }
    }
    // Where the names themselves are lost, the number of changes is told: each makes one record.
    let lost = changes_lost(&missing);
    ensure!(
        unnamed.len() as u64 <= lost,
        "{} records are lost without a name, and {lost} changes are said to be: {unnamed:?}; {missing:?} {doubtful:?}",
        unnamed.len()
    );
    report.unnamed += unnamed.len();
    report.changes_named += lost;
    service.kill()
}

/// How many changes neither copy has, at most, by the lines of a salvage; 0 where they give no number for either.
fn changes_lost(missing: &[String]) -> u64 {
    let numbers = ["the journal", "the engine"].into_iter().filter_map(|copy| changes_lacking(missing, copy));
    numbers.min().unwrap_or(0)
}

/// How many changes the lines about one copy say that it lacks; `None` where one of them gives no number.
fn changes_lacking(missing: &[String], copy: &str) -> Option<u64> {
    let lines = missing.iter().filter_map(|line| line.strip_prefix(copy));
    let lacking = lines.map(|line| {
        let said = line.strip_prefix(": ")?;
        let digits = said.split(|letter: char| !letter.is_ascii_digit());
        let numbers: Vec<u64> = digits.filter_map(|number| number.parse().ok()).collect();
        let begins = |words: &str| said.starts_with(words);
        match numbers.as_slice() {
            [first, last] if begins("changes ") => Some((last + 1).saturating_sub(*first)),
            [last, all] if begins("it ends at change ") => Some(all.saturating_sub(*last)),
            [_] if begins("change ") || begins("it ends at change ") || begins("what follows change ") => {
                Some(1)
            }
            [all] if begins("parts of the checkpoint at change ") => Some(*all),
            // How many are missing there is a gap, which another line tells.
            [_] if begins("the journal does not begin at change ") => Some(0),
            _ => None,
        }
    });
    lacking.sum()
}

/// Whether a line speaks of a record by its whole name.
fn names(line: &str, name: &str) -> bool {
    line.split([' ', ':', ',', ';']).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_changes_are_counted_by_what_either_copy_says_it_lacks() {
        let lost =
            |lines: &[&str]| changes_lost(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            lost(&["the journal: changes 5 to 9 are unreadable", "the journal: change 12 is unreadable"]),
            0
        );
        let engine = "the engine: it has lost rows or gives back old ones";
        assert_eq!(lost(&["the journal: changes 5 to 9 are unreadable", engine]), 5);
        assert_eq!(
            lost(&["the journal: changes 5 to 9 are unreadable", "the engine: it ends at change 7 of 9"]),
            2
        );
        assert_eq!(
            lost(&[
                "the journal: changes 5 to 9 are unreadable",
                "the journal: change 12 is unreadable",
                engine
            ]),
            6
        );
        assert_eq!(lost(&["the journal: parts of the checkpoint at change 150 are unreadable", engine]), 150);
        assert_eq!(lost(&["the journal cannot be read: gone", engine]), 0);
        let torn = "the journal: what follows change 8 is unreadable: a change that was never acknowledged, or a lost one";
        assert_eq!(lost(&[torn, engine]), 1);
    }
}
