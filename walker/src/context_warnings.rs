//! What a person should know of an incident's data before trusting the answer.

use automap_proto::{
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::did_you_mean,
};

/// Whether any series of a service has a sample in `rows`.
fn has_sample(frame: &MetricFrame, service: usize, rows: &[usize]) -> bool {
    frame.series_of(service).any(|series| rows.iter().any(|&row| !frame.values()[[series, row]].is_nan()))
}

/// Exclusions that were ignored, services that fell silent, and what is odd about the call graph. O(samples).
pub(crate) fn context_warnings(
    frame: &MetricFrame,
    context: &IncidentContext,
    rows: &WindowRows,
) -> Vec<String> {
    let mut warnings: Vec<String> = rows.warning().into_iter().collect();
    let fell_silent: Vec<&str> = (0..frame.services().len())
        .filter(|&service| {
            has_sample(frame, service, &rows.normal) && !has_sample(frame, service, &rows.incident)
        })
        .map(|service| frame.services()[service].as_str())
        .collect();
    if !fell_silent.is_empty() {
        warnings.push(format!("no samples during the incident, perhaps down: {}", fell_silent.join(", ")));
    }
    if let Some(calls) = context.call_graph() {
        if calls.self_calls() > 0 {
            warnings.push(format!(
                "{} of a service to itself left out of the call graph",
                if calls.self_calls() == 1 {
                    "1 call".to_owned()
                } else {
                    format!("{} calls", calls.self_calls())
                }
            ));
        }
        let silent: Vec<&str> =
            calls.services().into_iter().filter(|name| frame.service_index(name).is_none()).collect();
        if !silent.is_empty() {
            let hint = did_you_mean(silent[0], frame.services().iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            warnings.push(format!(
                "services of the call graph without metrics rank without evidence: {}, such as {}{hint}",
                silent.len(),
                silent[0]
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use automap_proto::{call_graph::CallGraph, metric::MetricKind, time::UnixMillis};
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    fn warnings(calls: &[(&str, &str)]) -> Vec<String> {
        let series = |service: &'static str, last: f64| TestSeries {
            service,
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: Array1::from(vec![1.0, 2.0, 1.0, last, last]),
        };
        let frame = frame_of(&[series("cart", 3.0), series("web", 2.0), series("db", f64::NAN)]);
        let pairs = calls.iter().map(|(caller, callee)| ((*caller).to_owned(), (*callee).to_owned()));
        let calls = CallGraph::new(pairs).unwrap();
        let context = IncidentContext::new("shop", "web", UnixMillis(0), None, vec![], Some(calls)).unwrap();
        let rows = WindowRows { normal: vec![0, 1, 2], incident: vec![3, 4], exclusions_ignored: false };
        context_warnings(&frame, &context, &rows)
    }

    #[test]
    fn names_of_the_call_graph_that_have_no_metrics_are_told_with_the_nearest_that_has() {
        let found = warnings(&[("web", "crt"), ("web", "payments")]);
        assert_eq!(
            found[1],
            "services of the call graph without metrics rank without evidence: 2, such as crt; did you mean cart?"
        );
        let found = warnings(&[("web", "payments")]);
        assert!(found[1].ends_with("such as payments"), "nothing is near: {found:?}");
        assert_eq!(warnings(&[("web", "cart")]).len(), 1);
    }

    #[test]
    fn services_that_fell_silent_and_calls_to_oneself_are_told() {
        let found = warnings(&[("web", "web"), ("web", "cart")]);
        assert!(found[0] == "no samples during the incident, perhaps down: db", "{found:?}");
        assert!(found[1].starts_with("1 call of a service to itself"), "{found:?}");
    }
}
