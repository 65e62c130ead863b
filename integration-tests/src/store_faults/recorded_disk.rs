//! What processes did to the files below a directory, as `shim.c` told it, and what a power failure may leave of it.
//!
//! A file has what was synced, and the writes since; a directory has the names that were synced, and the changes since.
//! A power failure keeps all that was synced. Of the writes since it keeps, drops or tears each one, whatever their order;
//! of the changes of a directory it keeps any number of the first ones. Directories do not wait for each other, and a
//! name can be there before the content of its file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A write that is torn is torn at a multiple of this.
const SECTOR: usize = 512;

/// An operation and when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of the monotonic clock.
    pub at: u64,
    operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Create { path: PathBuf, inode: u64 },
    Write { inode: u64, offset: usize, data: Vec<u8> },
    Truncate { inode: u64, length: usize },
    Allocate { inode: u64, length: usize },
    Sync { inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    MakeDirectory { path: PathBuf, inode: u64 },
}

impl Event {
    /// Whether room was taken for a file, beyond its end.
    pub const fn allocates(&self) -> bool {
        matches!(self.operation, Operation::Allocate { .. })
    }
}

/// Reads what the shim wrote.
///
/// # Errors
/// The file cannot be read or is none of the shim's, or a process changed a file in a way that is not told.
pub fn events(log: &Path) -> anyhow::Result<Vec<Event>> {
    let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (event, after) = event(rest).context("the shim's log is torn")?;
        found.push(event?);
        rest = after;
    }
    Ok(found)
}

