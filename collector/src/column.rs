//! What a column of a metrics file means.

use automap_proto::{
    frame::{SeriesKey, check_name},
    invalid::did_you_mean,
    metric::MetricKind,
};

use crate::layout::RecordingLayout;

/// What a column means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnMeaning {
    /// A series of the frame.
    Series(SeriesKey),
    /// Failed requests of a service per unit time (RCAEval). Becomes availability where throughput is there.
    FailedRequests {
        /// Whose.
        service: String,
    },
}

/// Why a column is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// Its name is not `<service>_<metric>`, or the metric is none of the known ones.
    Unknown {
        /// The metric name that was likely meant.
        near: Option<&'static str>,
    },
    /// It holds what is derived from other columns.
    Derived,
}

/// Metric names and the type that each belongs to. A name that ends with `*` may be followed by anything.
type Vocabulary = &'static [(&'static str, MetricKind)];

const AUTOMAP: Vocabulary = &[
    ("latency", MetricKind::Latency),
    ("latency-*", MetricKind::Latency),
    ("client-latency", MetricKind::Latency),
    ("client-latency-*", MetricKind::Latency),
    ("throughput", MetricKind::Throughput),
    ("throughput-*", MetricKind::Throughput),
    ("congestion", MetricKind::Congestion),
    ("congestion-*", MetricKind::Congestion),
    ("cpu", MetricKind::Cpu),
    ("cpu-*", MetricKind::Cpu),
    ("memory", MetricKind::Memory),
    ("memory-*", MetricKind::Memory),
    ("mem", MetricKind::Memory),
    ("io", MetricKind::Io),
    ("io-*", MetricKind::Io),
    ("net-rx", MetricKind::Io),
    ("net-tx", MetricKind::Io),
    ("disk-*", MetricKind::Io),
    ("availability", MetricKind::Availability),
    ("availability-*", MetricKind::Availability),
];

const RCAEVAL: Vocabulary = &[
    ("latency", MetricKind::Latency),
    ("latency-*", MetricKind::Latency),
    ("workload", MetricKind::Throughput),
    ("load", MetricKind::Throughput),
    ("cpu", MetricKind::Cpu),
    ("mem", MetricKind::Memory),
    ("diskio", MetricKind::Io),
    ("socket", MetricKind::Io),
    ("error", MetricKind::Availability),
];

/// Series that carry the plain name of their type although the column is named otherwise.
const PLAIN: [&str; 3] = ["mem", "workload", "load"];

/// Reads the name of a column: `<service>_<metric>`, split at the last underscore, so that services may have
/// underscores and metrics have none.
///
/// `mem` and RCAEval's `workload` and `load` (its older files) become the plain `memory` and `throughput`; every
/// other series keeps its name.
pub(crate) fn read_column(layout: RecordingLayout, column: &str) -> Result<ColumnMeaning, LeftOut> {
    let unknown = |near| Err(LeftOut::Unknown { near });
    let Some((service, metric_name)) = column.rsplit_once('_') else {
        return unknown(None);
    };
    if check_name("service", service).is_err() || check_name("metric", metric_name).is_err() {
        return unknown(None);
    }
    let vocabulary = match layout {
        RecordingLayout::Automap => AUTOMAP,
        RecordingLayout::Rcaeval => RCAEVAL,
    };
    let Some(&(_, metric)) = vocabulary.iter().find(|(pattern, _)| matches(pattern, metric_name)) else {
        let names = vocabulary.iter().map(|&(pattern, _)| pattern);
        return unknown(did_you_mean(metric_name, names.filter(|pattern| !pattern.ends_with('*'))));
    };
    match (layout, metric) {
        (_, MetricKind::Congestion) => Err(LeftOut::Derived),
        (RecordingLayout::Rcaeval, MetricKind::Availability) => {
            Ok(ColumnMeaning::FailedRequests { service: service.into() })
        }
        _ => {
            let name = if PLAIN.contains(&metric_name) { metric.name() } else { metric_name };
            Ok(ColumnMeaning::Series(SeriesKey { service: service.into(), metric, name: name.into() }))
        }
    }
}

