use super::*;

const LOCAL: WorkerId = WorkerId(0);
const PEER: WorkerId = WorkerId(1);

fn starts(orders: &[Order]) -> Vec<(WorkerId, ShardId)> {
    orders
        .iter()
        .filter_map(|order| match order {
            Order::Start { worker, shard, .. } => Some((*worker, *shard)),
            Order::Cancel { .. } => None,
        })
        .collect()
}

fn lease_of(orders: &[Order], wanted: WorkerId) -> LeaseId {
    orders
        .iter()
        .find_map(|order| match order {
            Order::Start { lease, worker, .. } if *worker == wanted => Some(*lease),
            _ => None,
        })
        .unwrap()
}

fn two_workers(shards: usize) -> Coordinator {
    let mut coordinator = Coordinator::new(true);
    coordinator.join(LOCAL, 1, true);
    coordinator.join(PEER, 1, false);
    for _ in 0..shards {
        coordinator.submit(100);
    }
    coordinator
}

#[test]
fn shards_go_out_in_order_and_each_is_answered_once() {
    let mut coordinator = two_workers(3);
    let orders = coordinator.orders(0);
    assert_eq!(starts(&orders), [(LOCAL, ShardId(0)), (PEER, ShardId(1))]);
    let lease = lease_of(&orders, PEER);
    assert_eq!(coordinator.answered(lease, 10), Some(ShardId(1)));
    assert_eq!(coordinator.answered(lease, 11), None);
    assert_eq!(starts(&coordinator.orders(11)), [(PEER, ShardId(2))]);
    assert_eq!(coordinator.orders(12), []);
    assert!(!coordinator.is_idle());
}

#[test]
fn a_shard_of_a_worker_that_fails_goes_elsewhere_and_the_worker_rests() {
    let mut coordinator = two_workers(2);
    let orders = coordinator.orders(0);
    coordinator.failed(lease_of(&orders, PEER), Fault::Unreachable, 5);
    assert_eq!(starts(&coordinator.orders(5)), []);
    assert_eq!(coordinator.wakes_at(5), Some(255));
    coordinator.answered(lease_of(&orders, LOCAL), 6);
    assert_eq!(starts(&coordinator.orders(6)), [(LOCAL, ShardId(1))]);
    coordinator.submit(1);
    assert_eq!(starts(&coordinator.orders(254)), []);
    assert_eq!(starts(&coordinator.orders(255)), [(PEER, ShardId(2))]);
}

#[test]
fn an_overdue_shard_is_given_to_an_idle_worker_and_the_first_answer_counts() {
    let mut coordinator = two_workers(2);
    let orders = coordinator.orders(0);
    let hanging = lease_of(&orders, PEER);
    assert_eq!(coordinator.answered(lease_of(&orders, LOCAL), 10), Some(ShardId(0)));
    assert_eq!(coordinator.orders(499), []);
    let hedge = coordinator.orders(500);
    assert_eq!(starts(&hedge), [(LOCAL, ShardId(1))]);
    assert_eq!(coordinator.hedges(), 1);
    assert_eq!(coordinator.answered(lease_of(&hedge, LOCAL), 510), Some(ShardId(1)));
    assert!(coordinator.is_idle());
    assert_eq!(coordinator.orders(510), [Order::Cancel { lease: hanging }]);
    assert_eq!(coordinator.answered(hanging, 520), None);
}

#[test]
fn a_worker_that_hangs_loses_its_lease_and_rests() {
    let mut coordinator = two_workers(4);
    let orders = coordinator.orders(0);
    let hanging = lease_of(&orders, PEER);
    coordinator.answered(lease_of(&orders, LOCAL), 10);
    // The local worker is busy all the time, so that there is no hedge.
    coordinator.orders(10);
    let later = coordinator.orders(5_000);
    assert!(later.contains(&Order::Cancel { lease: hanging }), "{later:?}");
    assert_eq!(starts(&later), []);
    let report = coordinator.reports().find(|(id, _)| *id == PEER).unwrap().1;
    assert_eq!((report.timeouts, report.shards), (1, 0));
}

#[test]
fn who_cannot_be_trusted_is_not_asked_again() {
    let mut coordinator = two_workers(3);
    let orders = coordinator.orders(0);
    coordinator.failed(lease_of(&orders, PEER), Fault::Untrusted, 5);
    coordinator.join(PEER, 1, false);
    assert_eq!(starts(&coordinator.orders(100_000)), []);
    coordinator.answered(lease_of(&orders, LOCAL), 100_001);
    assert_eq!(starts(&coordinator.orders(100_001)), [(LOCAL, ShardId(1))]);
}

#[test]
fn a_local_worker_that_only_stands_by_works_when_no_other_can() {
    let mut coordinator = Coordinator::new(false);
    coordinator.join(LOCAL, 1, true);
    coordinator.join(PEER, 1, false);
    coordinator.submit(1);
    let orders = coordinator.orders(0);
    assert_eq!(starts(&orders), [(PEER, ShardId(0))]);
    coordinator.leave(PEER);
    let orders = coordinator.orders(1);
    assert_eq!(starts(&orders), [(LOCAL, ShardId(0))]);
    assert_eq!(orders.len(), 2, "{orders:?}");
}

#[test]
fn what_is_withdrawn_is_cancelled() {
    let mut coordinator = two_workers(3);
    let leases = [LOCAL, PEER].map(|worker| lease_of(&two_workers(3).orders(0), worker));
    coordinator.orders(0);
    for shard in 0..3 {
        coordinator.withdraw(ShardId(shard));
    }
    assert_eq!(coordinator.orders(1), leases.map(|lease| Order::Cancel { lease }));
    assert!(coordinator.is_idle());
    assert_eq!(coordinator.wakes_at(1), None);
}
