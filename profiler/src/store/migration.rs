//! From the layout of an older build to today's.
//!
//! Every value names its format version and is read as that version; an entity is written anew, in today's version,
//! when it next changes. What is derived is made anew at once.

use sled::Tree;

use super::{
    change::Change,
    digest::{STATE_KEY, State, row_sum},
    entity_rows,
    error::StoreError,
    key::ENTITIES_END,
};

/// Rows are written in batches of about this many.
const BATCH_ROWS: usize = 2_000;

/// Version 1 had neither a state nor a directory nor a journal, and other similarity vectors. The state is written last:
/// an interrupted migration begins again.
pub(crate) fn from_version_1(tree: &Tree) -> Result<State, StoreError> {
    tracing::info!("the store has format version 1; its indexes are made anew");
    let mut outdated = Change::default();
    for key in tree.range(ENTITIES_END..).keys() {
        outdated.remove(key?.to_vec());
    }
    tree.apply_batch(outdated.to_batch())?;
    let mut state = State { changes: 1, digest: 0 };
    let mut rows = Change::default();
    for kept in entity_rows::all(tree) {
        let (kept, sections) = kept?;
        for (key, value) in kept.derived(&sections) {
            state.digest = state.digest.wrapping_add(row_sum(&key, &value));
            rows.insert(key, value);
        }
        if rows.len() >= BATCH_ROWS {
            tree.apply_batch(std::mem::take(&mut rows).to_batch())?;
        }
    }
    rows.insert(STATE_KEY.to_vec(), state.seal());
    tree.apply_batch(rows.to_batch())?;
    Ok(state)
}
