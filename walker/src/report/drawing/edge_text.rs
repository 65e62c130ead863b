//! What an edge tells, in words.

use automap_proto::edge_test::EdgeTest;

use super::picture::Edge;

/// Below this, p is told as less: no reader takes it for a measurement.
const LEAST_TOLD: f64 = 1e-12;

/// The metric types of an edge, and how sure it is where that is known.
pub fn metrics(edge: &Edge) -> String {
    let metrics = edge.metrics.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    match share(edge) {
        Some(share) => format!("{metrics} {share}"),
        None => metrics,
    }
}

/// The share of resamples in which it stands: `87 %`.
pub fn share(edge: &Edge) -> Option<String> {
    edge.confidence.map(|share| format!("{:.0} %", 100.0 * share))
}

/// Its tests, a line for each metric type: `cpu: p 0.001, at most 0.012 given none or one neighbour, 60 rows`.
pub fn tests(edge: &Edge) -> Vec<String> {
    let line = |test: &EdgeTest| {
        let given = test.largest_p_value.map_or_else(String::new, |largest| {
            format!(", at most {} given none or one neighbour", p_value(largest))
        });
        format!("{}: p {}{given}, {} rows", test.metric, p_value(test.p_value), test.samples)
    };
    edge.tests.iter().map(line).collect()
}

/// p as a person reads it.
pub fn p_value(p: f64) -> String {
    if p < LEAST_TOLD {
        format!("< {LEAST_TOLD:e}")
    } else if p < 0.001 {
        format!("{p:.1e}")
    } else {
        format!("{p:.3}")
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;

    use super::*;

    #[test]
    fn an_edge_tells_metrics_p_rows_and_share() {
        let test = |metric, p_value, samples, largest_p_value| EdgeTest {
            metric,
            p_value,
            samples,
            largest_p_value,
        };
        let edge = Edge {
            from: 0,
            to: 1,
            directed: true,
            metrics: vec![MetricKind::Latency, MetricKind::Cpu],
            walked: false,
            confidence: Some(0.874),
            tests: vec![
                test(MetricKind::Latency, 0.0, 60, Some(0.0123)),
                test(MetricKind::Cpu, 0.000_42, 48, None),
            ],
        };
        assert_eq!(metrics(&edge), "latency, cpu 87 %");
        assert_eq!(
            tests(&edge),
            [
                "latency: p < 1e-12, at most 0.012 given none or one neighbour, 60 rows",
                "cpu: p 4.2e-4, 48 rows"
            ]
        );
        let silent = Edge { tests: vec![], confidence: None, ..edge };
        assert_eq!((metrics(&silent), tests(&silent).len()), ("latency, cpu".to_owned(), 0));
    }
}
