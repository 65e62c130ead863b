use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn desk(change: impl FnOnce(&mut AlertsConfig)) -> Desk {
    let mut config = AlertsConfig { settle_seconds: 30, ..AlertsConfig::default() };
    change(&mut config);
    Desk::new(&config)
}

fn target(system: &str) -> Target {
    Target { system: system.into(), front_end: "web".into(), source: "prod".into(), preset: String::new() }
}

fn alert(name: &str, start: i64) -> Alert {
    Alert {
        identity: name.into(),
        labels: BTreeMap::from([("alertname".into(), name.into())]),
        starts_at: UnixMillis(start),
        ends_at: None,
        generator_url: String::new(),
    }
}

fn fired(desk: &mut Desk, at: i64, system: &str, name: &str, start: i64) -> Ruling {
    desk.fired(UnixMillis(at), "group", target(system), alert(name, start), &Past::new()).unwrap()
}

#[test]
fn an_alert_begins_one_diagnosis_when_it_has_settled_however_often_it_is_told() {
    let mut desk = desk(|_| ());
    let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "slow", NOW - 5000) else { panic!() };
    let known = Ruling::Known(id.clone());
    assert_eq!(fired(&mut desk, NOW, "shop", "slow", NOW - 5000), known);
    assert!(desk.due(UnixMillis(NOW + 24_999)).is_empty());
    let due = desk.due(UnixMillis(NOW + 25_000));
    assert_eq!((due.len(), &due[0].id, due[0].start, due[0].end), (1, &id, UnixMillis(NOW - 5000), None));
    assert!(desk.due(UnixMillis(NOW + 26_000)).is_empty());
    // Hours later Alertmanager repeats it.
    assert_eq!(fired(&mut desk, NOW + 14_400_000, "shop", "slow", NOW - 5000), known);
    // It fired anew: another incident.
    let again = fired(&mut desk, NOW + 14_400_000, "shop", "slow", NOW + 14_399_000);
    assert!(matches!(again, Ruling::Begins(other) if other != id));
}

#[test]
fn the_id_is_that_of_group_system_and_start_whichever_walker_is_told() {
    let id = |group: &str, name: &str, start: i64| {
        desk(|_| ()).fired(UnixMillis(NOW), group, target("shop"), alert(name, start), &Past::new()).unwrap()
    };
    assert_eq!(id("a", "slow", NOW), id("a", "other", NOW));
    assert_ne!(id("a", "slow", NOW), id("b", "slow", NOW));
    assert_ne!(id("a", "slow", NOW), id("a", "slow", NOW - 1));
}

#[test]
fn two_walkers_ask_for_the_same_though_they_are_told_in_another_order_and_another_alert_asks_for_another() {
    let due = |group: &str, starts: &[i64]| {
        let mut desk = desk(|_| ());
        for (place, start) in starts.iter().enumerate() {
            let alert = alert(&place.to_string(), *start);
            desk.fired(UnixMillis(NOW), group, target("shop"), alert, &Past::new()).unwrap();
        }
        desk.due(UnixMillis(NOW + 60_000)).remove(0)
    };
    let (one, other) = (due("a", &[NOW]), due("a", &[NOW, NOW - 1000]));
    assert_eq!(one.id, other.id);
    assert_ne!(one.start, other.start, "one of them knows more");
    for another in [due("b", &[NOW]), due("a", &[NOW - 1])] {
        assert_ne!(one.id, another.id);
    }
}

#[test]
fn further_alerts_of_a_system_are_attached_before_and_after_it_begins() {
    let mut desk = desk(|_| ());
    let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "a", NOW) else { panic!() };
    assert_eq!(fired(&mut desk, NOW + 1000, "shop", "b", NOW - 60_000), Ruling::Attached(id.clone()));
    assert!(matches!(fired(&mut desk, NOW + 1000, "books", "c", NOW), Ruling::Begins(_)));
    let due = desk.due(UnixMillis(NOW + 1000));
    assert_eq!(due.len(), 1, "the earlier alert has settled already");
    assert_eq!((due[0].start, due[0].alerts.alerts.len()), (UnixMillis(NOW - 60_000), 2));
    assert_eq!(fired(&mut desk, NOW + 2000, "shop", "d", NOW), Ruling::Attached(id.clone()));
    assert!(desk.untold(UnixMillis(NOW)).is_empty(), "it runs");
    desk.answered(&id);
    let untold = desk.untold(UnixMillis(NOW));
    assert_eq!((untold.len(), untold[0].1.alerts.len()), (1, 3));
    assert!(desk.untold(UnixMillis(NOW)).is_empty());
}

