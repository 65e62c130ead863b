//! `automap incidents`.

use std::path::Path;

use automap_integration_tests::{
    command::{self, Ended},
    recording,
};
use serde_json::Value;

fn run(home: &Path, arguments: &[&str]) -> Ended {
    command::run(home, &[arguments, &["--store", "store"]].concat()).unwrap()
}

fn json(home: &Path, arguments: &[&str]) -> Value {
    let ended = run(home, &[arguments, &["--output", "json"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn diagnosed(home: &Path, more: &[&str]) -> String {
    let answer = json(home, &[&["diagnose", "incident"], more].concat());
    answer["incident_id"].as_str().unwrap().to_owned()
}

#[test]
fn incidents_are_listed_judged_compared_and_deleted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    recording::demo_incident(home).unwrap();
    let first = diagnosed(home, &["--method", "automap"]);
    let second = diagnosed(home, &["--method", "automap", "--front-end", "checkout"]);
    let listed = json(home, &["incidents", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["incident_id"], second.as_str(), "newest first");
    assert_eq!(listed[0]["status"], "open");

    let note = ["--metric", "cpu", "--note", "a loop", "--by", "ada"];
    let confirm = [&["incidents", "confirm", &first, "cart", "redis"][..], &note].concat();
    let wrong = run(home, &["incidents", "confirm", &first, "crat"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("did you mean cart?"), "{}", wrong.stderr);
    let services = json(home, &["incidents", "show", &first])["ranked_services"].clone();
    let other = services.as_array().unwrap().iter().find(|name| *name != "cart").unwrap().as_str().unwrap();
    let confirm: Vec<&str> = confirm.iter().map(|word| if *word == "redis" { other } else { word }).collect();
    let confirmed = json(home, &confirm);
    assert_eq!(confirmed["status"], "confirmed");
    assert_eq!(confirmed["root_causes"], serde_json::json!(["cart", other]));
    let judgement = &confirmed["confirmations"][0];
    assert_eq!(
        (&judgement["metric"], &judgement["note"], &judgement["by"]),
        (&"cpu".into(), &"a loop".into(), &"ada".into())
    );
    assert!(judgement["at"].as_f64().unwrap() > 1e9);
    assert_eq!(json(home, &["incidents", "list", "--confirmed"]).as_array().unwrap().len(), 1);

    let similar = json(home, &["incidents", "similar", &second, "--confirmed"]);
    assert_eq!(similar[0]["incident_id"], first.as_str());
    assert_eq!((&similar[0]["root_causes"][0], &similar[0]["metric"]), (&"cart".into(), &"cpu".into()));
    let told = run(home, &["incidents", "similar", &second]);
    assert!(told.stdout.contains(&format!("cart, {other} (cpu)")), "{}", told.stdout);

    let rejected = json(home, &["incidents", "reject", &first, "--note", "a load test"]);
    assert_eq!(rejected["status"], "rejected");
    assert_eq!(rejected["confirmations"].as_array().unwrap().len(), 2, "the history is kept");
    let shown = run(home, &["incidents", "show", &first]);
    assert!(shown.stdout.contains("ada: cart") && shown.stdout.contains("a load test"), "{}", shown.stdout);

    let mistyped = format!("{}x", &first[..first.len() - 1]);
    for arguments in [["incidents", "show", &mistyped], ["incidents", "delete", &first[..first.len() - 4]]] {
        let ended = run(home, &arguments);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("did you mean {first}?")), "{}", ended.stderr);
    }
    assert_eq!(run(home, &["incidents", "delete", &first]).code, 0);
    let left = run(home, &["incidents", "list"]);
    assert!(!left.stdout.contains(&first) && left.stdout.contains(&second), "{}", left.stdout);
}
