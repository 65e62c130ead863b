//! How surely the ends of an edge depend on each other in one metric type.

use crate::{invalid::Invalid, metric::MetricKind, v1};

/// What the conditional independence tests of a pair of services found in one metric type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeTest {
    /// The metric type.
    pub metric: MetricKind,
    /// p of the test given nothing, 0 to 1.
    pub p_value: f64,
    /// Rows in which both services have a value, at least 1.
    pub samples: u32,
    /// Largest p of the tests given nothing and given one neighbour of either service, `p_value` to 1; `None` where it was
    /// not computed.
    pub largest_p_value: Option<f64>,
}

impl From<&EdgeTest> for v1::EdgeTest {
    fn from(test: &EdgeTest) -> Self {
        Self {
            metric: test.metric.to_wire().into(),
            p_value: test.p_value,
            samples: test.samples,
            largest_p_value: test.largest_p_value,
        }
    }
}

/// Decodes the metric types of tests; [`check`] looks at the rest.
pub(crate) fn from_wire(tests: &[v1::EdgeTest]) -> Result<Vec<EdgeTest>, Invalid> {
    tests
        .iter()
        .enumerate()
        .map(|(index, test)| {
            Ok(EdgeTest {
                metric: MetricKind::from_wire(&format!("tests[{index}].metric"), test.metric)?,
                p_value: test.p_value,
                samples: test.samples,
                largest_p_value: test.largest_p_value,
            })
        })
        .collect()
}

/// Whether these may be the tests of one pair; fields are named from `tests` on.
pub(crate) fn check(tests: &[EdgeTest]) -> Result<(), Invalid> {
    for (index, test) in tests.iter().enumerate() {
        let wrong =
            |field: &str, problem: String| Err(Invalid::new(format!("tests[{index}].{field}"), problem));
        if index > 0 && tests[index - 1].metric.index() >= test.metric.index() {
            return wrong("metric", format!("{} does not come after the one before it", test.metric));
        }
        if !(0.0..=1.0).contains(&test.p_value) {
            return wrong("p_value", format!("is {}; must lie between 0 and 1", test.p_value));
        }
        if test.samples == 0 {
            return wrong("samples", "is zero; a test is made of rows".into());
        }
        if let Some(largest) = test.largest_p_value
            && !(test.p_value..=1.0).contains(&largest)
        {
            return wrong("largest_p_value", format!("is {largest}; must lie between p_value and 1"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(metric: MetricKind) -> EdgeTest {
        EdgeTest { metric, p_value: 0.01, samples: 60, largest_p_value: Some(0.03) }
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let good = test(MetricKind::Cpu);
        assert_eq!(check(&[test(MetricKind::Latency), good]), Ok(()));
        assert_eq!(check(&[EdgeTest { p_value: 0.0, largest_p_value: Some(1.0), ..good }]), Ok(()));
        let cases = [
            (EdgeTest { metric: MetricKind::Latency, ..good }, "tests[1].metric"),
            (EdgeTest { metric: MetricKind::Throughput, ..good }, "tests[1].metric"),
            (EdgeTest { p_value: f64::NAN, ..good }, "tests[1].p_value"),
            (EdgeTest { p_value: -f64::MIN_POSITIVE, ..good }, "tests[1].p_value"),
            (EdgeTest { p_value: 1.0 + f64::EPSILON, ..good }, "tests[1].p_value"),
            (EdgeTest { samples: 0, ..good }, "tests[1].samples"),
            (EdgeTest { largest_p_value: Some(f64::NAN), ..good }, "tests[1].largest_p_value"),
            (EdgeTest { largest_p_value: Some(0.009), ..good }, "tests[1].largest_p_value"),
            (EdgeTest { largest_p_value: Some(f64::INFINITY), ..good }, "tests[1].largest_p_value"),
        ];
        for (second, field) in cases {
            let found = check(&[test(MetricKind::Throughput), second]).unwrap_err();
            assert_eq!(found.field(), field);
        }
    }

    #[test]
    fn unknown_metric_types_are_refused_and_known_ones_survive_the_wire() {
        let good = test(MetricKind::Memory);
        let wire = v1::EdgeTest::from(&good);
        assert_eq!(from_wire(&[wire]), Ok(vec![good]));
        let unknown = v1::EdgeTest { metric: 8, ..wire };
        assert_eq!(from_wire(&[wire, unknown]).unwrap_err().field(), "tests[1].metric");
    }
}
