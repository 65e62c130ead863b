//! Several hosts on this machine: network namespaces on a switch of their own, with names that a test gives out.
//!
//! Needs root, and `ip` of iproute2, which `.ci/test` installs.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, ensure};

/// Where `ip netns exec` finds what a namespace has in place of the files of `/etc`.
const NAMES: &str = "/etc/netns";

/// Sets of hosts that this process made: their names must differ.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Hosts with the addresses 10.77.0.1, 10.77.0.2 and so on; gone when dropped.
#[derive(Debug)]
pub struct Hosts {
    prefix: String,
    count: usize,
}

impl Hosts {
    /// So many hosts, at most 200.
    ///
    /// # Errors
    /// This process may not make them, or `ip` is missing.
    pub fn new(count: usize) -> anyhow::Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let hosts = Self { prefix: format!("am{}x{number}", std::process::id()), count };
        let switch = hosts.switch();
        // From here on, what was made goes away when `hosts` is dropped.
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        for host in 0..count {
            let (name, port) = (hosts.name(host), format!("port{host}"));
            ip(&["netns", "add", &name])?;
            ip(&[
                "-n", &name, "link", "add", "eth", "type", "veth", "peer", "name", &port, "netns", &switch,
            ])?;
            ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"])?;
            ip(&["-n", &name, "address", "add", &format!("{}/24", hosts.address(host)), "dev", "eth"])?;
            ip(&["-n", &name, "link", "set", "eth", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            hosts.know(host, &[])?;
        }
        Ok(hosts)
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> String {
        format!("10.77.0.{}", host + 1)
    }

    /// Lets `host` know these hosts by these names, and no others. What runs there looks names up anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn know(&self, host: usize, names: &[(&str, usize)]) -> anyhow::Result<()> {
        let lines = names.iter().map(|&(name, known)| format!("{} {name}\n", self.address(known)));
        let file = self.names_of(host);
        fs::create_dir_all(&file)?;
        // Written in place: the namespaces of running processes hold this very file.
        fs::write(file.join("hosts"), format!("127.0.0.1 localhost\n{}", lines.collect::<String>()))?;
        Ok(())
    }

    /// Words that let a command run on `host`.
    pub fn on(&self, host: usize) -> [String; 4] {
        ["ip".into(), "netns".into(), "exec".into(), self.name(host)]
    }

    /// The body of an answer of HTTP, asked for on the host itself.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn get(&self, host: usize, port: u16, path: &str) -> anyhow::Result<String> {
        let address = self.address(host);
        let script = format!(
            "exec 3<>/dev/tcp/{address}/{port} && printf 'GET {path} HTTP/1.1\\r\\nhost: {address}\\r\\n\
             connection: close\\r\\n\\r\\n' >&3 && cat <&3"
        );
        let [program, words @ ..] = self.on(host);
        let output = Command::new(program).args(words).args(["bash", "-c", &script]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn name(&self, host: usize) -> String {
        format!("{}h{host}", self.prefix)
    }

    fn switch(&self) -> String {
        format!("{}sw", self.prefix)
    }

    fn names_of(&self, host: usize) -> PathBuf {
        PathBuf::from(NAMES).join(self.name(host))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..self.count {
            // A host that could not be made cannot be removed.
            ip(&["netns", "delete", &self.name(host)]).ok();
            fs::remove_dir_all(self.names_of(host)).ok();
        }
        ip(&["netns", "delete", &self.switch()]).ok();
        // Others may have hosts of their own; then it stays.
        fs::remove_dir(NAMES).ok();
    }
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(words)
        .output()
        .context("cannot start ip: install the package iproute2, as .ci/test does")?;
    ensure!(
        output.status.success(),
        "`ip {}` failed: {}; hosts of tests are network namespaces, which need root",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
