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
            // Every server has it; the metrics that the expressions read are better, where they can be told.
            probe: "up".into(),
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

    /// How sentences name it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.name)
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
            || match known.iter().copied().collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => String::new(),
                there => format!("; there are {there}"),
            },
            |near| format!("; did you mean {near}?"),
        );
        let had = if name == NO_PRESET { "have" } else { "has" };
        Invalid::new(format!("{field}.{key}"), format!("{} {had} none of this name{hint}", shown(name)))
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

/// Whether the preset `name` has variables that can be set.
pub(crate) fn has_variables(name: &str) -> bool {
    let includes = |file: File| file.include.is_some_and(|base| has_variables(&base));
    read(name).is_ok_and(|file| !file.variables.is_empty() || includes(file))
}

/// How sentences name the preset `name`.
pub fn shown(name: &str) -> String {
    if name == NO_PRESET { "the given expressions".into() } else { format!("preset {name}") }
}

/// What can be asked in place of the preset `name`.
pub(crate) fn another(name: &str) -> &'static str {
    if name == NO_PRESET { "other expressions" } else { "another preset" }
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
mod tests;
