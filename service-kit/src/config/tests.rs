//! Layers, origins, and what is said of wrong settings.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Server {
    /// Where it
    /// listens.
    listen: String,
    drain_seconds: u64,
    tls_key: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: "127.0.0.1:1".into(), drain_seconds: 5, tls_key: None }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Pace {
    #[default]
    Slow,
    /// In a hurry.
    Fast,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Role {
    server: Server,
    pace: Pace,
    #[schemars(extend("writeOnly" = true))]
    token: Option<String>,
    names: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Rule {
    name: String,
    tries: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Sample {
    walker: Role,
    graph_builder: Role,
    /// Tables of any name.
    sources: BTreeMap<String, Source>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Source {
    /// Where it is.
    url: String,
    tries: u64,
    /// Headers.
    #[schemars(extend("writeOnly" = true))]
    headers: BTreeMap<String, String>,
}

struct Given {
    file: tempfile::NamedTempFile,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String)>,
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn given(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Given {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Given { file, environment: pairs(environment), flags: pairs(flags) }
}

impl Given {
    fn load(&self) -> Result<Loaded<Sample>, ConfigError> {
        load(&Sources {
            file: Some(self.file.path()),
            prefix: "APP_",
            environment: self.environment.clone(),
            flags: &self.flags,
        })
    }

    fn refused(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        text.replace(&self.file.path().display().to_string(), "file")
    }
}

#[test]
fn each_layer_overrides_only_what_it_names_and_every_value_knows_its_origin() {
    let text = "[walker.server]\ndrain-seconds = 9\nlisten = \"a:1\"\n[walker]\ntoken = \"s3cret\"\n";
    let given = given(
        text,
        &[("APP_WALKER__SERVER__LISTEN", "b:2"), ("APP_WALKER_PORT", "tcp://10.0.0.1"), ("PATH", "/bin")],
        &[("walker.pace", "fast")],
    );
    let loaded = given.load().unwrap();
    assert_eq!(loaded.config.walker.server.drain_seconds, 9);
    assert_eq!(loaded.config.walker.server.listen, "b:2");
    assert_eq!(loaded.config.walker.pace, Pace::Fast);
    assert_eq!(loaded.config.graph_builder, Role::default());
    let file = |line| Origin::File { file: given.file.path().into(), line };
    assert_eq!(loaded.origin("walker.server.drain-seconds"), file(2));
    assert_eq!(loaded.origin("walker.token"), file(5));
    let variable = "APP_WALKER__SERVER__LISTEN".to_owned();
    assert_eq!(loaded.origin("walker.server.listen"), Origin::Environment { variable });
    assert_eq!(loaded.origin("walker.pace"), Origin::Flag);
    assert_eq!(loaded.origin("walker.names"), Origin::Default);

    let entries = loaded.entries(Some("walker"));
    let value = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap().value.clone();
    assert_eq!(value("walker.token"), HIDDEN);
    assert_eq!(value("walker.server.drain-seconds"), 9);
    assert_eq!(value("walker.server.tls-key"), serde_json::Value::Null);
    assert!(entries.iter().all(|entry| entry.key.starts_with("walker.")));
    assert_eq!(loaded.entries(None).len(), 2 * entries.len());
}

#[test]
fn text_stays_text_and_lists_are_lists() {
    let variables = [
        ("APP_WALKER__SERVER__LISTEN", "4310"),
        ("APP_WALKER__NAMES", "[a, b]"),
        ("APP_WALKER__TOKEN", ""),
        ("APP_GRAPH_BUILDER__TOKEN", "true"),
    ];
    let loaded = given("[walker]\ntoken = \"t\"\n", &variables, &[]).load().unwrap();
    assert_eq!(loaded.config.walker.server.listen, "4310");
    assert_eq!(loaded.config.walker.names, ["a", "b"]);
    assert_eq!(loaded.config.walker.token, None);
    assert_eq!(loaded.config.graph_builder.token.as_deref(), Some("true"));
}

#[test]
fn every_unknown_key_is_named_with_its_place_and_what_was_meant() {
    let text = "[walker.server]\ndrain-second = 9\n\n[walkr]\npace = \"fast\"\n[graph-builder]\nlisten = \"x\"\nzzz = 1\n";
    let given = given(text, &[("APP_WALKER__TOKN", "x")], &[("walker.drain-seconds", "1")]);
    assert_eq!(
        given.refused(),
        "file:2: unknown key walker.server.drain-second; did you mean walker.server.drain-seconds?\n\
         file:4: unknown key walkr; did you mean walker?\n\
         file:7: unknown key graph-builder.listen; did you mean graph-builder.server.listen?\n\
         file:8: unknown key graph-builder.zzz; `automap config schema` lists all keys\n\
         variable APP_WALKER__TOKN: unknown key walker.tokn; did you mean APP_WALKER__TOKEN?\n\
         flag --set: unknown key walker.drain-seconds; did you mean walker.server.drain-seconds?"
    );
}

#[test]
fn values_that_do_not_fit_are_named_with_their_place() {
    let wrong = given("[walker]\nserver = { drain-seconds = \"soon\" }\n", &[], &[]).refused();
    assert!(wrong.starts_with("file:2: walker.server.drain-seconds: ") && wrong.contains("soon"), "{wrong}");
    let wrong = given("", &[("APP_WALKER__PACE", "brisk")], &[]).refused();
    assert!(
        wrong.starts_with("variable APP_WALKER__PACE: walker.pace: ") && wrong.contains("brisk"),
        "{wrong}"
    );
    let wrong = given("walker = 3\n", &[], &[]).refused();
    assert!(wrong.starts_with("file:1: walker: "), "{wrong}");
    let wrong = given("[walker\n", &[], &[]).refused();
    assert!(wrong.contains("is no TOML") && wrong.contains("line 1"), "{wrong}");
    let sources = Sources { file: Some(Path::new("/nowhere/automap.toml")), ..Sources::default() };
    assert!(load::<Sample>(&sources).unwrap_err().to_string().contains("/nowhere/automap.toml"));
}

#[test]
fn what_is_wrong_within_a_list_is_named_with_its_own_line() {
    let rules = "[walker]\n\n[[walker.rules]]\nname = \"a\"\n\n[[walker.rules]]\nname = \"b\"\n";
    let wrong = given(&format!("{rules}tries = \"two\"\n"), &[], &[]).refused();
    let problem = "tries: is the text \"two\"; it must be a whole number from 0 on";
    assert_eq!(wrong, format!("file:8: walker.rules[1].{problem}"));
    let inline = "[walker]\nrules = [\n  { name = \"a\" },\n  { name = \"b\", tires = 3 },\n]\n";
    let meant = "unknown key walker.rules[1].tires; did you mean walker.rules[1].tries?";
    assert_eq!(given(inline, &[], &[]).refused(), format!("file:4: {meant}"));
    let wrong = given(&format!("{rules}zzz = 1\n"), &[], &[]).refused();
    assert_eq!(wrong, "file:8: unknown key walker.rules[1].zzz; there are name, tries");
    let wrong = given(rules, &[("APP_WALKER__RULES", "[{name=a,tries=two}]")], &[]).refused();
    assert_eq!(wrong, format!("variable APP_WALKER__RULES: walker.rules[0].{problem}"));

    let loaded = given(rules, &[], &[]).load().unwrap();
    for (key, line) in [("walker.rules[0].name", 4), ("walker.rules[1]", 6), ("walker.rules[1].tries", 6)] {
        let told = loaded.refuse(&Invalid::new(key, "is wrong")).to_string();
        assert!(told.ends_with(&format!(":{line}: {key}: is wrong")), "{told}");
    }
}

#[test]
fn a_variable_with_the_words_of_a_setting_is_told_with_the_name_that_was_meant() {
    let variables = [
        ("APP_WALKER_SERVER_LISTEN", "b:2"),
        ("APP_SOURCES_MY_SHOP_URL", "http://a"),
        ("APP_GRAPH_BUILDER_SERVER_TLS_KEY", "k"),
        // Of others: a variable of the command, what Kubernetes makes of a Service, a table, and another prefix.
        ("APP_LOG", "info"),
        ("APP_WALKER_SERVICE_HOST", "10.0.0.1"),
        ("APP_WALKER_SERVER", "10.0.0.1"),
        ("WALKER_SERVER_LISTEN", "c:3"),
    ];
    let loaded = given("", &variables, &[]).load().unwrap();
    assert_eq!(loaded.config, Sample::default());
    assert_eq!(
        loaded.ignored(),
        [
            "variable APP_GRAPH_BUILDER_SERVER_TLS_KEY is not read; did you mean APP_GRAPH_BUILDER__SERVER__TLS_KEY?",
            "variable APP_SOURCES_MY_SHOP_URL is not read; did you mean APP_SOURCES__MY_SHOP__URL?",
            "variable APP_WALKER_SERVER_LISTEN is not read; did you mean APP_WALKER__SERVER__LISTEN?",
        ]
    );
    let mixed = given("", &[("APP_WALKER__SERVER_DRAIN_SECONDS", "3")], &[]).refused();
    assert!(mixed.ends_with("; did you mean APP_WALKER__SERVER__DRAIN_SECONDS?"), "{mixed}");
}

#[test]
fn a_refused_setting_is_told_with_the_place_that_set_it() {
    let loaded = given("[walker.server]\n\ntls-key = \"k\"\n", &[], &[]).load().unwrap();
    let error = loaded.refuse(&Invalid::new("walker.server.tls-key", "has no certificate"));
    assert!(error.to_string().ends_with(":3: walker.server.tls-key: has no certificate"), "{error}");
    let error = loaded.refuse(&Invalid::new("walker.pace", "is too slow"));
    assert_eq!(error.to_string(), "walker.pace: is too slow");
}

#[test]
fn settings_carry_what_their_types_say() {
    let all = settings::<Sample>();
    let find = |key: &str| all.iter().find(|setting| setting.key == key).unwrap();
    let listen = find("walker.server.listen");
    assert_eq!((listen.kind.as_str(), listen.description.as_str()), ("string", "Where it listens."));
    assert_eq!(listen.default, "127.0.0.1:1");
    assert_eq!(find("walker.pace").kind, "slow|fast");
    assert!(find("walker.token").secret && find("walker.token").optional);
    assert_eq!(find("walker.server.drain-seconds").kind, "integer");
}

#[test]
fn tables_of_any_name_take_settings_from_every_layer() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(
        &mut file,
        b"[sources.prod]\nurl = \"http://a\"\n[sources.prod.headers]\nX-Org = \"7\"\n",
    )
    .unwrap();
    let flags = pairs(&[("sources.test.url", "42"), ("sources.prod.tries", "3")]);
    let sources = Sources {
        file: Some(file.path()),
        prefix: "T_",
        environment: pairs(&[("T_SOURCES__PROD__URL", "http://b")]),
        flags: &flags,
    };
    let loaded = load::<Sample>(&sources).unwrap();
    let prod = &loaded.config.sources["prod"];
    assert_eq!((prod.url.as_str(), prod.tries), ("http://b", 3));
    assert_eq!(prod.headers["X-Org"], "7");
    assert_eq!(loaded.config.sources["test"].url, "42");
    let entries = loaded.entries(Some("sources"));
    let shown = |key: &str| entries.iter().find(|entry| entry.key == key).unwrap();
    assert_eq!(shown("sources.prod.tries").origin, Origin::Flag);
    assert_eq!(shown("sources.prod.headers.X-Org").value, HIDDEN);
    let wrong = pairs(&[("sources.prod.ulr", "x")]);
    let error = load::<Sample>(&Sources { flags: &wrong, ..Sources::default() }).unwrap_err().to_string();
    assert!(error.contains("did you mean sources.prod.url?"), "{error}");
}
