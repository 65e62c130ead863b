//! Who calls whom in Pymicro.
//!
//! The front end calls `a`, `b` and `c`; each of these its own three services; the first of each three calls `db1`, the
//! second `db2`, the third `db3`.

/// The service that users call.
pub const FRONT_END: &str = "view";

/// All services, callers before callees.
pub const SERVICES: [&str; 16] =
    [FRONT_END, "a", "b", "c", "a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3", "db1", "db2", "db3"];

/// The services that `service` calls for each of its requests; none for a database and for a name that is no service.
pub fn callees(service: &str) -> &'static [&'static str] {
    match service {
        FRONT_END => &["a", "b", "c"],
        "a" => &["a1", "a2", "a3"],
        "b" => &["b1", "b2", "b3"],
        "c" => &["c1", "c2", "c3"],
        "a1" | "b1" | "c1" => &["db1"],
        "a2" | "b2" | "c2" => &["db2"],
        "a3" | "b3" | "c3" => &["db3"],
        _ => &[],
    }
}

/// The longest chain of calls that a request to `service` starts: 0 for a database, 3 for the front end.
pub fn height(service: &str) -> u32 {
    callees(service).iter().map(|callee| height(callee) + 1).max().unwrap_or(0)
}

/// Whether `name` is one of [`SERVICES`].
pub fn is_service(name: &str) -> bool {
    SERVICES.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_service_but_the_front_end_is_called_and_only_databases_call_none() {
        let mut callers: BTreeMap<&str, usize> = BTreeMap::new();
        for service in SERVICES {
            assert_eq!(callees(service).is_empty(), service.starts_with("db"), "{service}");
            for callee in callees(service) {
                assert!(is_service(callee), "{callee}");
                *callers.entry(callee).or_default() += 1;
            }
        }
        for service in SERVICES {
            let expected = match service {
                FRONT_END => None,
                database if database.starts_with("db") => Some(3),
                _ => Some(1),
            };
            assert_eq!(callers.get(service).copied(), expected, "{service}");
        }
    }

    #[test]
    fn a_request_to_the_front_end_passes_three_more_levels() {
        assert_eq!((height("db1"), height("a1"), height("a"), height(FRONT_END)), (0, 1, 2, 3));
    }
}