fn event(bytes: &[u8]) -> Option<(anyhow::Result<Event>, &[u8])> {
    let (&operation, rest) = bytes.split_first()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (inode, rest) = rest.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (lengths, rest) = rest.split_first_chunk::<12>()?;
    let (lengths, _) = lengths.as_chunks::<4>();
    let mut rest = rest;
    let mut fields = lengths.iter().map(|length| {
        let (field, after) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
        rest = after;
        Some(field.to_vec())
    });
    let (path, other, data) = (fields.next()??, fields.next()??, fields.next()??);
    let path = PathBuf::from(OsString::from_vec(path));
    let (at, inode) = (u64::from_ne_bytes(*at), u64::from_ne_bytes(*inode));
    let number = u64::from_ne_bytes(*number) as usize;
    let operation = match operation {
        1 => Operation::Create { path, inode },
        2 => Operation::Write { inode, offset: number, data },
        3 => Operation::Truncate { inode, length: number },
        4 => Operation::Sync { inode },
        5 => Operation::Rename { from: path, to: PathBuf::from(OsString::from_vec(other)) },
        6 | 8 => Operation::Remove { path },
        7 => Operation::MakeDirectory { path, inode },
        9 => Operation::Allocate { inode, length: number },
        10 => {
            let way = path.display();
            return Some((
                Err(anyhow::anyhow!("a file is changed by {way}, of which the shim does not tell")),
                rest,
            ));
        }
        unknown => return Some((Err(anyhow::anyhow!("operation {unknown} is unknown")), rest)),
    };
    Some((Ok(Event { at, operation }), rest))
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
    Extend(usize),
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => put(content, *offset, data),
            Self::Truncate(length) => content.resize(*length, 0),
            Self::Extend(length) => content.resize(content.len().max(*length), 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

/// Names in a directory, and the nodes they stand for.
type Names = BTreeMap<OsString, usize>;

#[derive(Debug, Clone)]
enum NameChange {
    Add(OsString, usize),
    Remove(OsString),
    /// Within one directory: never half of it.
    Rename(OsString, OsString, usize),
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Node {
    File { synced: Vec<u8>, since: Vec<Pending> },
    Directory { synced: Names, now: Names, since: Vec<NameChange> },
}

/// What a power failure keeps of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mercy {
    /// Nothing.
    Nothing,
    /// Everything, as after a kill.
    Everything,
    /// What chance keeps.
    Chance(u64),
}

/// The files below a directory that was empty when recording began.
#[derive(Debug)]
pub struct RecordedDisk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// Which node an inode is now; the numbers of removed files come again.
    inodes: BTreeMap<u64, usize>,
}

impl RecordedDisk {
    /// The directory, empty.
    ///
    /// # Errors
    /// It is not there.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize()?;
        let inode = fs::metadata(&root)?.ino();
        Ok(Self { root, nodes: vec![empty_directory()], inodes: BTreeMap::from([(inode, 0)]) })
    }

    /// Does what an event tells of.
    ///
    /// # Errors
    /// It speaks of files that were never told of.
    pub fn apply(&mut self, event: &Event) -> anyhow::Result<()> {
        match &event.operation {
            Operation::Create { path, inode } => {
                self.add(path, *inode, Node::File { synced: Vec::new(), since: Vec::new() })
            }
            Operation::MakeDirectory { path, inode } => self.add(path, *inode, empty_directory()),
            Operation::Write { inode, offset, data } => {
                self.pend(*inode, Pending::Write { offset: *offset, data: data.clone() })
            }
            Operation::Truncate { inode, length } => self.pend(*inode, Pending::Truncate(*length)),
            Operation::Allocate { inode, length } => self.pend(*inode, Pending::Extend(*length)),
            Operation::Sync { inode } => self.sync(*inode),
            Operation::Rename { from, to } => self.rename(from, to),
            Operation::Remove { path } => {
                let (directory, name) = self.place(path)?;
                self.change(directory, NameChange::Remove(name))
            }
        }
    }

    fn add(&mut self, path: &Path, inode: u64, node: Node) -> anyhow::Result<()> {
        let (directory, name) = self.place(path)?;
        let number = self.nodes.len();
        self.nodes.push(node);
        self.inodes.insert(inode, number);
        self.change(directory, NameChange::Add(name, number))
    }

    fn pend(&mut self, inode: u64, pending: Pending) -> anyhow::Result<()> {
        let number = *self.inodes.get(&inode).context("a file that was never made")?;
        match &mut self.nodes[number] {
            Node::File { since, .. } => since.push(pending),
            Node::Directory { .. } => bail!("a directory is written"),
        }
        Ok(())
    }

    fn sync(&mut self, inode: u64) -> anyhow::Result<()> {
        let number = *self.inodes.get(&inode).context("a file that was never made")?;
        match &mut self.nodes[number] {
            Node::File { synced, since } => since.drain(..).for_each(|pending| pending.apply(synced)),
            Node::Directory { synced, now, since } => {
                since.clear();
                synced.clone_from(now);
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let (old_directory, old_name) = self.place(from)?;
        let (new_directory, new_name) = self.place(to)?;
        let node = match &self.nodes[old_directory] {
            Node::Directory { now, .. } => *now.get(&old_name).context("what is renamed is not there")?,
            Node::File { .. } => bail!("a file in place of a directory"),
        };
        if old_directory == new_directory {
            return self.change(old_directory, NameChange::Rename(old_name, new_name, node));
        }
        self.change(new_directory, NameChange::Add(new_name, node))?;
        self.change(old_directory, NameChange::Remove(old_name))
    }

    fn change(&mut self, directory: usize, change: NameChange) -> anyhow::Result<()> {
        match &mut self.nodes[directory] {
            Node::Directory { now, since, .. } => {
                change.apply(now);
                since.push(change);
                Ok(())
            }
            Node::File { .. } => bail!("a file in place of a directory"),
        }
    }

    /// The directory of a path, and the name in it.
    fn place(&self, path: &Path) -> anyhow::Result<(usize, OsString)> {
        let inside = path.strip_prefix(&self.root).context("a path outside")?;
        let mut parts: Vec<OsString> = inside.iter().map(ToOwned::to_owned).collect();
        let name = parts.pop().context("the directory itself")?;
        let mut node = 0;
        for part in parts {
            let Node::Directory { now, .. } = &self.nodes[node] else {
                bail!("a file in place of a directory")
            };
            node = *now.get(&part).with_context(|| format!("{} is not there", path.display()))?;
        }
        Ok((node, name))
    }

    /// Writes what a power failure now would leave into the new directory `target`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn after_power_failure(&self, mercy: Mercy, target: &Path) -> anyhow::Result<()> {
        let seed = if let Mercy::Chance(seed) = mercy { seed } else { 0 };
        ensure!(!target.exists(), "{} is there already", target.display());
        self.leave(0, mercy, &mut ChaCha8Rng::seed_from_u64(seed), target)
    }

    fn leave(&self, node: usize, mercy: Mercy, random: &mut ChaCha8Rng, place: &Path) -> anyhow::Result<()> {
        match &self.nodes[node] {
            Node::File { synced, since } => {
                let mut content = synced.clone();
                for pending in since {
                    keep(pending, mercy, random, &mut content);
                }
                // Room that was taken and not written to takes none here.
                let written = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                let mut file = fs::File::create_new(place)?;
                file.write_all(&content[..written])?;
                Ok(file.set_len(content.len() as u64)?)
            }
            Node::Directory { synced, now, since } => {
                let names = match mercy {
                    Mercy::Nothing => synced.clone(),
                    Mercy::Everything => now.clone(),
                    Mercy::Chance(_) => {
                        let mut names = synced.clone();
                        let kept = random.random_range(0..=since.len());
                        since[..kept].iter().for_each(|change| change.apply(&mut names));
                        names
                    }
                };
                fs::create_dir(place)?;
                names.iter().try_for_each(|(name, &node)| self.leave(node, mercy, random, &place.join(name)))
            }
        }
    }
}

fn empty_directory() -> Node {
    Node::Directory { synced: Names::new(), now: Names::new(), since: Vec::new() }
}

fn keep(pending: &Pending, mercy: Mercy, random: &mut ChaCha8Rng, content: &mut Vec<u8>) {
    match (mercy, pending) {
        (Mercy::Nothing, _) => {}
        (Mercy::Everything, pending) => pending.apply(content),
        (Mercy::Chance(_), pending) => match (random.random_range(0..5), pending) {
            (0 | 1, _) => {}
            (2, Pending::Write { offset, data }) => {
                // The sectors before or behind a place of the file.
                let tear = (offset + random.random_range(0..=data.len())).next_multiple_of(SECTOR);
                let tear = tear.saturating_sub(*offset).min(data.len());
                if random.random_range(0..2) == 0 {
                    put(content, *offset, &data[..tear]);
                } else {
                    put(content, offset + tear, &data[tear..]);
                }
            }
            (_, pending) => pending.apply(content),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(root: &Path, operations: Vec<Operation>) -> RecordedDisk {
        let mut disk = RecordedDisk::new(root).unwrap();
        for operation in operations {
            disk.apply(&Event { at: 0, operation }).unwrap();
        }
        disk
    }

    fn left(disk: &RecordedDisk, mercy: Mercy) -> Vec<(String, Vec<u8>)> {
        let target = tempfile::tempdir().unwrap();
        let place = target.path().join("left");
        disk.after_power_failure(mercy, &place).unwrap();
        let mut files: Vec<_> = fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_goes_with_the_power() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let inode = fs::metadata(&root).unwrap().ino();
        let write = |offset, text: &str| Operation::Write { inode: 7, offset, data: text.into() };
        let mut operations = vec![
            Operation::Create { path: root.join("a"), inode: 7 },
            write(0, "one"),
            Operation::Sync { inode: 7 },
        ];
        assert_eq!(left(&disk(&root, operations.clone()), Mercy::Nothing), [], "its name was not synced");
        operations.extend([Operation::Sync { inode }, write(3, "two")]);
        assert_eq!(left(&disk(&root, operations.clone()), Mercy::Nothing), [("a".into(), b"one".to_vec())]);
        operations.push(Operation::Rename { from: root.join("a"), to: root.join("b") });
        let renamed = disk(&root, operations);
        assert_eq!(left(&renamed, Mercy::Nothing), [("a".into(), b"one".to_vec())]);
        assert_eq!(left(&renamed, Mercy::Everything), [("b".into(), b"onetwo".to_vec())]);
        let by_chance: std::collections::BTreeSet<_> =
            (0..200).map(|seed| left(&renamed, Mercy::Chance(seed))).collect();
        assert!(by_chance.len() >= 4, "{by_chance:?}");
        assert!(by_chance.iter().all(|files| files.len() == 1 && files[0].1.starts_with(b"one")));
    }
}
