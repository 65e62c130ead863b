//! Debian's ZooKeeper, with nothing but what services announce.

use std::{
    ffi::OsStr,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{
    Error, PAUSE, QUESTION,
    addresses::free_port,
    child::{Child, Program},
};

/// Where Debian has it; its manifest names what else it needs.
const JAR: &str = "/usr/share/java/zookeeper.jar";

/// Writes the log to standard error.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";

/// A running ZooKeeper.
#[derive(Debug)]
pub(super) struct ZooKeeper {
    pub(super) child: Child,
    pub(super) address: SocketAddr,
}

/// Starts it with an empty store at `host`; it serves when this returns.
pub(super) async fn start(
    program: &Program,
    directory: &Path,
    host: IpAddr,
    deadline: Instant,
) -> Result<ZooKeeper, Error> {
    if !Path::new(JAR).is_file() {
        return Err(Error::Start {
            program: "ZooKeeper".into(),
            reason: format!("{JAR} is missing: install Debian's package `zookeeper`"),
        });
    }
    let home = directory.join("zookeeper");
    let written = |error: std::io::Error| Error::directory(&home, &error);
    // What an earlier one has left are nodes of processes that are gone.
    if home.exists() {
        fs::remove_dir_all(&home).map_err(written)?;
    }
    fs::create_dir_all(&home).map_err(written)?;
    let address = free_port(host).map_err(written)?;
    let configuration = home.join("zoo.cfg");
    // A session lasts from two ticks to twenty. Nothing needs to survive: no write waits for the disk.
    let text = format!(
        "tickTime=500\ndataDir={}\nclientPortAddress={}\nclientPort={}\nmaxClientCnxns=0\n\
         admin.enableServer=false\n4lw.commands.whitelist=srvr\nforceSync=no\n",
        home.join("data").display(),
        address.ip(),
        address.port()
    );
    fs::write(&configuration, text).map_err(written)?;
    let arguments = [
        "-Xmx64m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-cp".to_owned(),
        format!("{JAR}:{LOGGER}"),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned(),
        configuration.display().to_string(),
    ];
    let mut child = program.start("zookeeper", OsStr::new("java"), &arguments)?;
    loop {
        if serves(address).await {
            return Ok(ZooKeeper { child, address });
        }
        child.check()?;
        if Instant::now() > deadline {
            return Err(child.not_ready("did not serve in time"));
        }
        sleep(PAUSE).await;
    }
}

/// Whether it answers the command `srvr` as one that serves.
async fn serves(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"srvr").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    matches!(timeout(QUESTION, asked).await, Ok(Ok(answer)) if answer.starts_with("Zookeeper version"))
}
