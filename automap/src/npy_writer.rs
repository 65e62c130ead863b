//! Writes a frame as arrays that numpy reads.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;
use automap_proto::frame::MetricFrame;
use ndarray::{Array1, Array2};
use ndarray_npy::WriteNpyExt as _;

use crate::collect::series_names;

/// Writes into the directory `path` an array of doubles per series, `<series>.npy`, services x time, NaN where nothing was
/// measured; `timestamps.npy`, unix seconds; and `services.txt`, a service per line in the order of the rows.
///
/// # Errors
/// A file cannot be written.
pub fn write(path: &Path, frame: &MetricFrame) -> anyhow::Result<()> {
    let create = |name: &str| {
        let file = path.join(name);
        File::create(&file).map(BufWriter::new).with_context(|| format!("cannot write {}", file.display()))
    };
    let (services, samples) = (frame.services().len(), frame.grid().samples());
    for (_, name) in series_names(frame) {
        let mut array = Array2::from_elem((services, samples), f64::NAN);
        for service in 0..services {
            for index in frame.series_of(service).filter(|index| frame.series()[*index].name == name) {
                array.row_mut(service).assign(&frame.samples(index));
            }
        }
        array.write_npy(create(&format!("{name}.npy"))?)?;
    }
    let times: Array1<f64> = (0..samples).map(|row| frame.grid().time(row).seconds()).collect();
    times.write_npy(create("timestamps.npy")?)?;
    let mut names = create("services.txt")?;
    for service in frame.services() {
        writeln!(names, "{service}")?;
    }
    names.flush()?;
    Ok(())
}
