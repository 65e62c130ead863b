//! Rows of normal times that are remembered of a system: a bounded sample in which newer rows are likelier.
//!
//! A row at time t has the priority
//!
//! ```text
//! p(t) = ln 2 · t / half-life − ln(−ln u(t)),   u(t) in (0, 1) drawn by a hash of the system and t
//! ```
//!
//! and a row is kept that is among the [`ANY_HOUR_ROWS`] of highest priority, or among the [`HOUR_ROWS`] of its hour of
//! the week. Each is a sample without replacement in which a row counts half as much for every half-life that it is
//! older (Efraimidis and Spirakis, *Weighted random sampling with a reservoir*, 2006; with forward decay, Cormode et al.,
//! ICDE 2009). No priority changes with time, so that rows can be added in any order, in any portions and more than
//! once, and the same rows are kept, as long as no service has more than [`MAX_SERIES`] series; and it is the same for all series, so that the samples of a row stay together.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use automap_proto::{frame::check_name, invalid::Invalid, metric::MetricKind, time::UnixMillis, v1};
use sha2::{Digest as _, Sha256};

use crate::hour_of_week::{WEEK_HOURS, hour_of_week};

/// Rows of a service that are kept whatever their hour.
pub const ANY_HOUR_ROWS: usize = 256;
/// Rows that are kept of each hour of the week.
pub const HOUR_ROWS: usize = 4;
/// Most rows that are kept of a service.
pub const MAX_ROWS: usize = ANY_HOUR_ROWS + HOUR_ROWS * WEEK_HOURS as usize;
/// Most series of one service that are taken and kept.
pub const MAX_SERIES: usize = 1_000;

/// Metric type and name of a series.
pub type SeriesName = (MetricKind, String);

/// Rows of one service.
#[derive(Debug, Clone, Default)]
pub struct ServiceRows {
    /// Ascending, each once.
    times: Vec<UnixMillis>,
    /// One value per time; NaN where there was no sample.
    series: BTreeMap<SeriesName, Vec<f64>>,
}

/// How fast older rows give way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay {
    half_life_ms: f64,
}

impl Default for Decay {
    fn default() -> Self {
        Self::days(7)
    }
}

impl Decay {
    /// After so many days a row counts half.
    pub fn days(half_life: u32) -> Self {
        Self { half_life_ms: f64::from(half_life.max(1)) * 86_400_000.0 }
    }

    /// p(t); see the module.
    fn priority(self, system: &str, time: UnixMillis) -> f64 {
        let mut hash = Sha256::new();
        hash.update(system);
        hash.update(time.0.to_be_bytes());
        let digest = hash.finalize();
        let drawn = digest.iter().take(7).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // 52 bits, moved off both ends.
        let share = ((drawn >> 4) as f64 + 0.5) / (1_u64 << 52) as f64;
        std::f64::consts::LN_2 * time.0 as f64 / self.half_life_ms - (-share.ln()).ln()
    }
}

/// Missing samples are equal to each other.
impl PartialEq for ServiceRows {
    fn eq(&self, other: &Self) -> bool {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
        self.times == other.times
            && self.series.len() == other.series.len()
            && self
                .series
                .iter()
                .zip(&other.series)
                .all(|((name, values), (its, theirs))| name == its && bits(values) == bits(theirs))
    }
}

impl ServiceRows {
    /// # Errors
    /// Times do not ascend, or a series has not one value per time.
    pub fn new(times: Vec<UnixMillis>, series: BTreeMap<SeriesName, Vec<f64>>) -> Result<Self, Invalid> {
        if !times.is_sorted_by(|left, right| left < right) {
            return Err(Invalid::new("times_ms", "do not ascend, or one stands twice"));
        }
        if let Some(((_, name), values)) = series.iter().find(|(_, values)| values.len() != times.len()) {
            return Err(Invalid::new(
                "series.values",
                format!("of {name} are {} for {} times", values.len(), times.len()),
            ));
        }
        Ok(Self { times, series })
    }

