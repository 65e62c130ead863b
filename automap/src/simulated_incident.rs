//! The incident that `automap demo` replays: a simulated shop whose database client starts to burn CPU.
//!
//! Sixteen services in a tree share a daily-like swing of load, and what a service is asked it asks its callees, give or
//! take a little. From the anomaly on, one
//! service's CPU and latency rise; its callers wait for it, so their latency rises too, less and less towards the
//! front end, and the front end is what alerts. Nothing in it is a measurement of a real system.

use automap_proto::{
    call_graph::CallGraph,
    frame::{MetricFrame, SeriesKey},
    incident::IncidentContext,
    invalid::Invalid,
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Services with the service that calls each; the first is the front end.
const SHOP: [(&str, Option<usize>); 16] = [
    ("web", None),
    ("catalogue", Some(0)),
    ("checkout", Some(0)),
    ("account", Some(0)),
    ("search", Some(1)),
    ("images", Some(1)),
    ("reviews", Some(1)),
    ("cart", Some(2)),
    ("payment", Some(2)),
    ("shipping", Some(2)),
    ("login", Some(3)),
    ("orders", Some(3)),
    ("profile", Some(3)),
    ("search-db", Some(4)),
    ("cart-db", Some(7)),
    ("orders-db", Some(11)),
];

/// The service at fault.
const CULPRIT: usize = 7;
const STEP_MS: u64 = 5_000;
const NORMAL_ROWS: usize = 600;
const INCIDENT_ROWS: usize = 60;
/// 2026-03-01T10:00:00Z, when the recording begins.
const START: UnixMillis = UnixMillis(1_772_359_200_000);
/// Seed of the noise.
const SEED: u64 = 2020;

/// A simulated incident: its metrics, what the person on call knows, and the service at fault.
#[derive(Debug)]
pub struct SimulatedIncident {
    /// Six metric types of sixteen services every 5 s, 50 min before and 5 min of the anomaly.
    pub frame: MetricFrame,
    /// Front end, start of the anomaly, and who calls whom.
    pub context: IncidentContext,
    /// The service at fault.
    pub culprit: &'static str,
}

/// Simulates the incident; always the same.
///
/// # Errors
/// None with the constants of this file; the domain types check them again.
pub fn simulate() -> Result<SimulatedIncident, Invalid> {
    let mut noise = ChaCha8Rng::seed_from_u64(SEED);
    let samples = NORMAL_ROWS + INCIDENT_ROWS;
    // The fault swells and ebbs, and everyone who waits for it feels that at once.
    let severity: Vec<f64> = (0..samples)
        .map(|row| if row < NORMAL_ROWS { 0.0 } else { (1.0 + 0.4 * normal(&mut noise)).max(0.2) })
        .collect();
    let mut series = Vec::new();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    let swing: Vec<f64> = (0..samples).map(|row| 100.0 * (1.0 + 0.3 * (row as f64 / 90.0).sin())).collect();
    let mut loads: Vec<Vec<f64>> = Vec::new();
    for (index, (service, caller)) in SHOP.iter().enumerate() {
        // Callers stand before their callees.
        let asked = caller.map_or(&swing, |caller| &loads[caller]).clone();
        let mut served = Vec::with_capacity(samples);
        let depth = callers(index).len();
        let burden = 0.6 + 0.15 * (index % 4) as f64;
        let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(samples); MetricKind::MEASURED.len()];
        let mut drift = 0.0;
        for (row, &fault) in severity.iter().enumerate() {
            drift = 0.9 * drift + 0.1 * normal(&mut noise);
            let load = asked[row] * (1.0 + 0.05 * normal(&mut noise));
            served.push(load);
            let throughput = load / (1.0 + depth as f64);
            let own = if index == CULPRIT { fault } else { 0.0 };
            let waiting = fault * share_of_culprit(index);
            let latency =
                0.01 * burden * (1.0 + 0.1 * drift + 0.04 * normal(&mut noise)) * (1.0 + 6.0 * waiting);
            let cpu = burden * throughput / 100.0 * (1.0 + 0.05 * normal(&mut noise)) + 0.9 * own;
            let io = 20.0 * burden * throughput.sqrt() * (1.0 + 0.1 * normal(&mut noise));
            let memory = 2e8 * burden * (1.0 + 0.02 * drift + 0.002 * normal(&mut noise));
            let availability = (1.0 - 0.02 * waiting * (1.0 + 0.3 * normal(&mut noise))).clamp(0.0, 1.0);
            for (column, value) in
                columns.iter_mut().zip([latency, throughput, cpu, io, memory, availability])
            {
                column.push(value);
            }
        }
        loads.push(served);
        for (metric, column) in MetricKind::MEASURED.into_iter().zip(columns) {
            series.push(SeriesKey { service: (*service).into(), metric, name: metric.name().into() });
            rows.push(column);
        }
    }
    let values = Array2::from_shape_fn((rows.len(), samples), |(row, column)| rows[row][column]);
    let grid = TimeGrid::new(START, STEP_MS, samples)?;
    let calls = SHOP.iter().filter_map(|(service, caller)| {
        caller.map(|index| (SHOP[index].0.to_owned(), (*service).to_owned()))
    });
    let context = IncidentContext::new(
        "demo-shop",
        SHOP[0].0,
        grid.time(NORMAL_ROWS),
        None,
        Vec::new(),
        Some(CallGraph::new(calls)?),
    )?;
    Ok(SimulatedIncident {
        frame: MetricFrame::new(grid, series, values)?,
        context,
        culprit: SHOP[CULPRIT].0,
    })
}

/// Who calls a service, directly or not, nearest first.
fn callers(index: usize) -> Vec<usize> {
    std::iter::successors(SHOP[index].1, |&caller| SHOP[caller].1).collect()
}

/// How much of the culprit's slowness a service shows: all of its own, halved for each call in between.
fn share_of_culprit(index: usize) -> f64 {
    if index == CULPRIT {
        return 1.0;
    }
    callers(CULPRIT)
        .iter()
        .position(|&caller| caller == index)
        .map_or(0.0, |distance| 0.5_f64.powi(i32::try_from(distance).unwrap_or(i32::MAX) + 1))
}

/// A standard normal number, by the sum of twelve uniform ones.
fn normal(noise: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| noise.random::<f64>()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_is_always_the_same() {
        let (first, second) = (simulate().unwrap(), simulate().unwrap());
        assert_eq!(first.frame.values(), second.frame.values());
        assert_eq!(first.frame.services().len(), SHOP.len());
    }

    #[test]
    fn slowness_halves_towards_the_front_end_and_spares_the_others() {
        assert_eq!(share_of_culprit(2), 0.5);
        assert_eq!(share_of_culprit(0), 0.25);
        assert_eq!(share_of_culprit(14), 0.0);
        assert_eq!(share_of_culprit(1), 0.0);
    }
}
