use std::fs;

use automap_proto::time::TimeWindow;

use super::*;

const METRICS: &str = "timestamp,web_cpu\n60,1\n120,2\n";

struct Recording(tempfile::TempDir);

impl Recording {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("shop-7");
        fs::create_dir(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        Self(root)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shop-7")
    }

    fn describe(&self) -> Result<RecordingFiles, CollectError> {
        describe_below(self.0.path(), "shop-7")
    }

    fn sentence(&self) -> String {
        self.describe().unwrap_err().to_string()
    }
}

#[test]
fn a_whole_incident_directory_completes_the_context() {
    let incident =
        r#"{"system": "shop", "front_end": "web", "anomaly_start": 100, "exclude_intervals": [[1, 2]]}"#;
    let recording = Recording::new(&[
        ("metrics.csv", METRICS),
        ("incident.json", incident),
        ("call_graph.csv", "caller,callee\nweb,cart\nweb,web\n"),
    ]);
    let files = recording.describe().unwrap();
    assert_eq!(files.layout, RecordingLayout::Automap);
    assert_eq!(files.warnings, ["shop-7/call_graph.csv: left out 1 call of a service to itself"]);
    let context = files.context.complete().unwrap().unwrap();
    assert_eq!((context.system(), context.front_end()), ("shop", "web"));
    assert_eq!(context.excluded(), [TimeWindow::new("", UnixMillis(1000), UnixMillis(2000)).unwrap()]);
    assert_eq!(context.call_graph().unwrap().calls().collect::<Vec<_>>(), [("web", "cart")]);
    assert_eq!(files.description().unwrap().file_name(), "shop-7/metrics.csv");
}

#[test]
fn the_system_defaults_to_the_name_of_the_directory() {
    let recording = Recording::new(&[("metrics.csv", METRICS)]);
    let files = recording.describe().unwrap();
    assert_eq!(files.context.system.as_deref(), Some("shop-7"));
    assert_eq!(files.context.complete(), Ok(None));
    let local = describe(&recording.path().join(".")).unwrap();
    assert_eq!(local.context.system.as_deref(), Some("shop-7"));
    assert!(files.system_guessed && local.system_guessed);
}

#[test]
fn a_lone_metrics_file_leaves_the_rest_to_the_caller() {
    let incident = r#"{"front_end": "web"}"#;
    let recording = Recording::new(&[("mine.csv", METRICS), ("incident.json", incident)]);
    let files = describe(&recording.path().join("mine.csv")).unwrap();
    assert_eq!(files.context.front_end, None);
    assert_eq!(files.context.system.as_deref(), Some("shop-7"));
    assert!(files.open().is_ok());
}

#[test]
fn a_directory_of_rcaeval_tells_when_the_fault_was_injected() {
    let recording = Recording::new(&[
        ("data.csv", "time,web_raw-total\n1,2\n"),
        ("simple_data.csv", "time,web_mem\n1,2\n"),
        ("inject_time.txt", "1692569339\n"),
    ]);
    for files in [recording.describe().unwrap(), describe(&recording.path().join("simple_data.csv")).unwrap()]
    {
        assert_eq!(files.layout, RecordingLayout::Rcaeval);
        assert_eq!(files.context.anomaly_start, Some(UnixMillis(1_692_569_339_000)));
        assert!(files.metrics_file().ends_with("simple_data.csv"));
    }
    fs::write(recording.path().join("inject_time.txt"), "soon").unwrap();
    assert_eq!(
        recording.sentence(),
        "shop-7/inject_time.txt: must hold the unix second of the injection and nothing else"
    );
}

#[test]
fn missing_files_are_named() {
    let recording = Recording::new(&[("label.json", "{}")]);
    let error = recording.describe().unwrap_err();
    assert_eq!(error.kind(), CollectErrorKind::NotFound);
    assert!(error.to_string().starts_with("shop-7 holds no metrics.csv"));
    let missing = describe(Path::new("/nowhere/incident")).unwrap_err();
    assert_eq!(missing.to_string(), "/nowhere/incident: there is no such file or directory");
}

#[test]
fn faults_of_side_files_name_file_and_place() {
    let faulty = |name, text| Recording::new(&[("metrics.csv", METRICS), (name, text)]).sentence();
    assert_eq!(
        faulty("incident.json", r#"{"anomaly_start": true}"#),
        "shop-7/incident.json: field `anomaly_start`: true is no time; use unix seconds or a time with its offset such as \
         2026-03-01T10:20:00Z"
    );
    assert_eq!(
        faulty("call_graph.csv", "caller,callee\na,\n"),
        "shop-7/call_graph.csv line 2: the callee is empty; write caller,callee"
    );
    assert_eq!(
        Recording::new(&[("metrics.csv", "")]).sentence(),
        "shop-7/metrics.csv is empty; its first line must name the columns"
    );
}

#[test]
fn the_label_is_no_metrics_file() {
    let recording = Recording::new(&[("label.json", "timestamp,web_cpu\n")]);
    let error = describe(&recording.path().join("label.json")).unwrap_err();
    assert!(error.to_string().contains("is the label of an incident"), "{error}");
}

#[test]
fn only_the_header_of_the_metrics_is_read() {
    let body = "timestamp,web_cpu\nthis is no row";
    assert!(Recording::new(&[("metrics.csv", body)]).describe().is_ok());
}

#[test]
fn a_step_that_no_grid_can_have_is_refused_by_field() {
    let mut files = Recording::new(&[("metrics.csv", METRICS)]).describe().unwrap();
    files.context.step_ms = Some(0);
    assert!(files.description().unwrap_err().to_string().contains("description.step_ms"));
}
