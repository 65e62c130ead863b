//! Files that are whole or not there: written beside their place under another name, and renamed when done. Through what
//! is no regular file, a device or a pipe, the text is written as it is, and into a file that cannot be replaced: its
//! directory may not be written, or it is mounted into a container.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// Most symbolic links that are followed one after the other, as the system does.
const MAX_LINKS: usize = 40;

/// A file that is to be written at the end of long work; that it can be is found out at the beginning.
#[derive(Debug)]
pub struct OutputFile {
    name: String,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    /// A regular file, or a place where nothing is yet; what a symbolic link leads to.
    Whole { place: PathBuf, written: NamedTempFile },
    /// A regular file, open, beside which nothing can be made.
    InPlace(File),
    /// A device that is open, or a file that this process has open as its output.
    Through(File),
    /// A pipe: it can be opened when somebody reads it.
    Pipe(PathBuf),
}

impl OutputFile {
    /// Makes sure that `place` can be written. Nothing is there until [`Self::finish`]; a file that is there stays.
    ///
    /// # Errors
    /// `place` is a directory, or it or its directory does not exist or cannot be written.
    pub fn prepare(flag: &str, place: &Path) -> Result<Self, Failure> {
        let shown = place.display();
        if place.is_dir() {
            return Err(Failure::Usage(format!("{flag} {shown}: is a directory; name a file")));
        }
        let destination = Destination::of(place).map_err(|error| {
            let problem = format!(
                "{flag} {shown}: cannot write there ({error}); name a directory that exists and may be written"
            );
            Failure::Usage(problem)
        })?;
        Ok(Self { name: shown.to_string(), destination })
    }

    /// Puts `text` in place.
    ///
    /// # Errors
    /// The disk is full, the directory is gone, or nobody reads the pipe any more.
    pub fn finish(self, text: &str) -> Result<(), Failure> {
        let Self { name, destination } = self;
        destination.write(text).with_context(|| format!("cannot write {name}"))?;
        Ok(())
    }
}

impl Destination {
    fn of(place: &Path) -> io::Result<Self> {
        let followed = Followed::of(place)?;
        match fs::metadata(place) {
            // Renaming would take the file from under the descriptor that is meant.
            Ok(found) if found.is_file() && !followed.is_descriptor => Self::whole(followed.place),
            Ok(found) if is_pipe(&found) => Ok(Self::Pipe(place.into())),
            // What this process has printed there before stays before it.
            Ok(_) => Ok(Self::Through(OpenOptions::new().append(true).open(place)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::whole(followed.place),
            Err(error) => Err(error),
        }
    }

    fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Whole { place, mut written } => {
                write_all(&mut written, text)?;
                match written.persist(&place) {
                    Ok(_) => Ok(()),
                    Err(refused) if refused.error.kind() == ErrorKind::ResourceBusy => {
                        replace_text(&mut open_in_place(&place)?, text)
                    }
                    Err(refused) => Err(refused.error),
                }
            }
            Self::InPlace(mut file) => replace_text(&mut file, text),
            Self::Through(mut file) => write_all(&mut file, text),
            Self::Pipe(pipe) => write_all(&mut OpenOptions::new().append(true).open(pipe)?, text),
        }
    }

