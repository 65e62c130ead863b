//! The newest incidents of a system, over as many pages as they take: a page ends early where records are large.

use automap_service_kit::error::ServiceError;

use crate::{
    past_incident::PastIncident,
    store::{
        ProfileStore,
        listing::{ListQuery, MAX_PAGE_SIZE},
    },
};

/// Hands the `most` newest incidents of `system` to `take`, newest first; without bulk, as listings give them.
///
/// # Errors
/// A record is damaged.
pub(super) fn newest_incidents(
    store: &dyn ProfileStore,
    system: &str,
    confirmed_only: bool,
    most: usize,
    mut take: impl FnMut(PastIncident),
) -> Result<(), ServiceError> {
    let mut query = ListQuery { system: Some(system.to_owned()), confirmed_only, ..ListQuery::default() };
    let mut left = most;
    while left > 0 {
        query.page_size = left.min(MAX_PAGE_SIZE);
        let page = store.list_incidents(&query)?;
        left -= page.records.len().min(left);
        page.records.into_iter().for_each(&mut take);
        if page.next_page_token.is_empty() {
            break;
        }
        query.page_token = page.next_page_token;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        confirmation::Confirmation,
        sample,
        store::sled_store::{SledStore, StoreOptions},
    };

    #[test]
    fn large_incidents_count_as_small_ones_do() {
        let directory = tempfile::tempdir().unwrap();
        let store = SledStore::open(directory.path(), StoreOptions::default()).unwrap();
        // Two fit on a page.
        let ranked: Vec<String> = (0..5_000).map(|index| format!("{index:0>250}")).collect();
        let ranked: Vec<&str> = ranked.iter().map(String::as_str).collect();
        for number in 0..5 {
            let wire = sample::incident(&format!("inc-{number}"), 100 + number, &ranked);
            store.record_incident(&PastIncident::try_from(&wire).unwrap()).unwrap();
        }
        let confirmation = Confirmation::try_from(&sample::confirmation(&["db"])).unwrap();
        for name in ["inc-0", "inc-2", "inc-3", "inc-4"] {
            store
                .confirm(&crate::record_id::RecordId::new("id", name).unwrap(), confirmation.clone())
                .unwrap();
        }
        let first = ListQuery { page_size: MAX_PAGE_SIZE, ..ListQuery::default() };
        assert!(store.list_incidents(&first).unwrap().records.len() < 4, "a page must be too small for them");
        let newest = |confirmed_only, most| {
            let mut names = Vec::new();
            newest_incidents(&store, "shop", confirmed_only, most, |found| names.push(found.id.to_string()))
                .unwrap();
            names
        };
        assert_eq!(newest(false, 500), ["inc-4", "inc-3", "inc-2", "inc-1", "inc-0"]);
        assert_eq!(newest(false, 4), ["inc-4", "inc-3", "inc-2", "inc-1"]);
        assert_eq!(newest(true, 200), ["inc-4", "inc-3", "inc-2", "inc-0"]);
        assert_eq!(newest(true, 0), [""; 0]);
    }
}
