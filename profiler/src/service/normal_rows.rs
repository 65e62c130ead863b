//! AddNormalRows, GetNormalRows and GetBaselines.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    frame::check_name,
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
    v1,
};
use automap_service_kit::error::ServiceError;

use crate::{
    abnormal::AbnormalTimes,
    baseline::{Baseline, QUANTILES, resembling},
    config::ProfilerConfig,
    normal_rows::ServiceRows,
    store::ProfileStore,
};

/// Rows of an answer unless the request says so.
const DEFAULT_ROWS: usize = 60;
/// Most rows of a service in an answer.
const MAX_ROWS: usize = 512;
/// How far the clock of whoever sends normal behaviour may be ahead, milliseconds. What is of a later time would make
/// everything else of its system look outlived.
pub(super) const CLOCK_SLACK_MS: i64 = 600_000;

pub(super) fn add(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::AddNormalRowsRequest,
    now: UnixMillis,
) -> Result<v1::AddNormalRowsResponse, ServiceError> {
    check_name("system", &request.system)?;
    let latest = UnixMillis(now.0.saturating_add(CLOCK_SLACK_MS));
    let abnormal = known_abnormal(store, config, &request.system, &request.abnormal)?;
    let mut services = BTreeMap::new();
    let (mut all, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for (index, wire) in request.services.iter().enumerate() {
        let (service, rows) = ServiceRows::from_wire(wire, latest)
            .map_err(|error| error.within(&format!("services[{index}]")))?;
        let normal = rows.only(|time| !abnormal.contain(time));
        all.extend(rows.times().iter().copied());
        taken.extend(normal.times().iter().copied());
        if services.insert(service, normal).is_some() {
            let field = format!("services[{index}].service");
            return Err(Invalid::new(field, format!("{} stands twice", wire.service)).into());
        }
    }
    store.add_normal_rows(&request.system, &services)?;
    Ok(v1::AddNormalRowsResponse { rows: count(taken.len()), abnormal_rows: count(all.len() - taken.len()) })
}

pub(super) fn get(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::GetNormalRowsRequest,
    now: UnixMillis,
) -> Result<v1::GetNormalRowsResponse, ServiceError> {
    let most = match request.rows as usize {
        0 => DEFAULT_ROWS,
        rows if rows <= MAX_ROWS => rows,
        rows => return Err(Invalid::new("rows", format!("is {rows}; at most {MAX_ROWS}")).into()),
    };
    let before = UnixMillis::from_wire("before", request.before)?;
    let at = UnixMillis::from_wire("at", request.at)?;
    let known = normal_rows(store, config, &request.system, &request.services, now)?;
    let mut services = Vec::new();
    for (service, rows) in known {
        let (near, _) = resembling(&rows.only(|time| time < before), at);
        let newest = near.times().len().saturating_sub(most);
        let first = near.times().get(newest).copied().unwrap_or(before);
        services.push(near.only(|time| time >= first).to_wire(&service));
    }
    Ok(v1::GetNormalRowsResponse { services })
}

pub(super) fn baselines(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::GetBaselinesRequest,
    now: UnixMillis,
) -> Result<v1::GetBaselinesResponse, ServiceError> {
    let at = request.at.map(|at| UnixMillis::from_wire("at", Some(at))).transpose()?;
    let known = normal_rows(store, config, &request.system, &request.services, now)?;
    let mut baselines = Vec::new();
    for (service, rows) in known {
        let (rows, of_hour) = at.map_or_else(|| (rows.clone(), false), |at| resembling(&rows, at));
        for ((kind, name), values) in rows.series() {
            let present = values.iter().copied().filter(|value| !value.is_nan()).collect();
            let Some(found) = Baseline::new(present) else {
                continue;
            };
            baselines.push(v1::Baseline {
                service: service.clone(),
                metric: kind.to_wire().into(),
                name: name.clone(),
                values: count(found.values),
                of_hour,
                median: found.quantiles[QUANTILES.len() / 2],
                spread: found.spread,
                quantiles: found.quantiles.to_vec(),
            });
        }
    }
    Ok(v1::GetBaselinesResponse { baselines })
}

/// Rows that are normal as far as is known today, of services that are still there.
fn normal_rows(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    system: &str,
    services: &[String],
    now: UnixMillis,
) -> Result<BTreeMap<String, ServiceRows>, ServiceError> {
    check_name("system", system)?;
    for (index, service) in services.iter().enumerate() {
        check_name(&format!("services[{index}]"), service)?;
    }
    let abnormal = known_abnormal(store, config, system, &[])?;
    let mut found = store.normal_rows(system, services)?;
    for rows in found.values_mut() {
        *rows = rows.only(|time| !abnormal.contain(time));
    }
    let newest = found.values().filter_map(|rows| rows.times().last()).max().copied();
    let newest = newest.map_or(now, |newest| now.min(newest));
    found.retain(|_, rows| {
        rows.times().last().is_some_and(|last| !config.retention.outlives_normal(*last, newest))
    });
    Ok(found)
}

/// Times of a system that are not normal: all its incidents, whatever was confirmed of them, and those that a request tells
/// in its field `abnormal`.
pub(super) fn known_abnormal(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    system: &str,
    told: &[v1::TimeWindow],
) -> Result<AbnormalTimes, ServiceError> {
    let window = |(index, window)| TimeWindow::from_wire(&format!("abnormal[{index}]"), window);
    let told: Vec<TimeWindow> = told.iter().enumerate().map(window).collect::<Result<_, _>>()?;
    Ok(AbnormalTimes::new(store.abnormal_times(system)?, config.aftermath_seconds).with_told(&told))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;

    use super::*;
    use crate::{
        confirmation::Confirmation,
        diagnosis_record::DiagnosisRecord,
        past_incident::PastIncident,
        record_id::RecordId,
        sample,
        store::sled_store::{SledStore, StoreOptions},
    };

    const NOW: UnixMillis = UnixMillis(10_000_000);

    fn seconds(time: i64) -> UnixMillis {
        UnixMillis(time * 1000)
    }

    /// cart's cpu is its time, seconds.
    fn request(times: impl Iterator<Item = i64> + Clone) -> v1::AddNormalRowsRequest {
        let series = v1::SeriesRows {
            metric: MetricKind::Cpu.to_wire().into(),
            name: "cpu".into(),
            values: times.clone().map(|time| time as f64).collect(),
        };
        let cart = v1::ServiceRows {
            service: "cart".into(),
            times_ms: times.map(|time| seconds(time).0).collect(),
            series: vec![series],
        };
        v1::AddNormalRowsRequest { system: "shop".into(), services: vec![cart], abnormal: vec![] }
    }

    #[test]
    fn an_incident_that_becomes_known_later_takes_its_rows_away() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        let config = ProfilerConfig::default();
        let fault = TimeWindow::new("abnormal", seconds(500), seconds(510)).unwrap().to_wire();
        let told = v1::AddNormalRowsRequest { abnormal: vec![fault], ..request((500..900).step_by(10)) };
        let answer = add(&store, &config, &told, NOW).unwrap();
        // The fault of 10 s and two minutes after it.
        assert_eq!((answer.rows, answer.abnormal_rows), (26, 14));
        let answer = add(&store, &config, &request((900..1_100).step_by(10)), NOW).unwrap();
        assert_eq!((answer.rows, answer.abnormal_rows), (20, 0));

        let wanted = v1::GetNormalRowsRequest {
            system: "shop".into(),
            before: Some(seconds(2_000).to_wire()),
            at: Some(seconds(2_000).to_wire()),
            rows: 512,
            ..Default::default()
        };
        let times = |wanted: &v1::GetNormalRowsRequest| {
            get(&store, &config, wanted, NOW).unwrap().services[0].times_ms.clone()
        };
        assert_eq!(times(&wanted).len(), 46);
        // It begins at 1000 s.
        let incident = sample::incident("inc-1", 100, &["cart", "db", "front"]);
        store.record_incident(&PastIncident::try_from(&incident).unwrap()).unwrap();
        assert_eq!(times(&wanted).last(), Some(&seconds(990).0));
        let newest = v1::GetNormalRowsRequest { rows: 3, before: Some(seconds(980).to_wire()), ..wanted };
        assert_eq!(times(&newest), [950, 960, 970].map(|time| seconds(time).0));
        let again = add(&store, &config, &request((900..1_100).step_by(10)), NOW).unwrap();
        assert_eq!((again.rows, again.abnormal_rows), (10, 10));

        let asked = v1::GetBaselinesRequest { system: "shop".into(), ..Default::default() };
        let found = baselines(&store, &config, &asked, NOW).unwrap().baselines;
        assert_eq!((found[0].values, found[0].of_hour), (36, false));
        assert_eq!(found[0].median, 815.0);
        let of_hour = v1::GetBaselinesRequest { at: Some(seconds(2_000).to_wire()), ..asked };
        assert!(baselines(&store, &config, &of_hour, NOW).unwrap().baselines[0].of_hour);
    }

    #[test]
    fn no_incident_is_forgotten_however_many_came_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        let config = ProfilerConfig::default();
        // The one that was recorded first lasts ten seconds, the others come later.
        for number in 0..501 {
            let start = if number == 0 { 500 } else { 2_000 + 10 * number };
            let context = v1::IncidentContext {
                anomaly_end: Some(seconds(start + 10).to_wire()),
                ..sample::context(start)
            };
            let wire = v1::Incident {
                incident_id: format!("inc-{number}"),
                context: Some(context),
                recorded_at: Some(seconds(number).to_wire()),
                ..Default::default()
            };
            store.record_incident(&PastIncident::try_from(&wire).unwrap()).unwrap();
        }
        let abnormal_rows = |store: &SledStore| {
            let rows = request((400..900).step_by(10));
            add(store, &config, &rows, NOW).unwrap().abnormal_rows
        };
        assert_eq!(abnormal_rows(&store), 14);
        store.close().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        assert_eq!(abnormal_rows(&store), 14, "also when it is opened again");
        store.delete_incident(&RecordId::new("id", "inc-0").unwrap()).unwrap();
        assert_eq!(abnormal_rows(&store), 0, "an incident that was none");
    }

    #[test]
    fn what_a_diagnosis_tells_of_its_incident_says_which_rows_are_normal() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        let config = ProfilerConfig::default();
        let hour = 3_600;
        let now = seconds(60 * hour);
        // An outage of five hours that an alert reports from hour 10 on, half an hour late.
        let context = v1::IncidentContext { late_alert: true, ..sample::context(10 * hour) };
        let incident =
            v1::Incident { context: Some(context), ..sample::incident("inc-1", 36_000, &["cart", "db"]) };
        let incident = PastIncident::try_from(&incident).unwrap();
        let abnormal_rows = |store: &SledStore| {
            let rows = request((0..40 * hour).step_by(600));
            add(store, &config, &rows, now).unwrap().abnormal_rows
        };
        store.record_incident(&incident).unwrap();
        assert_eq!(abnormal_rows(&store), 24 * 6 + 1, "it lasts a day until somebody knows better");
        let put = |store: &SledStore, onset: i64, ends: &[Option<i64>]| {
            let wire = |time: i64| seconds(time).to_wire();
            let alert = |end: &Option<i64>| v1::Alert { ends_at: end.map(wire), ..Default::default() };
            let diagnosis = v1::Diagnosis {
                diagnosis_id: "d-1".into(),
                system: "shop".into(),
                state: v1::DiagnosisState::Done.into(),
                created_at: Some(wire(10 * hour)),
                incident_id: "inc-1".into(),
                assessment: Some(v1::Assessment { onset: Some(wire(onset)), ..Default::default() }),
                alerts: Some(v1::AlertList { alerts: ends.iter().map(alert).collect(), left_out: 0 }),
                ..Default::default()
            };
            store.put_diagnosis(&DiagnosisRecord::new(diagnosis).unwrap()).unwrap();
        };
        let late = 10 * hour - 1_800;
        put(&store, late, &[Some(12 * hour), None]);
        assert_eq!(abnormal_rows(&store), 3 + 24 * 6 + 1, "an alert goes on, and the onset was earlier");
        put(&store, late, &[Some(12 * hour), Some(15 * hour)]);
        assert_eq!(abnormal_rows(&store), 3 + 5 * 6 + 1);
        store.record_incident(&incident).unwrap();
        assert_eq!(abnormal_rows(&store), 3 + 5 * 6 + 1, "it is diagnosed once more");
        let id = RecordId::new("id", "inc-1").unwrap();
        let confirmation = Confirmation::try_from(&sample::confirmation(&["db"])).unwrap();
        let confirmed = store.confirm(&id, confirmation).unwrap();
        assert_eq!(confirmed.context, incident.context, "what the person on call said stays as it was");
        store.close().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        assert_eq!(abnormal_rows(&store), 3 + 5 * 6 + 1, "it is opened again");
        assert_eq!(store.incident(&id).unwrap(), Some(confirmed));
        put(&store, late, &[Some(12 * hour), None]);
        assert_eq!(abnormal_rows(&store), 3 + 24 * 6 + 1, "one began again");
    }

    #[test]
    fn bad_requests_are_refused_by_field() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        let config = ProfilerConfig::default();
        let good = request(0..3);
        let twice = vec![good.services[0].clone(), good.services[0].clone()];
        for (wrong, named) in [
            (v1::AddNormalRowsRequest { system: String::new(), ..good.clone() }, "system"),
            (v1::AddNormalRowsRequest { services: twice, ..good.clone() }, "services[1].service"),
            (
                v1::AddNormalRowsRequest { abnormal: vec![v1::TimeWindow::default()], ..good },
                "abnormal[0].start",
            ),
        ] {
            let error = add(&store, &config, &wrong, NOW).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        let many = v1::GetNormalRowsRequest { system: "shop".into(), rows: 513, ..Default::default() };
        assert!(get(&store, &config, &many, NOW).unwrap_err().to_string().contains("at most 512"));
    }

    #[test]
    fn rows_of_a_time_to_come_are_refused_and_make_no_others_old() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        let config = ProfilerConfig::default();
        let day = 86_400;
        let now = seconds(100 * day);
        let of = |service: &str, day_of: i64| {
            let mut wanted = request(std::iter::once(day_of * day));
            wanted.services[0].service = service.into();
            wanted
        };
        add(&store, &config, &of("cart", 99), now).unwrap();
        let slack = request(std::iter::once(100 * day + CLOCK_SLACK_MS / 1000));
        add(&store, &config, &slack, now).unwrap();
        let error = add(&store, &config, &of("db", 140), now).unwrap_err();
        assert!(error.to_string().contains("services[0].times_ms[0]"), "{error}");
        assert!(error.to_string().contains("compare the clocks"), "{error}");
        // As an older build took them.
        let rows = ServiceRows::from_kept(&of("db", 140).services[0]).unwrap();
        store.add_normal_rows("shop", &BTreeMap::from([rows])).unwrap();
        let wanted = v1::GetBaselinesRequest { system: "shop".into(), ..Default::default() };
        assert_eq!(baselines(&store, &config, &wanted, now).unwrap().baselines.len(), 2, "cart is not old");
        assert_eq!(store.housekeep(&config.retention, now).unwrap().removed, 0);
    }
}
