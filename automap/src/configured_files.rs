//! Files and directories that a configuration names and that are not there.

use std::{fs, io, path::Path};

use automap_proto::invalid::Invalid;
use automap_service_kit::{
    client::ClientConfig,
    server::ServerConfig,
    tls::{ClientTlsConfig, ServerTlsConfig},
};

use crate::{arguments::Role, services_config::ServicesConfig};

/// The setting that names the directory of recordings.
const ROOT: &str = "collector.recordings-root";

/// A setting and the file that it names, where it names one.
type Named<'a> = (String, Option<&'a Path>);

impl ServicesConfig {
    /// What the collector would read and cannot, and does not find out before it is asked.
    pub fn missing_sources(&self) -> Vec<Invalid> {
        let of_sources = |missing: &Invalid| {
            let field = missing.field();
            field == ROOT || field.starts_with("collector.sources.")
        };
        self.missing_files(Role::Collector).into_iter().filter(of_sources).collect()
    }

    /// What `role` would read and cannot, each with its setting. Looks at the file system of this machine.
    pub fn missing_files(&self, role: Role) -> Vec<Invalid> {
        let mut named: Vec<Named> = Vec::new();
        let all = matches!(role, Role::All);
        if all || matches!(role, Role::Collector) {
            server("collector.server", &self.collector.server, &mut named);
            for (name, source) in &self.collector.sources {
                let table = format!("collector.sources.{name}");
                named.push((format!("{table}.bearer-token-file"), source.bearer_token_file.as_deref()));
                named.push((format!("{table}.password-file"), source.password_file.as_deref()));
                client_tls(&table, &source.tls, &mut named);
            }
        }
        if all || matches!(role, Role::GraphBuilder) {
            server("graph-builder.server", &self.graph_builder.server, &mut named);
            client("graph-builder.client", &self.graph_builder.client, &mut named);
        }
        if all || matches!(role, Role::Profiler) {
            server("profiler.server", &self.profiler.server, &mut named);
        }
        if all || matches!(role, Role::Walker) {
            server("walker.server", &self.walker.server, &mut named);
            server_tls("walker.http", &self.walker.http.tls, &mut named);
            client("walker.client", &self.walker.client, &mut named);
            for (name, sink) in &self.walker.sinks {
                let table = format!("walker.sinks.{name}");
                named.push((format!("{table}.url-file"), sink.url_file.as_deref()));
                named.push((format!("{table}.bearer-token-file"), sink.bearer_token_file.as_deref()));
                named.push((format!("{table}.routing-key-file"), sink.routing_key_file.as_deref()));
                named.push((format!("{table}.template-file"), sink.template_file.as_deref()));
                client_tls(&table, &sink.tls, &mut named);
            }
        }
        let unread = |(field, path): Named| {
            let path = path?;
            let error = open_file(path).err()?;
            Some(Invalid::new(field, format!("{} cannot be read: {error}", path.display())))
        };
        let mut missing: Vec<Invalid> = named.into_iter().filter_map(unread).collect();
        let root =
            self.collector.recordings_root.as_deref().filter(|_| all || matches!(role, Role::Collector));
        missing.extend(root.and_then(no_directory));
        missing
    }
}

/// Opens a file without reading it: that tells whether it may be read. A directory can be opened too.
fn open_file(path: &Path) -> io::Result<()> {
    let is_directory = fs::File::open(path)?.metadata()?.is_dir();
    if is_directory { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
}

fn no_directory(path: &Path) -> Option<Invalid> {
    let problem = match fs::read_dir(path) {
        Ok(_) => return None,
        Err(error) => format!("{} is no directory that can be read: {error}", path.display()),
    };
    Some(Invalid::new(ROOT, problem))
}

fn server<'a>(table: &str, config: &'a ServerConfig, named: &mut Vec<Named<'a>>) {
    server_tls(table, &config.tls, named);
    named.push((format!("{table}.access.tokens"), config.access.tokens.as_deref()));
}

fn server_tls<'a>(table: &str, tls: &'a ServerTlsConfig, named: &mut Vec<Named<'a>>) {
    named.push((format!("{table}.tls.certificate"), tls.certificate.as_deref()));
    named.push((format!("{table}.tls.key"), tls.key.as_deref()));
    named.push((format!("{table}.tls.client-ca"), tls.client_ca.as_deref()));
}

fn client<'a>(table: &str, config: &'a ClientConfig, named: &mut Vec<Named<'a>>) {
    named.push((format!("{table}.token-file"), config.token_file.as_deref()));
    client_tls(table, &config.tls, named);
}

fn client_tls<'a>(table: &str, tls: &'a ClientTlsConfig, named: &mut Vec<Named<'a>>) {
    named.push((format!("{table}.tls.ca"), tls.ca.as_deref()));
    named.push((format!("{table}.tls.certificate"), tls.certificate.as_deref()));
    named.push((format!("{table}.tls.key"), tls.key.as_deref()));
}

#[cfg(test)]
mod tests {
    use automap_collector::query::config::QuerySourceConfig;

    use super::*;

    #[test]
    fn what_is_not_there_is_told_to_the_role_that_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join("token");
        fs::write(&there, "x").unwrap();
        let mut config = ServicesConfig::default();
        let source = |file: &Path| QuerySourceConfig {
            bearer_token_file: Some(file.to_owned()),
            ..QuerySourceConfig::default()
        };
        config.collector.sources.insert("here".into(), source(&there));
        config.collector.recordings_root = Some(directory.path().to_owned());
        assert!(config.missing_files(Role::All).is_empty());
        config.collector.sources.insert("gone".into(), source(&directory.path().join("no")));
        config.collector.recordings_root = Some(there.clone());
        config.walker.server.access.tokens = Some("/no/tokens".into());
        config.walker.client.token_file = Some(there);
        config.graph_builder.client.token_file = Some(directory.path().to_owned());
        config.graph_builder.client.tls.ca = Some("/no/ca.pem".into());
        let fields = |role: Role| -> Vec<String> {
            config.missing_files(role).iter().map(|missing| missing.field().to_owned()).collect()
        };
        let of_collector = ["collector.sources.gone.bearer-token-file", "collector.recordings-root"];
        assert_eq!(fields(Role::Collector), of_collector);
        assert_eq!(fields(Role::Walker), ["walker.server.access.tokens"]);
        assert!(fields(Role::Profiler).is_empty());
        let of_graph_builder = ["graph-builder.client.token-file", "graph-builder.client.tls.ca"];
        assert_eq!(fields(Role::GraphBuilder), of_graph_builder);
        assert_eq!(fields(Role::All).len(), 5);
        let of_sources: Vec<String> =
            config.missing_sources().iter().map(|missing| missing.field().to_owned()).collect();
        assert_eq!(of_sources, of_collector);
    }
}
