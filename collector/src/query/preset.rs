//! Presets: one expression per series, the label that names the service, and the unit. They are small files beside the
//! code; a user overrides any expression.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    invalid::{Invalid, did_you_mean},
    metric::MetricKind,
};
use figment::{
    Figment,
    providers::{Format as _, Toml},
};
use serde::Deserialize;

use super::{metric_names::metric_names, unit::Unit, variables};
use crate::column::metric_of;

/// The files, by name.
const FILES: [(&str, &str); 6] = [
    ("istio", include_str!("../../presets/istio.toml")),
    ("kubernetes", include_str!("../../presets/kubernetes.toml")),
    ("linkerd", include_str!("../../presets/linkerd.toml")),
    ("node-exporter", include_str!("../../presets/node-exporter.toml")),
    ("opentelemetry", include_str!("../../presets/opentelemetry.toml")),
    ("pymicro", include_str!("../../presets/pymicro.toml")),
];

/// What a person changes of a preset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Expressions by the name of the series; one that the preset does not have is added, an empty one is left out.
    pub expressions: BTreeMap<String, String>,
    /// Units of these expressions, where they differ from the preset's; of an added one, that of its metric.
    pub units: BTreeMap<String, Unit>,
    /// Labels that name the service, by the name of the series; `default` stands for all others.
    pub labels: BTreeMap<String, String>,
    /// Variables of the preset.
    pub variables: BTreeMap<String, String>,
}

/// One series of every service: a query.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuery {
    /// Name of the series: `latency`, `net-rx`.
    pub name: String,
    /// The metric type it belongs to.
    pub metric: MetricKind,
    /// PromQL, all variables replaced but `$window`.
    pub expression: String,
    /// The label whose value is the service.
    pub label: String,
    /// What the values are measured in.
    pub unit: Unit,
}

/// What the calls between two services are asked with.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeQueries {
    /// The label whose value calls.
    pub caller: String,
    /// The label whose value is called.
    pub callee: String,
    /// Expression and unit of latency, throughput and availability, each where there is one.
    pub queries: Vec<(MetricKind, String, Unit)>,
}

/// A preset, resolved: nothing but `$window` is left to be filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// What it reads, in a sentence.
    pub description: String,
    /// A selector of raw series, by whose samples the scrape interval is seen.
    pub probe: String,
    /// The series, by metric type and name.
    pub series: Vec<SeriesQuery>,
    /// Who calls whom, where the source knows.
    pub edges: Option<EdgeQueries>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    include: Option<String>,
    label: String,
    probe: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    series: BTreeMap<String, Query>,
    edges: Option<Edges>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    expression: String,
    unit: Unit,
    label: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edges {
    caller: String,
    callee: String,
    latency: Option<Query>,
    throughput: Option<Query>,
    availability: Option<Query>,
}

/// Name of a preset that has no expressions but those that it is given.
const NO_PRESET: &str = "none";

/// Names of all presets, sorted.
pub fn names() -> [&'static str; FILES.len()] {
    FILES.map(|(name, _)| name)
}

impl Preset {
    /// The preset `name` with what a person changed of it.
    ///
    /// # Errors
    /// There is no such preset, or a change names a series or variable that cannot be.
    pub fn new(name: &str, overrides: &Overrides) -> Result<Self, Invalid> {
        let mut file = read(name)?;
        if let Some(included) = file.include.take() {
            let base = read(&included)?;
            for (series, query) in base.series {
                let label = query.label.clone().unwrap_or_else(|| base.label.clone());
                file.series.entry(series).or_insert(Query { label: Some(label), ..query });
            }
            for (variable, text) in base.variables {
                file.variables.entry(variable).or_insert(text);
            }
        }
        apply(&mut file, name, overrides)?;
        Ok(resolve(name, file)?.seen_by(overrides))
    }

    /// What has no expressions but those of `overrides`.
    ///
    /// # Errors
    /// It has none, no label names the service, or a series cannot be.
    pub fn of_expressions(overrides: &Overrides) -> Result<Self, Invalid> {
        let mut file = File {
            description: "expressions that were given".into(),
            include: None,
            label: String::new(),
            probe: String::new(),
            variables: BTreeMap::new(),
            series: BTreeMap::new(),
            edges: None,
        };
        apply(&mut file, NO_PRESET, overrides)?;
        let preset = resolve(NO_PRESET, file)?.seen_by(overrides);
        match preset.series.iter().find(|query| query.label.is_empty()) {
            Some(query) => Err(Invalid::new(
                format!("labels.{}", query.name),
                "is missing: without a preset, say which label names the service; default=LABEL is that of all series",
            )),
            None => Ok(preset),
        }
    }

    /// The same whose samples are seen by the metrics that replaced expressions read: those of the preset may not be there.
    fn seen_by(self, overrides: &Overrides) -> Self {
        let given = |query: &&SeriesQuery| overrides.expressions.contains_key(&query.name);
        let names: BTreeSet<String> =
            self.series.iter().filter(given).flat_map(|query| metric_names(&query.expression)).collect();
        let names: Vec<String> = names.into_iter().collect();
        match names.as_slice() {
            [] => self,
            [name] => Self { probe: name.clone(), ..self },
            _ => Self { probe: format!("{{__name__=~\"{}\"}}", names.join("|")), ..self },
        }
    }
}

