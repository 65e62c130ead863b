//! Ranked services with the evidence against each.

use serde::{Deserialize, Serialize};

use crate::{
    frame::check_name,
    hop::Hop,
    invalid::Invalid,
    metric::MetricKind,
    profile::ServiceClass,
    time::{UnixMillis, duration_to_wire},
    v1,
};

/// Which way a series left its normal range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Above normal.
    Up,
    /// Below normal.
    Down,
}

impl Direction {
    /// Both, in the order of [`Self::index`].
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// Position in arrays of two.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Decodes the wire value of `field`.
    ///
    /// # Errors
    /// The value is unspecified or unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Self, Invalid> {
        match v1::Direction::try_from(value) {
            Ok(v1::Direction::Up) => Ok(Self::Up),
            Ok(v1::Direction::Down) => Ok(Self::Down),
            _ => Err(Invalid::new(field, "must be up or down")),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::Direction {
        match self {
            Self::Up => v1::Direction::Up,
            Self::Down => v1::Direction::Down,
        }
    }
}

/// One reason to suspect a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The metric type.
    pub metric: MetricKind,
    /// The series of that type that deviates most.
    pub series: String,
    /// ln(1 + deviation in units of the normal spread); finite, >= 0.
    pub deviation: f64,
    /// Which way.
    pub direction: Direction,
}

/// One service of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedService {
    /// From 1.
    pub rank: u32,
    /// Its name.
    pub service: String,
    /// Comparable within one ranking only; larger is more suspect; finite.
    pub score: f64,
    /// The class of its profile, where a behaviour graph was built.
    pub class: Option<ServiceClass>,
    /// Largest first.
    pub evidence: Vec<Evidence>,
    /// From the front end to the service as walked most often; empty when no walk reached it.
    pub path: Vec<String>,
    /// Share of the walks that first reached the service on that path, 0..1.
    pub path_share: f64,
    /// Of each step of that path who calls whom; a step that is not told is unknown.
    pub path_hops: Vec<Hop>,
    /// When its own series left their normal range; `None` where they did not.
    pub onset: Option<UnixMillis>,
    /// What speaks against it before any walk, the sum of its evidence; finite, >= 0.
    pub deviation: f64,
    /// The score without what confirmed incidents taught; `None` where nothing was learned.
    pub unlearned_score: Option<f64>,
}

impl RankedService {
    /// The steps of the path from the front end on: the service nearer to it, who calls whom, and the next.
    pub fn steps(&self) -> impl Iterator<Item = (&str, Hop, &str)> {
        let hops = self.path_hops.iter().copied().chain(std::iter::repeat(Hop::Unknown));
        self.path.windows(2).zip(hops).map(|(two, hop)| (two[0].as_str(), hop, two[1].as_str()))
    }
}

/// Services in order of suspicion: ranks 1..n, scores never rising, every service once.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking(Vec<RankedService>);

impl Ranking {
    /// # Errors
    /// Ranks are not 1..n, a score is not finite or rises, or a service stands twice.
    pub fn new(services: Vec<RankedService>) -> Result<Self, Invalid> {
        let mut seen = std::collections::BTreeSet::new();
        let mut previous = f64::INFINITY;
        for (index, ranked) in services.iter().enumerate() {
            let field = |name: &str| format!("ranking[{index}].{name}");
            check_name(&field("service"), &ranked.service)?;
            if ranked.rank as usize != index + 1 {
                return Err(Invalid::new(
                    field("rank"),
                    format!("is {} in place {}", ranked.rank, index + 1),
                ));
            }
            if !ranked.score.is_finite() || ranked.score > previous {
                return Err(Invalid::new(field("score"), "is not finite or larger than the one before it"));
            }
            if !seen.insert(ranked.service.as_str()) {
                return Err(Invalid::new(field("service"), format!("{} stands twice", ranked.service)));
            }
            previous = ranked.score;
        }
        Ok(Self(services))
    }

    /// Most suspect first.
    pub fn services(&self) -> &[RankedService] {
        &self.0
    }
}

impl TryFrom<&[v1::RankedService]> for Ranking {
    type Error = Invalid;

    fn try_from(wire: &[v1::RankedService]) -> Result<Self, Invalid> {
        let services = wire.iter().map(RankedService::try_from).collect::<Result<_, _>>()?;
        Self::new(services)
    }
}

impl TryFrom<&v1::RankedService> for RankedService {
    type Error = Invalid;