    /// Ascending.
    pub fn times(&self) -> &[UnixMillis] {
        &self.times
    }

    /// Series with one value per time, by type and name.
    pub fn series(&self) -> impl Iterator<Item = (&SeriesName, &[f64])> {
        self.series.iter().map(|(name, values)| (name, values.as_slice()))
    }

    /// Adds rows and keeps those of highest priority, see the module. Of a row of the same time the values that come replace
    /// those that there are, and the others stay: two sources may tell of one service. Series without any value left go, and of more than [`MAX_SERIES`] those whose last value is the oldest, with the rows that told of
    /// nothing else: names that a service no longer uses give way to those that it uses. O(rows · (series + log rows)).
    pub fn add(&mut self, system: &str, more: &Self, decay: Decay) {
        // Where a row stands on either side.
        let mut rows: BTreeMap<UnixMillis, [Option<usize>; 2]> = BTreeMap::new();
        for (side, times) in [&self.times, &more.times].into_iter().enumerate() {
            for (index, time) in times.iter().enumerate() {
                rows.entry(*time).or_default()[side] = Some(index);
            }
        }
        let mut ranked: Vec<(f64, UnixMillis)> =
            rows.keys().map(|time| (decay.priority(system, *time), *time)).collect();
        ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then_with(|| right.1.cmp(&left.1)));
        let mut of_hour = [0_usize; WEEK_HOURS as usize];
        for (rank, (_, time)) in ranked.iter().enumerate() {
            let within = &mut of_hour[hour_of_week(*time)];
            *within += 1;
            if rank >= ANY_HOUR_ROWS && *within > HOUR_ROWS {
                rows.remove(time);
            }
        }
        let names: BTreeSet<&SeriesName> = self.series.keys().chain(more.series.keys()).collect();
        let overlaid = |name: &SeriesName| -> Vec<f64> {
            let [known, new] = [&*self, more].map(|side| side.series.get(name));
            let value = |values: Option<&Vec<f64>>, index: Option<usize>| {
                let found = values.zip(index).and_then(|(values, index)| values.get(index));
                found.copied().filter(|value| !value.is_nan())
            };
            let row = |&[before, now]: &[Option<usize>; 2]| value(new, now).or_else(|| value(known, before));
            rows.values().map(|both| row(both).unwrap_or(f64::NAN)).collect()
        };
        let series: BTreeMap<SeriesName, Vec<f64>> = names
            .into_iter()
            .map(|name| (name.clone(), overlaid(name)))
            .filter(|(_, values)| values.iter().any(|value| !value.is_nan()))
            .collect();
        *self = Self { times: rows.into_keys().collect(), series };
        if self.series.len() > MAX_SERIES {
            self.series = most_recent(std::mem::take(&mut self.series));
            let told: BTreeSet<UnixMillis> = self
                .times
                .iter()
                .enumerate()
                .filter(|(row, _)| self.holds(*row))
                .map(|(_, time)| *time)
                .collect();
            *self = self.only(|time| told.contains(&time));
        }
    }

    /// Whether a row has any value.
    fn holds(&self, row: usize) -> bool {
        self.series.values().any(|values| !values[row].is_nan())
    }

    /// The rows whose time `keeps` accepts.
    pub fn only(&self, keeps: impl Fn(UnixMillis) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.times.len()).filter(|&index| keeps(self.times[index])).collect();
        let series = self
            .series
            .iter()
            .map(|(name, values)| (name.clone(), kept.iter().map(|&index| values[index]).collect()))
            .collect();
        Self { times: kept.iter().map(|&index| self.times[index]).collect(), series }
    }

    /// Decodes the rows of a service that somebody sent; errors name fields of the message.
    ///
    /// # Errors
    /// As [`Self::from_kept`]; also when there are too many series, or a time is none or later than `latest`.
    pub fn from_wire(wire: &v1::ServiceRows, latest: UnixMillis) -> Result<(String, Self), Invalid> {
        if wire.series.len() > MAX_SERIES {
            let problem = format!("are {}; at most {MAX_SERIES}", wire.series.len());
            return Err(Invalid::new("series", problem));
        }
        for (index, &time) in wire.times_ms.iter().enumerate() {
            let field = || format!("times_ms[{index}]");
            let time = UnixMillis::from_wire(&field(), Some(UnixMillis(time).to_wire()))?;
            if time > latest {
                let ahead = time.seconds() - latest.seconds();
                let problem = format!(
                    "is {ahead:.0} s later than the profiler's clock allows; compare the clocks, and give milliseconds"
                );
                return Err(Invalid::new(field(), problem));
            }
        }
        Self::from_kept(wire)
    }

    /// Decodes rows that are kept.
    ///
    /// # Errors
    /// A name, a metric type or a shape is bad, or a series stands twice.
    pub fn from_kept(wire: &v1::ServiceRows) -> Result<(String, Self), Invalid> {
        check_name("service", &wire.service)?;
        let mut series = BTreeMap::new();
        for (index, one) in wire.series.iter().enumerate() {
            check_name(&format!("series[{index}].name"), &one.name)?;
            let kind = MetricKind::from_wire(&format!("series[{index}].metric"), one.metric)?;
            let finite = one.values.iter().map(|value| if value.is_finite() { *value } else { f64::NAN });
            if series.insert((kind, one.name.clone()), finite.collect()).is_some() {
                return Err(Invalid::new(
                    format!("series[{index}].name"),
                    format!("{} stands twice", one.name),
                ));
            }
        }
        let times = wire.times_ms.iter().map(|&time| UnixMillis(time)).collect();
        Ok((wire.service.clone(), Self::new(times, series)?))
    }

    /// The wire form.
    pub fn to_wire(&self, service: &str) -> v1::ServiceRows {
        let series = self.series.iter().map(|((kind, name), values)| v1::SeriesRows {
            metric: kind.to_wire().into(),
            name: name.clone(),
            values: values.clone(),
        });
        v1::ServiceRows {
            service: service.to_owned(),
            times_ms: self.times.iter().map(|time| time.0).collect(),
            series: series.collect(),
        }
    }
}