#[test]
fn a_storm_of_one_system_is_one_diagnosis_and_of_many_a_bounded_number() {
    let mut storm = desk(|_| ());
    for index in 0..500_i64 {
        fired(&mut storm, NOW + index, "shop", &format!("alert-{index}"), NOW);
    }
    let due = storm.due(UnixMillis(NOW + 60_000));
    assert_eq!((due.len(), due[0].alerts.alerts.len(), due[0].alerts.left_out), (1, MAX_LISTED, 400));

    let mut many = desk(|config| (config.max_waiting, config.max_per_minute) = (20, 5));
    let rulings: Vec<Ruling> = (0..500_i64)
        .map(|index| fired(&mut many, NOW, &format!("system-{index}"), "slow", NOW - 60_000))
        .collect();
    assert_eq!(rulings.iter().filter(|ruling| matches!(ruling, Ruling::Begins(_))).count(), 20);
    assert_eq!(rulings.iter().filter(|ruling| **ruling == Ruling::Busy).count(), 480);
    assert_eq!(many.due(UnixMillis(NOW)).len(), 5);
    assert_eq!(many.due(UnixMillis(NOW + 59_999)).len(), 0);
    assert_eq!(many.due(UnixMillis(NOW + 60_000)).len(), 5);
    // What was refused is taken when it is sent again.
    assert!(matches!(fired(&mut many, NOW + 60_000, "system-499", "slow", NOW - 60_000), Ruling::Begins(_)));
}

#[test]
fn resolved_ends_the_window_of_what_has_not_begun_and_begins_nothing() {
    let mut desk = desk(|_| ());
    let mut gone = alert("slow", NOW);
    gone.ends_at = Some(UnixMillis(NOW + 35_000));
    assert!(!desk.resolved("shop", &gone));
    assert!(desk.due(UnixMillis(NOW + 90_000)).is_empty());
    fired(&mut desk, NOW, "shop", "slow", NOW);
    fired(&mut desk, NOW, "shop", "other", NOW);
    assert!(desk.resolved("shop", &gone));
    let mut other = alert("other", NOW);
    other.ends_at = Some(UnixMillis(NOW + 10_000));
    assert!(desk.resolved("shop", &other));
    let due = desk.due(UnixMillis(NOW + 40_000));
    assert_eq!(due[0].end, Some(UnixMillis(NOW + 35_000)));
    // Later it is noted with the diagnosis.
    desk.answered(&due[0].id);
    other.ends_at = Some(UnixMillis(NOW + 50_000));
    assert!(desk.resolved("shop", &other));
    assert_eq!(desk.untold(UnixMillis(NOW)).len(), 1);
}

#[test]
fn alerts_that_cannot_be_diagnosed_are_refused_and_leave_no_trace() {
    let mut desk = desk(|_| ());
    let mut refused = |target: Target, start: i64| {
        let refused = desk.fired(UnixMillis(NOW), "g", target, alert("slow", start), &Past::new());
        refused.unwrap_err().field().to_owned()
    };
    assert_eq!(refused(target("shop"), NOW + 600_000), "startsAt");
    assert_eq!(refused(target("shop"), NOW - 25 * 3_600_000), "startsAt");
    assert_eq!(refused(target("shop\n"), NOW), "system");
    assert_eq!(refused(target(&"x".repeat(10_000)), NOW), "system");
    assert_eq!((desk.waiting(), desk.seen.len()), (0, 0));
}

#[test]
fn what_could_not_begin_is_tried_again_until_it_is_too_old() {
    let mut desk = desk(|_| ());
    let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "slow", NOW) else { panic!() };
    assert_eq!(desk.due(UnixMillis(NOW + 30_000)).len(), 1);
    desk.put_back(&id, UnixMillis(NOW + 35_000));
    assert_eq!(desk.due(UnixMillis(NOW + 34_000)).len(), 0);
    assert_eq!(desk.due(UnixMillis(NOW + 35_000)).len(), 1);
    assert!(!desk.gave_up(&id, UnixMillis(NOW + 36_000)));
    assert!(desk.gave_up(&id, UnixMillis(NOW + 600_000)));
    desk.unanswered(&id, true);
    assert!(desk.due(UnixMillis(NOW + 600_000)).is_empty() && desk.cases.is_empty());
    assert!(matches!(fired(&mut desk, NOW + 600_000, "shop", "slow", NOW), Ruling::Begins(_)));
    assert_eq!(desk.seen.len(), 1);
}

