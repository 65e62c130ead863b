//! Debian's Prometheus, which asks every service.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    Error, Options,
    addresses::free_port,
    child::{Child, Program},
};

/// A running Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus {
    pub(super) child: Child,
    pub(super) address: SocketAddr,
}

/// Starts it at `host` without samples; it asks `targets`, each under the name of its service, where they listen. They are not asked through
/// the network between services: what slows that must not blind who watches.
pub(super) fn start(
    program: &Program,
    options: &Options,
    host: IpAddr,
    targets: &[(&str, SocketAddr)],
) -> Result<Prometheus, Error> {
    let home = options.directory.join("prometheus");
    let written = |error: std::io::Error| Error::directory(&home, &error);
    // Samples of an earlier one, whose services were at other addresses, would count beside the new ones for five minutes.
    if home.exists() {
        fs::remove_dir_all(&home).map_err(written)?;
    }
    fs::create_dir_all(&home).map_err(written)?;
    let address = free_port(host).map_err(written)?;
    let configuration = home.join("prometheus.yml");
    fs::write(&configuration, text(options.scrape_interval, targets)).map_err(written)?;
    let arguments = [
        format!("--config.file={}", configuration.display()),
        format!("--storage.tsdb.path={}", home.join("data").display()),
        format!("--web.listen-address={address}"),
        "--storage.tsdb.retention.time=30d".to_owned(),
        "--log.level=warn".to_owned(),
    ];
    let child = program.start("prometheus", OsStr::new("prometheus"), &arguments)?;
    Ok(Prometheus { child, address })
}

fn text(interval: Duration, targets: &[(&str, SocketAddr)]) -> String {
    let milliseconds = interval.as_millis();
    let mut text = format!(
        "global: {{scrape_interval: {milliseconds}ms, scrape_timeout: {milliseconds}ms}}\n\
         scrape_configs:\n  - job_name: pymicro\n    static_configs:\n"
    );
    for (service, address) in targets {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "      - {{targets: [\"{address}\"], labels: {{service: {service}}}}}");
    }
    text
}
