//! `automap config`: what is set, by what, and what is wrong with it.

use std::{fs, path::Path};

use automap_integration_tests::command::{self, Ended};
use serde_json::Value;

/// Runs `automap config show ROLE` on this file, with these variables and flags.
fn show(home: &Path, role: &str, file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Ended {
    fs::write(home.join("automap.toml"), file).unwrap();
    let mut command = command::automap(home).unwrap();
    command.args(["config", "show", role, "--config", "automap.toml", "--output", "json"]).args(flags);
    command.envs(variables.iter().copied()).output().unwrap().into()
}

#[test]
fn every_setting_is_shown_with_what_set_it() {
    let home = tempfile::tempdir().unwrap();
    let file = "[walker]\nqueued-diagnoses = 7\n\n[walker.server]\nmax-calls = 8\ndrain-seconds = 9\n";
    let variables = [("AUTOMAP_WALKER__SERVER__MAX_CALLS", "10"), ("AUTOMAP_LOG", "info")];
    let flags = ["--set", "walker.server.drain-seconds=11"];
    let ended = show(home.path(), "walker", file, &variables, &flags);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let entries: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let entry = |key: &str| entries.iter().find(|entry| entry["key"] == key).unwrap();
    for (key, value, layer) in [
        ("walker.queued-diagnoses", 7, "file"),
        ("walker.server.max-calls", 10, "environment"),
        ("walker.server.drain-seconds", 11, "flag"),
        ("walker.client.attempts", 3, "default"),
    ] {
        assert_eq!(entry(key)["value"], value, "{key}");
        assert!(entry(key)["origin"].to_string().contains(layer), "{}", entry(key));
    }
    assert!(entry("walker.queued-diagnoses")["origin"].to_string().contains("automap.toml"), "{entries:?}");

    // What can be set is what is shown.
    let schema = command::run(home.path(), &["config", "schema", "--output", "json"]).unwrap();
    let schema: Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["properties"]["walker"].is_object(), "{schema}");
    let table = command::run(home.path(), &["config", "schema"]).unwrap().stdout;
    for entry in &entries {
        let last = entry["key"].as_str().unwrap().rsplit('.').next().unwrap();
        assert!(table.contains(last), "{entry}");
    }
}