#[test]
fn a_diagnosis_that_begins_under_another_id_takes_its_alerts_along_and_those_of_no_other() {
    let mut desk = desk(|_| ());
    let Ruling::Begins(first) = fired(&mut desk, NOW, "shop", "slow", NOW) else { panic!() };
    let Ruling::Begins(other) = fired(&mut desk, NOW, "books", "slow", NOW) else { panic!() };
    assert_eq!(desk.due(UnixMillis(NOW + 30_000)).len(), 2);
    desk.renamed(&first, "next");
    // Nothing has the first id by now.
    desk.renamed(&first, "last");
    assert_eq!(fired(&mut desk, NOW + 31_000, "shop", "slow", NOW), Ruling::Known("next".into()));
    assert_eq!(fired(&mut desk, NOW + 31_000, "shop", "more", NOW), Ruling::Attached("next".into()));
    assert_eq!(fired(&mut desk, NOW + 31_000, "books", "slow", NOW), Ruling::Known(other));
}

#[test]
fn what_a_diagnosis_lacks_is_told_though_another_one_takes_its_place() {
    let mut desk = desk(|_| ());
    let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "slow", NOW) else { panic!() };
    desk.due(UnixMillis(NOW + 30_000));
    desk.answered(&id);
    fired(&mut desk, NOW + 31_000, "shop", "more", NOW);
    assert!(matches!(fired(&mut desk, NOW + 600_000, "shop", "anew", NOW + 600_000), Ruling::Begins(_)));
    let untold = desk.untold(UnixMillis(NOW));
    assert_eq!((untold.len(), &untold[0].0, untold[0].1.alerts.len()), (1, &id, 2));
    // Its record did not take them: they are told again, and not for ever.
    let again = NOW + 605_000;
    desk.still_untold(&id, UnixMillis(again));
    assert!(desk.untold(UnixMillis(again - 1)).is_empty());
    assert_eq!(desk.untold(UnixMillis(again)), untold);
    desk.still_untold(&id, UnixMillis(again));
    desk.due(UnixMillis(NOW + 2 * 86_400_000));
    assert!(desk.untold(UnixMillis(i64::MAX)).iter().all(|(lacks, _)| *lacks != id));
}

#[test]
fn what_came_while_a_diagnosis_ran_is_told_when_it_ends_however_late_and_whatever_began_meanwhile() {
    for answered in [true, false] {
        let mut desk = desk(|_| ());
        let Ruling::Begins(id) = fired(&mut desk, NOW, "shop", "slow", NOW) else { panic!() };
        desk.due(UnixMillis(NOW + 30_000));
        assert!(desk.awaited().is_empty(), "it has all");
        fired(&mut desk, NOW + 31_000, "shop", "more", NOW);
        let later = NOW + 1_200_000;
        assert!(matches!(fired(&mut desk, later, "shop", "anew", later), Ruling::Begins(_)));
        desk.due(UnixMillis(later + 30_000));
        assert_eq!(
            (desk.awaited(), desk.untold(UnixMillis(NOW))),
            (BTreeSet::from([id.clone()]), Vec::new()),
            "it runs"
        );
        if answered {
            desk.answered(&id);
        } else {
            desk.unanswered(&id, true);
        }
        let untold = desk.untold(UnixMillis(NOW));
        assert_eq!((untold.len(), &untold[0].0, untold[0].1.alerts.len()), (1, &id, 2));
        desk.due(UnixMillis(later + 31_000));
        assert!(desk.cases["shop"].iter().all(|case| case.id != id), "no longer than that");
    }
}

#[test]
fn a_diagnosis_whose_end_is_never_heard_of_is_forgotten() {
    let mut desk = desk(|_| ());
    fired(&mut desk, NOW, "shop", "slow", NOW);
    desk.due(UnixMillis(NOW + 30_000));
    fired(&mut desk, NOW + 31_000, "shop", "more", NOW);
    desk.due(UnixMillis(NOW + 4_199_999));
    assert_eq!(desk.awaited().len(), 1);
    desk.due(UnixMillis(NOW + 4_200_000));
    assert!(desk.cases.is_empty());
}

proptest! {
    #[test]
    fn whatever_comes_little_is_held_and_no_system_runs_twice_at_once(
        steps in proptest::collection::vec((0_i64..4000, 0_u8..40, 0_u8..30, 0_i64..90_000), 1..400),
    ) {
        let mut desk = desk(|config| (config.max_waiting, config.gather_minutes) = (8, 1));
        let (mut now, mut opened) = (NOW, BTreeMap::<String, i64>::new());
        for (pause, system, name, age) in steps {
            now += pause;
            let system = format!("s{system}");
            if let Ruling::Begins(_) = fired(&mut desk, now, &system, &name.to_string(), now - age) {
                let last = opened.insert(system, now);
                prop_assert!(last.is_none_or(|last| now - last >= MINUTE_MS));
            }
            let due = desk.due(UnixMillis(now));
            prop_assert!(due.iter().all(|due| due.start.0 + 30_000 <= now));
            prop_assert!(desk.waiting() <= 8 && desk.begun.len() <= 10);
        }
    }
}
