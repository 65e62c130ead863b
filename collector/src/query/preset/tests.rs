use super::*;

fn overrides(of: &str, key: &str, text: &str) -> Overrides {
    let map = BTreeMap::from([(key.to_owned(), text.to_owned())]);
    let empty = Overrides::default();
    match of {
        "expressions" => Overrides { expressions: map, ..empty },
        "labels" => Overrides { labels: map, ..empty },
        _ => Overrides { variables: map, ..empty },
    }
}

#[test]
fn every_preset_can_be_read_and_leaves_only_the_window_open() {
    for name in names() {
        let preset = Preset::new(name, &Overrides::default()).unwrap();
        assert!(preset.series.len() >= 5, "{name}");
        let edges = preset.edges.iter().flat_map(|edges| edges.queries.iter().map(|(_, text, _)| text));
        for text in preset.series.iter().map(|query| &query.expression).chain(edges) {
            let rest = text.replace("$window", "").replace("\"$1\"", "");
            assert!(!rest.contains('$'), "{name}: {text}");
        }
        assert!(!preset.probe.contains('$') && !preset.series[0].label.contains('$'), "{name}");
    }
}

#[test]
fn an_included_preset_adds_what_is_not_there_with_its_own_label() {
    let preset = Preset::new("istio", &Overrides::default()).unwrap();
    let label = |name: &str| preset.series.iter().find(|query| query.name == name).unwrap().label.clone();
    assert_eq!(label("cpu"), "workload");
    assert_eq!(label("latency"), "destination_workload");
    let availability = preset.series.iter().find(|query| query.name == "availability").unwrap();
    assert!(availability.expression.contains("istio_requests_total"));
}

#[test]
fn expressions_are_replaced_added_and_left_out() {
    let with = |key: &str, text: &str| Preset::new("pymicro", &overrides("expressions", key, text)).unwrap();
    let find = |preset: Preset, name: &str| preset.series.into_iter().find(|query| query.name == name);
    assert_eq!(find(with("cpu", "my_cpu"), "cpu").unwrap().expression, "my_cpu");
    let added = find(with("latency-p99", "my_p99"), "latency-p99").unwrap();
    assert_eq!(
        (added.metric, added.unit, added.label.as_str()),
        (MetricKind::Latency, Unit::Seconds, "service")
    );
    assert!(find(with("io", ""), "io").is_none());
    let labelled = Preset::new("pymicro", &overrides("labels", "cpu", "container")).unwrap();
    assert_eq!(find(labelled.clone(), "cpu").unwrap().label, "container");
    assert_eq!(find(labelled, "io").unwrap().label, "service");
    for preset in ["kubernetes", "pymicro"] {
        let narrowed = Preset::new(preset, &overrides("variables", "namespace", "shop")).unwrap();
        for query in narrowed.series {
            assert!(query.expression.contains("namespace=~\"shop\""), "{preset}: {}", query.expression);
        }
    }
}

#[test]
fn samples_are_seen_by_the_expressions_in_force() {
    let probe = |text: &str| {
        let mut given = overrides("expressions", "cpu", text);
        given.expressions.insert("io".into(), String::new());
        Preset::new("node-exporter", &given).unwrap().probe
    };
    let own = Preset::new("node-exporter", &Overrides::default()).unwrap().probe;
    assert_eq!(probe("sum by (app) (app_cpu)"), "app_cpu");
    assert_eq!(probe("rate(a_total{x=\"y\"}[$window]) / b"), "{__name__=~\"a_total|b\"}");
    assert_eq!(probe("vector(1)"), own, "it names none");
    assert_eq!(probe(""), own, "it is left out");
}

#[test]
fn expressions_need_no_preset_where_a_label_names_the_service() {
    let mut given = overrides("expressions", "cpu", "app_cpu");
    let error = Preset::of_expressions(&given).unwrap_err();
    assert_eq!(error.field(), "labels.cpu", "{error}");
    given.labels.insert("default".into(), "app".into());
    let preset = Preset::of_expressions(&given).unwrap();
    assert_eq!(
        (preset.series.len(), preset.series[0].label.as_str(), preset.probe.as_str()),
        (1, "app", "app_cpu")
    );
    for unnamed in ["{\"app.cpu\"}", "{__name__=~\"app_.*\"}"] {
        given.expressions.insert("cpu".into(), unnamed.into());
        assert_eq!(
            Preset::of_expressions(&given).unwrap().probe,
            "up",
            "no metric can be told from {unnamed}"
        );
    }
    given.variables.insert("namespace".into(), "shop".into());
    assert_eq!(
        Preset::of_expressions(&given).unwrap_err().to_string(),
        "field `variables.namespace`: the given expressions have none of this name"
    );
    assert_eq!(Preset::of_expressions(&Overrides::default()).unwrap_err().field(), "expressions");
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let error = Preset::new("kubernets", &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "field `preset`: kubernets is no preset; did you mean kubernetes?");
    let refused = |of: &str, key: &str, text: &str| {
        Preset::new("pymicro", &overrides(of, key, text)).unwrap_err().to_string()
    };
    assert!(refused("expressions", "latancy", "x").contains("is no name of a series"));
    assert!(refused("labels", "cpus", "x").contains("did you mean cpu?"));
    assert!(refused("variables", "namespce", "x").contains("did you mean namespace?"));
    assert!(refused("expressions", "cpu", "x{$nothing}").contains("$nothing"));
}