/// The [`MAX_SERIES`] that have a value last; of those that end alike, the first by type and name.
fn most_recent(series: BTreeMap<SeriesName, Vec<f64>>) -> BTreeMap<SeriesName, Vec<f64>> {
    let mut by_end: Vec<(SeriesName, Vec<f64>)> = series.into_iter().collect();
    by_end.sort_by_key(|(_, values)| Reverse(values.iter().rposition(|value| !value.is_nan())));
    by_end.truncate(MAX_SERIES);
    by_end.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000;

    fn rows(times: impl IntoIterator<Item = i64>, value: f64) -> ServiceRows {
        let times: Vec<UnixMillis> = times.into_iter().map(|minute| UnixMillis(minute * MINUTE)).collect();
        let values = vec![value; times.len()];
        ServiceRows::new(times, BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), values)])).unwrap()
    }

    fn kept(portions: &[ServiceRows], days: u32) -> ServiceRows {
        let mut all = ServiceRows::default();
        for portion in portions {
            all.add("shop", portion, Decay::days(days));
        }
        all
    }

    #[test]
    fn memory_is_bounded_and_newer_rows_are_likelier() {
        let day = 24 * 60;
        let all = kept(&[rows(0..28 * day, 1.0)], 7);
        // Some rows are both among the first of all and of their hour.
        assert!((HOUR_ROWS * 168..=MAX_ROWS).contains(&all.times().len()), "{}", all.times().len());
        let newer = all.times().iter().filter(|time| time.0 >= 21 * day * MINUTE).count();
        // The last of four half-lives holds 8/15 of the weight.
        let share = newer as f64 / all.times().len() as f64;
        assert!((0.45..0.62).contains(&share), "{share}");
        assert!(all.times()[0].0 < 7 * day * MINUTE, "some old rows stay");
        let mut of_hour = [0; WEEK_HOURS as usize];
        for time in all.times() {
            of_hour[hour_of_week(*time)] += 1;
        }
        assert!(
            of_hour.iter().all(|rows| *rows >= HOUR_ROWS),
            "every hour of the week has some: {of_hour:?}"
        );
    }

    #[test]
    fn a_single_hour_may_hold_all_that_is_kept_whatever_the_hour() {
        let second = |second: i64| UnixMillis(second * 1000);
        let times: Vec<UnixMillis> = (0..3_600).map(second).collect();
        let series = BTreeMap::from([((MetricKind::Cpu, "cpu".to_owned()), vec![1.0; 3_600])]);
        let hour = ServiceRows::new(times, series).unwrap();
        assert_eq!(kept(&[hour], 7).times().len(), ANY_HOUR_ROWS);
    }

    #[test]
    fn a_change_that_lasts_becomes_normal() {
        let day = 24 * 60;
        let before = rows(0..60 * day, 1.0);
        let after = rows(60 * day..74 * day, 5.0);
        let all = kept(&[before, after], 7);
        let (_, values) = all.series().next().unwrap();
        let changed = values.iter().filter(|value| **value == 5.0).count();
        // Three quarters of the weight.
        assert!(changed * 3 > all.times().len() * 2, "two half-lives after the change: {changed}");
    }

    #[test]
    fn a_row_that_comes_again_replaces_itself_and_series_may_come_and_go() {
        let mut all = kept(&[rows([1, 2], 1.0), rows([2, 3], 9.0)], 7);
        assert_eq!(all.series().next().unwrap().1, [1.0, 9.0, 9.0]);
        let memory = BTreeMap::from([((MetricKind::Memory, "memory".to_owned()), vec![4.0])]);
        let later = ServiceRows::new(vec![UnixMillis(9 * MINUTE)], memory).unwrap();
        all.add("shop", &later, Decay::days(7));
        assert_eq!(all.series().count(), 2);
        let only_later = all.only(|time| time.0 == 9 * MINUTE);
        let mut again = ServiceRows::default();
        again.add("shop", &only_later, Decay::days(7));
        assert_eq!(again.series().count(), 1, "a series without any value goes");
    }

    #[test]
    fn two_sources_of_one_service_leave_each_other_their_values() {
        let of = |kind: MetricKind, first: i64, values: &[f64]| {
            let times = (first..).zip(values).map(|(minute, _)| UnixMillis(minute * MINUTE)).collect();
            let series = BTreeMap::from([((kind, kind.to_string()), values.to_vec())]);
            ServiceRows::new(times, series).unwrap()
        };
        let mesh = of(MetricKind::Latency, 0, &[1.0, 2.0, f64::NAN]);
        let node = of(MetricKind::Cpu, 1, &[7.0, 8.0, 9.0]);
        for portions in [[&mesh, &node, &mesh], [&node, &mesh, &node]] {
            let mut all = ServiceRows::default();
            portions.iter().for_each(|portion| all.add("shop", portion, Decay::default()));
            let values: Vec<String> = all.series().map(|(_, values)| format!("{values:?}")).collect();
            assert_eq!(values, ["[1.0, 2.0, NaN, NaN]", "[NaN, 7.0, 8.0, 9.0]"]);
        }
        // What one source tells anew counts, and what it does not tell stays.
        let mut all = mesh.clone();
        all.add("shop", &of(MetricKind::Latency, 0, &[f64::NAN, 5.0, 6.0]), Decay::default());
        assert_eq!(all.series().next().unwrap().1, [1.0, 5.0, 6.0]);
        // However many sources: as many rows as of one.
        let mut many = rows(0..20_000, 1.0);
        many.add("shop", &of(MetricKind::Latency, 0, &[3.0; 20_000]), Decay::default());
        assert_eq!(many.times(), kept(&[rows(0..20_000, 1.0)], 7).times());
    }

    #[test]
    fn bad_rows_are_refused_by_field() {
        let good = rows([1, 2], 1.0).to_wire("cart");
        let latest = UnixMillis(10 * MINUTE);
        let at = |times_ms: [i64; 2]| v1::ServiceRows { times_ms: times_ms.to_vec(), ..good.clone() };
        assert!(ServiceRows::from_wire(&good, latest).is_ok());
        assert!(ServiceRows::from_wire(&at([0, latest.0]), latest).is_ok());
        let series = good.series[0].clone();
        for (wire, field) in [
            (v1::ServiceRows { service: String::new(), ..good.clone() }, "service"),
            (v1::ServiceRows { times_ms: vec![2, 2], ..good.clone() }, "times_ms"),
            (v1::ServiceRows { times_ms: vec![1], ..good.clone() }, "series.values"),
            (at([0, latest.0 + 1]), "times_ms[1]"),
            (at([i64::MIN, 0]), "times_ms[0]"),
            (at([0, i64::MAX]), "times_ms[1]"),
            (v1::ServiceRows { series: vec![series.clone(); MAX_SERIES + 1], ..good.clone() }, "series"),
            (v1::ServiceRows { series: vec![series.clone(), series], ..good.clone() }, "series[1].name"),
        ] {
            assert_eq!(ServiceRows::from_wire(&wire, latest).unwrap_err().field(), field);
        }
        assert!(ServiceRows::from_kept(&at([0, latest.0 + 1])).is_ok(), "what is kept can be read");
    }

    #[test]
    fn of_too_many_series_those_without_a_recent_value_go() {
        let named = |names: std::ops::Range<usize>, minute: i64| {
            let series = names.map(|name| ((MetricKind::Cpu, format!("cpu-{name:04}")), vec![1.0]));
            ServiceRows::new(vec![UnixMillis(minute * MINUTE)], series.collect()).unwrap()
        };
        let names = |rows: &ServiceRows| -> Vec<usize> {
            rows.series().map(|((_, name), _)| name["cpu-".len()..].parse().unwrap()).collect()
        };
        let mut all = ServiceRows::default();
        all.add("shop", &named(300..900, 1), Decay::days(7));
        all.add("shop", &named(0..300, 0), Decay::days(7));
        assert_eq!(names(&all), (0..900).collect::<Vec<_>>());
        // Pods with new names.
        all.add("shop", &named(1_000..1_300, 2), Decay::days(7));
        let kept: Vec<usize> = (0..100).chain(300..900).chain(1_000..1_300).collect();
        assert_eq!(names(&all), kept, "of the oldest, the first by name stay");
        all.add("shop", &named(2_000..3_000, 3), Decay::days(7));
        assert_eq!(names(&all), (2_000..3_000).collect::<Vec<_>>());
        assert_eq!(all.times(), [UnixMillis(3 * MINUTE)], "no row is kept for names that are gone");
        // As an older build could keep them.
        let mut many = named(0..1_200, 0);
        let (_, kept) = ServiceRows::from_kept(&many.to_wire("cart")).unwrap();
        assert_eq!(kept, many);
        many.add("shop", &named(1_195..1_200, 1), Decay::days(7));
        assert_eq!(names(&many), (0..995).chain(1_195..1_200).collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn neither_order_nor_portions_nor_repeats_change_what_is_kept(
            cut in 1..12_000_i64,
            other in 1..12_000_i64,
        ) {
            // Nine days, so that hours of the week come again.
            let minutes = 12_000;
            let whole = kept(&[rows(0..minutes, 2.0)], 1);
            let (low, high) = (cut.min(other), cut.max(other));
            let portions = [rows(high..minutes, 2.0), rows(0..low, 2.0), rows(low..high, 2.0), rows(0..low, 2.0)];
            prop_assert_eq!(kept(&portions, 1), whole);
        }
    }
}
