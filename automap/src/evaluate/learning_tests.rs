//! From which incidents a diagnosis learns, on a set made so that learning shows.

use std::{collections::BTreeMap, fs, path::Path};

use automap_proto::method::Method;
use indicatif::ProgressBar;

use super::{
    case::{Case, Handicap, read_cases},
    contender::Contender,
    discover::datasets,
    learning::{Learning, by_time, outcomes},
};

const INCIDENTS: usize = 12;
/// So many confirmed incidents teach nothing yet.
const TOO_FEW: usize = 4;
const NORMAL_ROWS: usize = 40;
const INCIDENT_ROWS: usize = 10;
const STEP: usize = 10;

/// Incidents in which the memory of batch departs further than the cpu of db, which is always at fault: ranked wrongly until that
/// is learned. The later ones stand first.
fn misleading(home: &Path) -> Vec<Case> {
    for number in 0..INCIDENTS {
        let incident = home.join("shop").join(format!("{:02}", INCIDENTS - number));
        fs::create_dir_all(&incident).unwrap();
        let start = 100_000 * (number + 1);
        let mut metrics = String::from("timestamp,web_latency,batch_memory,db_cpu,mail_cpu\n");
        for row in 0..NORMAL_ROWS + INCIDENT_ROWS {
            metrics.push_str(&(start + STEP * row).to_string());
            for (series, departure) in [3.0, 40.0, 30.0, 0.0].into_iter().enumerate() {
                let noise = 0.2 * ((7 * row + 3 * series) % 11) as f64;
                let departed = if row < NORMAL_ROWS { 0.0 } else { departure };
                metrics.push_str(&format!(",{}", 100.0 + noise + departed));
            }
            metrics.push('\n');
        }
        fs::write(incident.join("metrics.csv"), metrics).unwrap();
        let anomaly_start = start + STEP * NORMAL_ROWS;
        let known = serde_json::json!({"system": "shop", "front_end": "web", "anomaly_start": anomaly_start});
        fs::write(incident.join("incident.json"), known.to_string()).unwrap();
        fs::write(incident.join("label.json"), r#"{"root_cause_services": ["db"]}"#).unwrap();
    }
    let handicap = Handicap { delay: 0.0, normal_window: None, shuffled_calls: None };
    let found = datasets(&[home.join("shop")]).unwrap();
    read_cases(&found, handicap, home).unwrap().remove(0).cases
}

/// Whom each incident was answered by, the earliest first.
async fn named(cases: &[Case], learning: Learning) -> Vec<Vec<String>> {
    let contender = Contender {
        name: "evidence, learned".into(),
        method: Method::Evidence,
        parameters: BTreeMap::new(),
        learns: true,
    };
    let found = outcomes(&contender, cases, learning, (0, 1), &ProgressBar::hidden()).await.unwrap();
    by_time(cases).into_iter().map(|index| found[index].first.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_rounds_an_incident_learns_from_earlier_ones_and_never_from_later_ones() {
    let home = tempfile::tempdir().unwrap();
    let cases = misleading(home.path());
    let in_rounds = named(&cases, Learning::Rounds).await;
    let (before, after) = in_rounds.split_at(TOO_FEW + 1);
    assert!(
        before.iter().all(|first| first == &["batch"]),
        "seven and more later ones could tell: {in_rounds:?}"
    );
    assert!(after.iter().all(|first| first == &["db"]), "five and more earlier ones tell: {in_rounds:?}");
    // What later incidents teach would show: told of them, the first are right.
    let told_of_all = named(&cases, Learning::LeaveOneOut).await;
    assert!(told_of_all.iter().all(|first| first == &["db"]), "{told_of_all:?}");
}
