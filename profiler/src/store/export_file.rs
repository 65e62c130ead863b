//! An export as a file: a header line, then for each record the lengths of key and value (u32 each, big-endian), key and
//! value. The last record counts the others and carries their checksum.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use automap_proto::invalid::Invalid;

use super::{
    ProfileStore,
    engine_files::sync_directory,
    error::StoreError,
    key::EXPORT_END,
    temporary::Temporary,
    transfer::{ExportTally, StoredRecord, check},
};

const HEADER: &[u8] = b"automap store export 1\n";
/// Longest key or value that a file may claim; a store's are a few KiB.
const MAX_FIELD_BYTES: u32 = 1 << 20;

/// Writes an export: into a temporary file beside `path`, synced, then renamed, so that `path` is whole whenever it is
/// there.
#[derive(Debug)]
pub struct ExportWriter {
    path: PathBuf,
    temporary: Temporary,
    file: BufWriter<File>,
    tally: ExportTally,
}

impl ExportWriter {
    /// # Errors
    /// [`StoreError::Export`] where the file system refused.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = Temporary(path.with_file_name(format!(".{name}.unfinished")));
        let begin = || -> io::Result<_> {
            let mut file = BufWriter::new(File::create(&temporary.0)?);
            file.write_all(HEADER)?;
            Ok(file)
        };
        let file = begin().map_err(|error| unwritten(path, &error))?;
        Ok(Self { path: path.into(), temporary, file, tally: ExportTally::default() })
    }

    /// Adds a record that is not the last.
    ///
    /// # Errors
    /// [`StoreError::Export`] where the file system refused.
    pub fn add(&mut self, record: &StoredRecord) -> Result<(), StoreError> {
        self.tally.add(record);
        write_record(&mut self.file, record).map_err(|error| unwritten(&self.path, &error))
    }

    /// The record that would end the export now.
    pub fn end(&self) -> StoredRecord {
        self.tally.end()
    }

    /// Ends the export and answers how many records it has.
    ///
    /// # Errors
    /// [`StoreError::Export`] where the file system refused.
    pub fn finish(self) -> Result<u64, StoreError> {
        let Self { path, temporary, mut file, tally } = self;
        let put = || -> io::Result<()> {
            write_record(&mut file, &tally.end())?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&temporary.0, &path)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_directory(parent.unwrap_or(Path::new(".")))
        };
        put().map_err(|error| unwritten(&path, &error))?;
        Ok(tally.records())
    }
}

fn unwritten(file: &Path, error: &io::Error) -> StoreError {
    StoreError::Export { file: file.into(), problem: error.to_string() }
}

fn write_record(file: &mut impl io::Write, record: &StoredRecord) -> io::Result<()> {
    for field in [&record.key, &record.value] {
        file.write_all(&(field.len() as u32).to_be_bytes())?;
    }
    file.write_all(&record.key)?;
    file.write_all(&record.value)
}

/// Exports all of `store` into the file `path`, and reads it back. Answers how many records there are.
///
/// # Errors
/// A record is damaged, the file system refused, or the file reads differently from what was written.
pub fn export_to(store: &dyn ProfileStore, path: &Path) -> Result<u64, StoreError> {
    let mut writer = ExportWriter::create(path)?;
    let mut position: Option<Vec<u8>> = None;
    loop {
        let chunk = store.export(position.as_deref())?;
        let Some(last) = chunk.position().map(<[u8]>::to_vec) else {
            let records = writer.finish()?;
            read_back(path, records)?;
            return Ok(records);
        };
        for record in &chunk.records {
            writer.add(record)?;
        }
        position = Some(last);
    }
}

/// Makes sure that an import would take an export of so many records, which was written just now. One that it would not take is
/// removed: it would count as one of those that are kept.
///
/// # Errors
/// [`StoreError::Export`] where it reads differently.
pub fn read_back(file: &Path, records: u64) -> Result<(), StoreError> {
    let problem = match ExportReader::open(file).and_then(check) {
        Ok(read) if read == records => return Ok(()),
        Ok(read) => format!("{read} records of {records}"),
        Err(error) => error.to_string(),
    };
    let outcome = match fs::remove_file(file) {
        Ok(()) => "was removed".to_owned(),
        Err(error) => format!("cannot be removed: {error}"),
    };
    let problem =
        format!("it reads differently from what was written ({problem}), and {outcome}; check the disk");
    Err(StoreError::Export { file: file.into(), problem })
}

/// Reads the records of an export, the last one included, without checking them.
///
/// # Errors
/// The file cannot be read or is no whole export.
pub fn read_export(path: &Path) -> Result<Vec<StoredRecord>, StoreError> {
    ExportReader::open(path)?.collect()
}

/// The records of an export one after the other, the last one included, without checking them.
#[derive(Debug)]
struct ExportReader {
    path: PathBuf,
    file: BufReader<File>,
    ended: bool,
}

impl ExportReader {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let broken = |problem: &str| broken(path, problem);
        let file = File::open(path).map_err(|error| broken(&error.to_string()))?;
        let mut file = BufReader::new(file);
        let mut header = vec![0; HEADER.len()];
        file.read_exact(&mut header).map_err(|_| broken("it is no export of a store"))?;
        if header != HEADER {
            return Err(broken("it is no export of a store, or one of a newer build"));
        }
        Ok(Self { path: path.into(), file, ended: false })
    }

    fn record(&mut self) -> Result<StoredRecord, StoreError> {
        let Self { path, file, ended } = self;
        let cut = |_| broken(path, "it is cut short");
        let mut lengths = [[0; 4]; 2];
        for length in &mut lengths {
            file.read_exact(length).map_err(cut)?;
        }
        let mut fields = [Vec::new(), Vec::new()];
        for (field, length) in fields.iter_mut().zip(lengths.map(u32::from_be_bytes)) {
            if length > MAX_FIELD_BYTES {
                return Err(broken(path, "a length in it is damaged"));
            }
            field.resize(length as usize, 0);
            file.read_exact(field).map_err(cut)?;
        }
        let [key, value] = fields;
        if key == EXPORT_END {
            *ended = true;
            if file.read(&mut [0]).map_err(cut)? > 0 {
                return Err(broken(path, "something follows its end"));
            }
        }
        Ok(StoredRecord { key, value })
    }
}

impl Iterator for ExportReader {
    type Item = Result<StoredRecord, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record();
        self.ended |= record.is_err();
        Some(record)
    }
}

fn broken(path: &Path, problem: &str) -> StoreError {
    Invalid::new("file", format!("{}: {problem}", path.display())).into()
}
