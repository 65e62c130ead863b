//! Compiles the contract. protox reads the .proto files in Rust, so that no protoc has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from("proto");
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join("automap/v1"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, [&root])?;
    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(output.join("automap.v1.descriptors"), descriptors.encode_to_vec())?;
    // Chunks of samples are handed on without copying.
    tonic_prost_build::configure()
        .bytes(".automap.v1.FrameChunk")
        .bytes(".automap.v1.TestEdgesRequest")
        .bytes(".automap.v1.CollectRecordingRequest")
        .bytes(".automap.v1.DiagnoseRecordingRequest")
        .bytes(".automap.v1.LearnRecordingRequest")
        .compile_fds(descriptors)?;
    Ok(())
}