    fn whole(place: PathBuf) -> io::Result<Self> {
        match new_file(directory_of(&place)) {
            Ok(written) => Ok(Self::Whole { place, written }),
            // Told is why the directory will not do, where the file will not either.
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                open_in_place(&place).map(Self::InPlace).map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }
}

/// Where symbolic links lead.
struct Followed {
    place: PathBuf,
    /// Whether the way goes through `/proc`: a descriptor of a process, as `/dev/stdout` is.
    is_descriptor: bool,
}

impl Followed {
    fn of(place: &Path) -> io::Result<Self> {
        let mut found = Self { place: place.into(), is_descriptor: false };
        for _ in 0..=MAX_LINKS {
            let directory = directory_of(&found.place);
            found.is_descriptor |= directory.canonicalize().is_ok_and(|path| path.starts_with("/proc"));
            match fs::read_link(&found.place) {
                Ok(target) => found.place = directory.join(target),
                // It is no link, or not there.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                    return Ok(found);
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }
}

/// What a file that does not exist yet, or a regular one, is called where no symbolic link leads further: where it can be
/// replaced as a whole.
///
/// # Errors
/// It is a directory, a device or a pipe, or the links lead nowhere.
pub fn regular_place(place: &Path) -> Result<PathBuf, Failure> {
    let refused = |problem: &str| Failure::Usage(format!("{}: {problem}", place.display()));
    match fs::metadata(place) {
        Ok(found) if found.is_dir() => return Err(refused("is a directory; name a file")),
        Ok(found) if !found.is_file() => {
            return Err(refused("is a device or a pipe, and this has to be a whole file; name another"));
        }
        _ => {}
    }
    let followed = Followed::of(place).map_err(|error| refused(&error.to_string()))?;
    if followed.is_descriptor {
        return Err(refused("is an open output of a process, and this has to be a whole file; name another"));
    }
    Ok(followed.place)
}

fn directory_of(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn is_pipe(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.file_type().is_fifo()
}

fn write_all(file: &mut impl Write, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.flush()
}

/// Opens a file that is there, with all it holds.
fn open_in_place(place: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(place)
}

fn replace_text(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    write_all(file, text)
}

fn new_file(directory: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut builder = tempfile::Builder::new();
    // A temporary file is private; a report is like any other file that the user writes.
    builder.prefix(".automap-").suffix(".part").permissions(fs::Permissions::from_mode(0o666));
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    fn write(place: &Path, text: &str) {
        OutputFile::prepare("--report", place).unwrap().finish(text).unwrap();
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_an_older_one_stays_until_then() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("report.html");
        fs::write(&place, "old").unwrap();
        let file = OutputFile::prepare("--report", &place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "old");
        file.finish("new").unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "new");
        drop(OutputFile::prepare("--report", &place).unwrap());
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "a file that was given up leaves nothing");
    }

    #[test]
    fn places_that_cannot_be_written_are_refused_at_once() {
        let home = tempfile::tempdir().unwrap();
        symlink("round", home.path().join("round")).unwrap();
        for place in ["", "no/such/report.html", "round"] {
            let error = OutputFile::prepare("--report", &home.path().join(place)).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.starts_with("--report ")), "{error}");
        }
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        symlink("real", home.path().join("between")).unwrap();
        symlink(home.path().join("between"), &link).unwrap();
        for text in ["new", "newer"] {
            write(&link, text);
            assert!(link.symlink_metadata().unwrap().is_symlink());
            assert!(real.symlink_metadata().unwrap().is_file());
            assert_eq!(fs::read_to_string(&real).unwrap(), text);
        }
        assert_eq!(regular_place(&link).unwrap().file_name(), Some("real".as_ref()));
    }

    #[test]
    fn a_pipe_stays_one_and_its_reader_gets_the_text() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let file = OutputFile::prepare("--trace", &pipe).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        file.finish("text").unwrap();
        assert_eq!(reader.join().unwrap(), "text");
        assert!(pipe.symlink_metadata().unwrap().file_type().is_fifo());
        assert!(regular_place(&pipe).is_err());
    }

    #[test]
    fn a_descriptor_keeps_what_it_has_and_gets_the_text_behind_it() {
        use std::os::fd::AsRawFd as _;
        let home = tempfile::tempdir().unwrap();
        let mut open = File::create(home.path().join("out")).unwrap();
        open.write_all(b"answer\n").unwrap();
        let link = home.path().join("stdout");
        symlink(format!("/proc/self/fd/{}", open.as_raw_fd()), &link).unwrap();
        write(&link, "trace\n");
        drop(open);
        assert_eq!(fs::read_to_string(home.path().join("out")).unwrap(), "answer\ntrace\n");
        assert!(regular_place(&link).is_err());
    }

    #[test]
    fn a_device_stays_one() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("null");
        symlink("/dev/null", &link).unwrap();
        write(&link, "text");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert!(Path::new("/dev/null").metadata().unwrap().file_type().is_char_device());
        assert!(regular_place(&link).is_err());
    }
}