fn read(name: &str) -> Result<File, Invalid> {
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        let hint = did_you_mean(name, names()).map_or_else(
            || format!("; there are {}", names().join(", ")),
            |near| format!("; did you mean {near}?"),
        );
        return Err(Invalid::new("preset", format!("{name} is no preset{hint}")));
    };
    Figment::from(Toml::string(text))
        .extract()
        .map_err(|error| Invalid::new("preset", format!("{name} cannot be read: {error}")))
}

fn apply(file: &mut File, name: &str, overrides: &Overrides) -> Result<(), Invalid> {
    let unknown = |field: &str, key: &str, known: &BTreeSet<&str>| {
        let hint = did_you_mean(key, known.iter().copied()).map_or_else(
            || format!("; there are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
            |near| format!("; did you mean {near}?"),
        );
        Invalid::new(format!("{field}.{key}"), format!("preset {name} has none of this name{hint}"))
    };
    for (variable, text) in &overrides.variables {
        let known: BTreeSet<&str> = file.variables.keys().map(String::as_str).collect();
        if !known.contains(variable.as_str()) {
            return Err(unknown("variables", variable, &known));
        }
        file.variables.insert(variable.clone(), text.clone());
    }
    for (series, expression) in &overrides.expressions {
        if expression.trim().is_empty() {
            file.series.remove(series);
            continue;
        }
        let metric = metric_of(series).ok_or_else(|| {
            Invalid::new(
                format!("expressions.{series}"),
                "is no name of a series: use latency, throughput, cpu, io, memory, availability, or one with a variant \
                 behind, such as latency-p99, client-latency, io-read, net-rx",
            )
        })?;
        match file.series.get_mut(series) {
            Some(query) => query.expression.clone_from(expression),
            None => {
                let query = Query { expression: expression.clone(), unit: natural_unit(metric), label: None };
                file.series.insert(series.clone(), query);
            }
        }
    }
    let known: BTreeSet<String> = file.series.keys().cloned().collect();
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    for (series, unit) in &overrides.units {
        let query = file.series.get_mut(series).ok_or_else(|| unknown("units", series, &known))?;
        query.unit = *unit;
    }
    for (series, label) in &overrides.labels {
        if series == "default" {
            file.label.clone_from(label);
            file.series.values_mut().for_each(|query| query.label = None);
        }
    }
    for (series, label) in overrides.labels.iter().filter(|(series, _)| *series != "default") {
        let query = file.series.get_mut(series).ok_or_else(|| unknown("labels", series, &known))?;
        query.label = Some(label.clone());
    }
    Ok(())
}

fn resolve(name: &str, file: File) -> Result<Preset, Invalid> {
    let File { description, label, probe, variables, series, edges, .. } = file;
    let filled = |field: String, text: &str| variables::fill(&field, text, &variables);
    let mut queries = Vec::with_capacity(series.len());
    for (series, query) in series {
        let metric = metric_of(&series).ok_or_else(|| {
            Invalid::new("preset", format!("{name} has a series {series} of no metric type"))
        })?;
        queries.push(SeriesQuery {
            metric,
            expression: filled(format!("expressions.{series}"), &query.expression)?,
            label: filled(format!("labels.{series}"), query.label.as_deref().unwrap_or(&label))?,
            unit: query.unit,
            name: series,
        });
    }
    if queries.is_empty() {
        return Err(Invalid::new("expressions", "leave nothing to ask; keep at least one"));
    }
    queries.sort_by(|one, other| (one.metric, &one.name).cmp(&(other.metric, &other.name)));
    let edges = edges
        .map(|edges| {
            let named = [
                (MetricKind::Latency, edges.latency),
                (MetricKind::Throughput, edges.throughput),
                (MetricKind::Availability, edges.availability),
            ];
            let queries = named
                .into_iter()
                .filter_map(|(metric, query)| query.map(|query| (metric, query)))
                .map(|(metric, query)| {
                    let expression = filled(format!("edges.{metric}"), &query.expression)?;
                    Ok((metric, expression, query.unit))
                })
                .collect::<Result<_, Invalid>>()?;
            Ok(EdgeQueries {
                caller: filled("edges.caller".into(), &edges.caller)?,
                callee: filled("edges.callee".into(), &edges.callee)?,
                queries,
            })
        })
        .transpose()?;
    Ok(Preset {
        name: name.into(),
        description,
        probe: filled("probe".into(), &probe)?,
        series: queries,
        edges,
    })
}

/// The unit of a frame for a metric.
const fn natural_unit(metric: MetricKind) -> Unit {
    match metric {
        MetricKind::Latency => Unit::Seconds,
        MetricKind::Throughput | MetricKind::Congestion | MetricKind::Io => Unit::PerSecond,
        MetricKind::Cpu => Unit::Cores,
        MetricKind::Memory => Unit::Bytes,
        MetricKind::Availability => Unit::Fraction,
    }
}

#[cfg(test)]
mod tests {
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
        let with =
            |key: &str, text: &str| Preset::new("pymicro", &overrides("expressions", key, text)).unwrap();
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
        let narrowed = Preset::new("kubernetes", &overrides("variables", "namespace", "shop")).unwrap();
        assert!(find(narrowed, "cpu").unwrap().expression.contains("namespace=~\"shop\""));
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
        assert!(refused("variables", "namespace", "x").contains("preset pymicro has none"));
        assert!(refused("expressions", "cpu", "x{$nothing}").contains("$nothing"));
    }
}
