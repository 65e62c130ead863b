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
    transfer::{ExportTally, StoredRecord},
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

/// Exports all of `store` into the file `path`. Answers how many records there are.
///
/// # Errors
/// A record is damaged, or the file system refused.
pub fn export_to(store: &dyn ProfileStore, path: &Path) -> Result<u64, StoreError> {
    let mut writer = ExportWriter::create(path)?;
    let mut position: Option<Vec<u8>> = None;
    loop {
        let chunk = store.export(position.as_deref())?;
        let Some(last) = chunk.position().map(<[u8]>::to_vec) else {
            return writer.finish();
        };
        for record in &chunk.records {
            writer.add(record)?;
        }
        position = Some(last);
    }
}

/// Reads the records of an export, the last one included, without checking them.
///
/// # Errors
/// The file cannot be read or is no whole export.
pub fn read_export(path: &Path) -> Result<Vec<StoredRecord>, StoreError> {
    let broken =
        |problem: &str| StoreError::from(Invalid::new("file", format!("{}: {problem}", path.display())));
    let cut = |_| broken("it is cut short");
    let file = File::open(path).map_err(|error| broken(&error.to_string()))?;
    let mut file = BufReader::new(file);
    let mut header = vec![0; HEADER.len()];
    file.read_exact(&mut header).map_err(|_| broken("it is no export of a store"))?;
    if header != HEADER {
        return Err(broken("it is no export of a store, or one of a newer build"));
    }
    let mut records = Vec::new();
    loop {
        let mut lengths = [[0; 4]; 2];
        for length in &mut lengths {
            file.read_exact(length).map_err(cut)?;
        }
        let mut fields = [Vec::new(), Vec::new()];
        for (field, length) in fields.iter_mut().zip(lengths.map(u32::from_be_bytes)) {
            if length > MAX_FIELD_BYTES {
                return Err(broken("a length in it is damaged"));
            }
            field.resize(length as usize, 0);
            file.read_exact(field).map_err(cut)?;
        }
        let [key, value] = fields;
        let last = key == EXPORT_END;
        records.push(StoredRecord { key, value });
        if last {
            let more = file.read(&mut [0]).map_err(cut)?;
            return if more == 0 { Ok(records) } else { Err(broken("something follows its end")) };
        }
    }
}