    fn try_from(wire: &v1::RankedService) -> Result<Self, Invalid> {
        let evidence = wire.evidence.iter().map(Evidence::try_from).collect::<Result<_, _>>()?;
        if !(wire.deviation.is_finite() && wire.deviation >= 0.0) {
            return Err(Invalid::new("ranking.deviation", "is negative or not finite"));
        }
        let onset =
            wire.onset.map(|onset| UnixMillis::from_wire("ranking.onset", Some(onset))).transpose()?;
        Ok(Self {
            rank: wire.rank,
            service: wire.service.clone(),
            score: wire.score,
            class: ServiceClass::from_wire("ranking.service_class", wire.service_class)?,
            evidence,
            path: wire.path.clone(),
            path_share: wire.path_share,
            path_hops: Hop::of_path("ranking.path_hops", wire.path.len(), &wire.path_hops)?,
            onset,
            deviation: wire.deviation,
            unlearned_score: wire.unlearned_score,
        })
    }
}

impl TryFrom<&v1::Evidence> for Evidence {
    type Error = Invalid;

    fn try_from(wire: &v1::Evidence) -> Result<Self, Invalid> {
        let direction = Direction::from_wire("evidence.direction", wire.direction)?;
        if !wire.deviation.is_finite() {
            return Err(Invalid::new("evidence.deviation", "is not finite"));
        }
        let metric = MetricKind::from_wire("evidence.metric", wire.metric)?;
        Ok(Self { metric, series: wire.series.clone(), deviation: wire.deviation, direction })
    }
}

impl From<&RankedService> for v1::RankedService {
    fn from(ranked: &RankedService) -> Self {
        let evidence = ranked.evidence.iter().map(|evidence| v1::Evidence {
            metric: evidence.metric.to_wire().into(),
            series: evidence.series.clone(),
            deviation: evidence.deviation,
            direction: evidence.direction.to_wire().into(),
        });
        Self {
            rank: ranked.rank,
            service: ranked.service.clone(),
            score: ranked.score,
            service_class: ranked.class.map_or(0, |class| class.to_wire().into()),
            evidence: evidence.collect(),
            path: ranked.path.clone(),
            path_share: ranked.path_share,
            path_hops: ranked.path_hops.iter().map(|hop| hop.to_wire().into()).collect(),
            onset: ranked.onset.map(UnixMillis::to_wire),
            deviation: ranked.deviation,
            unlearned_score: ranked.unlearned_score,
        }
    }
}

/// How much data a window had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSummary {
    /// Time of its first row.
    pub start: UnixMillis,
    /// Time of its last row.
    pub end: UnixMillis,
    /// Step of the grid, milliseconds.
    pub step_ms: u64,
    /// Rows that hold a sample.
    pub samples: usize,
    /// Share of samples missing in those rows, over all series.
    pub missing_fraction: f64,
}

impl From<&WindowSummary> for v1::WindowSummary {
    fn from(window: &WindowSummary) -> Self {
        Self {
            start: Some(window.start.to_wire()),
            end: Some(window.end.to_wire()),
            step: Some(duration_to_wire(window.step_ms)),
            samples: window.samples as u64,
            missing_fraction: window.missing_fraction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(rank: u32, service: &str, score: f64) -> RankedService {
        RankedService {
            rank,
            service: service.into(),
            score,
            class: Some(ServiceClass::Computing),
            evidence: vec![Evidence {
                metric: MetricKind::Cpu,
                series: "cpu".into(),
                deviation: 1.5,
                direction: Direction::Down,
            }],
            path: vec!["front".into(), service.into()],
            path_share: 0.5,
            path_hops: vec![Hop::CalledBy],
            onset: Some(UnixMillis(5_000)),
            deviation: 1.5,
            unlearned_score: Some(0.25),
        }
    }

    #[test]
    fn rankings_survive_the_wire() {
        let ranking = Ranking::new(vec![ranked(1, "a", 2.0), ranked(2, "b", 2.0)]).unwrap();
        let wire: Vec<v1::RankedService> = ranking.services().iter().map(v1::RankedService::from).collect();
        assert_eq!(Ranking::try_from(wire.as_slice()), Ok(ranking));
    }

    #[test]
    fn rankings_out_of_order_are_refused() {
        for (services, field) in [
            (vec![ranked(2, "a", 1.0)], "ranking[0].rank"),
            (vec![ranked(1, "a", 1.0), ranked(2, "b", 2.0)], "ranking[1].score"),
            (vec![ranked(1, "a", f64::NAN)], "ranking[0].score"),
            (vec![ranked(1, "a", 1.0), ranked(2, "a", 1.0)], "ranking[1].service"),
        ] {
            assert_eq!(Ranking::new(services).unwrap_err().field(), field);
        }
    }
}
