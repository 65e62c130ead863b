//! Faults that a store must survive, on the real server: killed, without power, damaged.
//!
//! | module | what it holds |
//! |---|---|
//! | [`records`] | what is written: records with numbered versions |
//! | [`history`] | which versions were asked for and acknowledged, and when |
//! | [`load`] | clients that write until the server is gone |
//! | [`audit`] | whether a server has what was acknowledged |
//! | [`profiler`] | the server under test |
//! | [`kills`] | SIGKILL under load |
//! | [`recorded_disk`] | what a process did to its files, as told by `shim.c`, and the files that a power failure leaves |
//! | [`power`] | power failures under load |
//! | [`damage`] | damaged files |
//! | [`imports`] | SIGKILL while a server imports |

use std::{fs, path::Path};

use anyhow::Context as _;

pub mod audit;
pub mod damage;
pub mod history;
pub mod imports;
pub mod kills;
pub mod load;
pub mod power;
pub mod profiler;
pub mod recorded_disk;
pub mod records;

/// Copies a directory with all that is in it.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy_all(&path, &target)?;
        } else {
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}
