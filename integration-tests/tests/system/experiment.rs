//! Plans of experiments, and what is wrong with them.

use std::fs;

use automap_integration_tests::command;

#[test]
fn a_plan_tells_what_it_will_do_and_what_is_wrong_with_it() {
    let home = tempfile::tempdir().unwrap();
    let plan = command::run(home.path(), &["experiment", "plan"]).unwrap();
    fs::write(home.path().join("plan.toml"), &plan.stdout).unwrap();
    let schedule = ["experiment", "plan", "--schedule", "--plan", "plan.toml"];
    let told = command::run(home.path(), &schedule).unwrap();
    assert_eq!(told.stdout, command::run(home.path(), &schedule[..3]).unwrap().stdout);
    assert_eq!(told.stdout.lines().count(), 17, "{}", told.stdout);
    assert!(
        told.stdout.ends_with("16 rounds of 182 s: 49 min, and what the diagnoses take\n"),
        "{}",
        told.stdout
    );

    fs::write(home.path().join("plan.toml"), "rounds = 4\n[[faults]]\nkind = \"network-dely\"\n").unwrap();
    let wrong =
        command::run(home.path(), &["experiment", "run", "--plan", "plan.toml", "--out", "run"]).unwrap();
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("network-dely") && wrong.stderr.contains("plan.toml"), "{}", wrong.stderr);
    assert!(!home.path().join("run").exists(), "nothing was begun");
    let nowhere = command::run(home.path(), &["experiment", "report", "run"]).unwrap();
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("automap experiment run"), "{}", nowhere.stderr);
}
