//! Which services lacked which metric during the incident, as a table.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::metric::MetricKind;
use maud::{Markup, html};

use super::answer::Answer;

/// Services up to which the table is open from the start.
const SHORT: usize = 12;

/// What was missing. Services without any gap are left out; the others stand in the order of their ranks.
struct Gaps<'a> {
    /// Metric types that some services have and others lack.
    metrics: Vec<MetricKind>,
    /// What each of them lacks.
    services: Vec<(&'a str, BTreeSet<MetricKind>)>,
    /// Metric types that nobody has.
    of_all: Vec<MetricKind>,
}

impl<'a> Gaps<'a> {
    fn of(answer: &'a Answer) -> Self {
        let (mut metrics, mut of_all) = (Vec::new(), Vec::new());
        let mut lacking: BTreeMap<&str, BTreeSet<MetricKind>> = BTreeMap::new();
        for gap in &answer.wire.coverage {
            let Ok(metric) = MetricKind::from_wire("metric", gap.metric) else { continue };
            if gap.services == 0 {
                of_all.push(metric);
                continue;
            }
            metrics.push(metric);
            for service in &gap.lacking {
                lacking.entry(service).or_default().insert(metric);
            }
        }
        let ranks: BTreeMap<&str, u32> =
            answer.ranking.services().iter().map(|ranked| (ranked.service.as_str(), ranked.rank)).collect();
        let mut services: Vec<_> = lacking.into_iter().collect();
        services.sort_by_key(|(service, _)| ranks.get(service).copied().unwrap_or(u32::MAX));
        Self { metrics, services, of_all }
    }
}

/// The table of at most `most` services, folded where it is long, with what follows where there are more. Nothing where
/// nothing was missing.
pub fn table(answer: &Answer, most: usize, more: &Markup) -> Markup {
    let Gaps { metrics, services, of_all } = Gaps::of(answer);
    let of_all: Vec<&str> = of_all.iter().map(|metric| metric.name()).collect();
    let few = services.len() <= SHORT;
    html! {
        @if !services.is_empty() || !of_all.is_empty() {
            h2 id="gaps" { "Missing metrics" }
            @if !of_all.is_empty() { p { "No service had samples of " (of_all.join(", ")) " during the incident." } }
            @if !services.is_empty() {
                details.printed open[few] {
                    summary { (services.len()) @if services.len() == 1 { " service lacked" } @else { " services lacked" } " metrics that others had" }
                    div.wide tabindex="0" role="group" aria-label="Services that lacked metrics, which scrolls" { table {
                        caption.small { "Samples during the incident" }
                        thead { tr { th scope="col" { "service" } @for metric in &metrics { th scope="col" { (metric.name()) } } } }
                        tbody {
                            @for (service, lacks) in services.iter().take(most) {
                                tr {
                                    th scope="row" { (service) }
                                    @for metric in &metrics {
                                        @if lacks.contains(metric) { td.lacks { "none" } } @else { td { "some" } }
                                    }
                                }
                            }
                        }
                    } }
                    @if services.len() > most { p.small { (services.len() - most) " more services. " (more) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::v1;

    use super::*;

    fn answer(coverage: Vec<v1::MetricGap>) -> Answer {
        let names = ["db", "<b>cart", "web"];
        let ranking = (1..).zip(names).map(|(rank, name)| v1::RankedService {
            rank,
            service: name.into(),
            ..v1::RankedService::default()
        });
        Answer::try_from(v1::Diagnosis {
            method: v1::Method::Evidence.into(),
            ranking: ranking.collect(),
            coverage,
            ..v1::Diagnosis::default()
        })
        .unwrap()
    }

    fn gap(metric: MetricKind, services: u32, lacking: &[&str]) -> v1::MetricGap {
        v1::MetricGap {
            metric: metric.to_wire().into(),
            services,
            lacking: lacking.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn told(coverage: Vec<v1::MetricGap>, most: usize) -> String {
        table(&answer(coverage), most, &html! { "All." }).into_string()
    }

    #[test]
    fn only_services_that_lack_something_and_metrics_that_some_have_are_in_the_table() {
        let text = told(
            vec![
                gap(MetricKind::Cpu, 1, &["<b>cart", "db"]),
                gap(MetricKind::Memory, 2, &["<b>cart"]),
                gap(MetricKind::Io, 0, &[]),
            ],
            50,
        );
        assert!(text.contains("No service had samples of io during the incident."), "{text}");
        assert!(text.contains("<details class=\"printed\" open>"), "{text}");
        assert!(text.contains("2 services lacked metrics"), "{text}");
        let head = "<th scope=\"col\">service</th><th scope=\"col\">cpu</th><th scope=\"col\">memory</th>";
        assert!(text.contains(head), "{text}");
        let rows: Vec<&str> = text.split("<tr>").skip(2).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[0].starts_with("<th scope=\"row\">db</th><td class=\"lacks\">none</td><td>some</td>"));
        assert!(
            rows[1].starts_with("<th scope=\"row\">&lt;b&gt;cart</th><td class=\"lacks\">none</td><td class")
        );
        assert!(!text.contains("web"), "{text}");
    }

    #[test]
    fn a_long_table_is_folded_and_cut_and_without_gaps_there_is_none() {
        let names: Vec<String> = (0..100).map(|index| format!("s{index:03}")).collect();
        let lacking: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = told(vec![gap(MetricKind::Cpu, 3, &lacking)], 50);
        assert!(text.contains("<details class=\"printed\"><summary>100 services"), "{text}");
        assert_eq!(text.matches("scope=\"row\"").count(), 50);
        assert!(text.contains("50 more services. All."), "{text}");
        assert_eq!(told(Vec::new(), 50), "");
    }
}