/// The metric type that a series of this name belongs to; `None` for names that no recording may have, and for congestion,
/// which is derived.
#[cfg(feature = "serve")]
pub(crate) fn metric_of(name: &str) -> Option<MetricKind> {
    let (_, metric) = AUTOMAP.iter().find(|(pattern, _)| matches(pattern, name))?;
    let fits = *metric != MetricKind::Congestion && !name.contains('_') && check_name("metric", name).is_ok();
    fits.then_some(*metric)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.strip_prefix(prefix).is_some_and(|suffix| !suffix.is_empty()),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(layout: RecordingLayout, column: &str) -> (String, MetricKind, String) {
        match read_column(layout, column) {
            Ok(ColumnMeaning::Series(key)) => (key.service, key.metric, key.name),
            other => panic!("{column}: {other:?}"),
        }
    }

    #[test]
    fn metric_names_of_automap_belong_to_their_types() {
        for (metric_name, kind) in [
            ("latency", MetricKind::Latency),
            ("latency-p99", MetricKind::Latency),
            ("client-latency", MetricKind::Latency),
            ("client-latency-p50", MetricKind::Latency),
            ("throughput", MetricKind::Throughput),
            ("throughput-grpc", MetricKind::Throughput),
            ("cpu-throttled", MetricKind::Cpu),
            ("memory-rss", MetricKind::Memory),
            ("io", MetricKind::Io),
            ("io-read", MetricKind::Io),
            ("net-rx", MetricKind::Io),
            ("net-tx", MetricKind::Io),
            ("disk-writes", MetricKind::Io),
            ("availability", MetricKind::Availability),
        ] {
            let column = format!("cart_{metric_name}");
            let expected = ("cart".into(), kind, metric_name.into());
            assert_eq!(series(RecordingLayout::Automap, &column), expected);
        }
        let memory = ("cart".into(), MetricKind::Memory, "memory".into());
        assert_eq!(series(RecordingLayout::Automap, "cart_mem"), memory);
    }

    #[test]
    fn names_split_at_the_last_underscore() {
        let (service, _, _) = series(RecordingLayout::Automap, "my_cart_v2_cpu");
        assert_eq!(service, "my_cart_v2");
    }

    #[test]
    fn metric_names_of_rcaeval_belong_to_their_types() {
        for (metric_name, kind, name) in [
            ("cpu", MetricKind::Cpu, "cpu"),
            ("mem", MetricKind::Memory, "memory"),
            ("diskio", MetricKind::Io, "diskio"),
            ("socket", MetricKind::Io, "socket"),
            ("workload", MetricKind::Throughput, "throughput"),
            ("load", MetricKind::Throughput, "throughput"),
            ("latency", MetricKind::Latency, "latency"),
            ("latency-50", MetricKind::Latency, "latency-50"),
            ("latency-99", MetricKind::Latency, "latency-99"),
        ] {
            let column = format!("carts-db_{metric_name}");
            let expected = ("carts-db".into(), kind, name.into());
            assert_eq!(series(RecordingLayout::Rcaeval, &column), expected);
        }
        assert_eq!(
            read_column(RecordingLayout::Rcaeval, "carts_error"),
            Ok(ColumnMeaning::FailedRequests { service: "carts".into() })
        );
    }

    #[test]
    fn columns_without_a_known_meaning_are_left_out_with_a_hint() {
        let left_out = |column: &str| read_column(RecordingLayout::Automap, column).unwrap_err();
        assert_eq!(left_out("cart_congestion"), LeftOut::Derived);
        assert_eq!(left_out("cart_latancy"), LeftOut::Unknown { near: Some("latency") });
        assert_eq!(left_out("cart_io-"), LeftOut::Unknown { near: Some("io") });
        let nothing_near = LeftOut::Unknown { near: None };
        for column in ["", "cpu", "_cpu", "cart_", "cart_zzz", "a\u{7}_cpu"] {
            assert_eq!(left_out(column), nothing_near, "{column:?}");
        }
        assert_eq!(left_out(&format!("{}_cpu", "x".repeat(254))), nothing_near);
    }
}