#[test]
fn unknown_keys_are_all_named_with_their_place_and_what_was_meant() {
    let home = tempfile::tempdir().unwrap();
    let file = "[walker]\ncolector = \"http://c:1\"\n\n[walker.server]\nmax-call = 8\n\n[wlaker]\nseed = 1\n";
    let variables = [("AUTOMAP_WALKER__SERVER__DRIAN_SECONDS", "1")];
    let ended = show(home.path(), "walker", file, &variables, &["--set", "walker.client.atempts=1"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for said in [
        "automap.toml:2: unknown key walker.colector; did you mean walker.collector?",
        "automap.toml:5: unknown key walker.server.max-call; did you mean walker.server.max-calls?",
        "automap.toml:7: unknown key wlaker; did you mean walker?",
        "variable AUTOMAP_WALKER__SERVER__DRIAN_SECONDS: ",
        "did you mean AUTOMAP_WALKER__SERVER__DRAIN_SECONDS?",
        "flag --set: unknown key walker.client.atempts; did you mean walker.client.attempts?",
    ] {
        assert!(ended.stderr.contains(said), "no {said:?} in {}", ended.stderr);
    }
}

#[test]
fn settings_that_do_not_fit_or_contradict_each_other_are_told_with_file_and_line() {
    let home = tempfile::tempdir().unwrap();
    for (role, file, said) in [
        (
            "walker",
            "[walker.server]\nmax-calls = \"many\"\n",
            "automap.toml:2: walker.server.max-calls: is the text \"many\"; it must be a whole number from 0 on",
        ),
        (
            "walker",
            "[walker]\nqueued-diagnoses = -1\n",
            "automap.toml:2: walker.queued-diagnoses: is -1; it must be a whole number from 0 on",
        ),
        (
            "walker",
            "[walker.server]\nlisten = \"localhost:4310\"\n",
            "automap.toml:2: walker.server.listen: is no address with a port; write one such as 127.0.0.1:4310",
        ),
        ("walker", "[walker.server]\n\nmax-calls = 0\n", "automap.toml:3: walker.server.max-calls: is 0"),
        ("walker", "[walker]\ncollector = \"c:1\"\n", "automap.toml:2: walker.collector: c:1 is no address"),
        (
            "collector",
            "[collector.server.tls]\ncertificate = \"c.pem\"\n",
            "automap.toml:2: collector.server.tls.certificate: needs collector.server.tls.key",
        ),
        (
            "walker",
            "[walker.client.tls]\nca = \"ca.pem\"\n",
            "automap.toml:2: walker.client.tls.ca: is set, and no address speaks TLS",
        ),
        (
            "all",
            "[walker.server]\nlisten = \"127.0.0.1:5000\"\n[profiler.server]\nlisten = \"127.0.0.1:5000\"\n",
            "automap.toml:4: profiler.server.listen: 127.0.0.1:5000 is taken by walker.server.listen",
        ),
        (
            "all",
            "[walker.http]\nlisten = \"127.0.0.1:0\"\n[[walker.alerts.rules]]\nsystem = {default = \"shop\"}\n\
             front-end = {default = \"web\"}\nsource = {default = \"prodd\"}\n[collector.sources.prod]\n\
             url = \"http://127.0.0.1:1\"\n",
            "automap.toml:6: walker.alerts.rules[0].source.default: prodd is no source of the collector (collector.sources); did you mean prod?",
        ),
        ("walker", "[walker\n", "automap.toml is no TOML"),
    ] {
        let ended = show(home.path(), role, file, &[], &[]);
        assert_eq!(ended.code, 2, "{said}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "no {said:?} in {}", ended.stderr);
        // A service refuses in the same words, before it listens.
        let served = command::run(home.path(), &["serve", role, "--config", "automap.toml"]).unwrap();
        assert_eq!((served.code, served.stderr), (2, ended.stderr), "{said}");
    }
}

#[test]
fn a_variable_that_was_meant_for_a_setting_is_told_and_others_are_not() {
    let home = tempfile::tempdir().unwrap();
    let variables = [
        ("AUTOMAP_WALKER_SERVER_LISTEN", "127.0.0.1:1"),
        // Of the tests, and what Kubernetes makes of the name of a Service.
        ("AUTOMAP_INCIDENTS", "/nowhere"),
        ("AUTOMAP_WALKER_SERVICE_HOST", "10.0.0.7"),
        ("AUTOMAP_WALKER_PORT", "tcp://10.0.0.7:4310"),
        ("AUTOMAP_WALKER_PORT_4310_TCP_ADDR", "10.0.0.7"),
        ("AUTOMAP_GRAPH_BUILDER_SERVICE_PORT_GRPC", "4312"),
    ];
    let said =
        "variable AUTOMAP_WALKER_SERVER_LISTEN is not read; did you mean AUTOMAP_WALKER__SERVER__LISTEN?\n";
    let ended = show(home.path(), "walker", "", &variables, &[]);
    assert_eq!((ended.code, ended.stderr), (0, format!("warning: {said}")));

    // A service tells it in its log.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("walker.server.listen={}", taken.local_addr().unwrap());
    let mut serve = command::automap(home.path()).unwrap();
    serve.args(["serve", "walker", "--log-format", "json", "--set", &listen]).envs(variables);
    let ended: Ended = serve.output().unwrap().into();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let first: Value = serde_json::from_str(ended.stderr.lines().next().unwrap()).unwrap();
    assert!(first.to_string().contains(said.trim_end()), "{}", ended.stderr);

    // A command tells it beside what it lacks.
    let source = ["collect", "--source", "prod", "--out", "out", "--from", "0", "--to", "60"];
    let mut collect = command::automap(home.path()).unwrap();
    let asked: Ended =
        collect.args(source).env("AUTOMAP_COLLECTOR_SOURCES_PROD_URL", "x").output().unwrap().into();
    assert_eq!(asked.code, 2, "{}", asked.stderr);
    assert!(asked.stderr.contains("AUTOMAP_COLLECTOR__SOURCES__PROD__URL?"), "{}", asked.stderr);
}

#[test]
fn files_that_are_missing_are_told_before_anybody_asks_for_what_needs_them() {
    let home = tempfile::tempdir().unwrap();
    let token = "[collector.sources.prod]\nurl = \"http://127.0.0.1:1\"\nbearer-token-file = \"/no/token\"\n";
    for (file, said) in [
        (token, "automap.toml:3: collector.sources.prod.bearer-token-file: /no/token cannot be read"),
        (
            "[collector]\nrecordings-root = \"/no/recordings\"\n",
            "automap.toml:2: collector.recordings-root: /no/recordings is no directory that can be read",
        ),
    ] {
        // The configuration may be looked at where its files are not.
        let shown = show(home.path(), "all", file, &[], &[]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(shown.stderr.contains(&format!("warning: {said}")), "no {said:?} in {}", shown.stderr);
        let served = command::run(home.path(), &["serve", "collector", "--config", "automap.toml"]).unwrap();
        assert_eq!(served.code, 2, "{}", served.stderr);
        assert!(served.stderr.contains(said), "no {said:?} in {}", served.stderr);
    }
    let sink = "[walker.sinks.chat]\nkind = \"slack\"\nurl-file = \"/no/url\"\n";
    let shown = show(home.path(), "walker", sink, &[], &[]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stderr.contains("walker.sinks.chat.url-file: /no/url cannot be read"), "{}", shown.stderr);
}
