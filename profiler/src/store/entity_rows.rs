//! Reading entities from their rows, one by one or all in order.

use std::collections::BTreeMap;

use sled::{IVec, Tree};

use super::{
    error::StoreError,
    kept::{Kept, Sections},
    key::{BEFORE_ENTITIES, ENTITIES_END, Entity},
    parts,
};

/// The sealed parts of an entity by section and number.
type Parts = BTreeMap<u8, BTreeMap<u16, IVec>>;

/// All entities of a tree in the order of their keys, decoded. What is damaged is an error that names its record, and the
/// next call goes on behind it.
pub(crate) fn all(tree: &Tree) -> impl Iterator<Item = Result<(Kept, Sections), StoreError>> {
    raw(tree).map(|found| {
        let (entity, parts) = found?;
        let sections = join(&entity, &parts)?;
        let kept = Kept::decode(&entity, &sections)
            .map_err(|problem| StoreError::Damaged { record: entity.to_string(), problem })?;
        Ok((kept, sections))
    })
}

/// The payloads of an entity's sections.
pub(crate) fn join(entity: &Entity, parts: &Parts) -> Result<Sections, StoreError> {
    parts
        .iter()
        .map(|(&section, numbered)| {
            Ok((section, parts::join(&entity.to_string(), &entity.section(section), numbered)?))
        })
        .collect()
}

/// All entities of a tree with their sealed parts.
pub(crate) fn raw(tree: &Tree) -> impl Iterator<Item = Result<(Entity, Parts), StoreError>> {
    // Not a range: the engine's iterator ends at the first error, and there may be more behind it.
    let mut position = BEFORE_ENTITIES.to_vec();
    std::iter::from_fn(move || {
        let mut current: Option<(Entity, Parts)> = None;
        loop {
            let next = match tree.get_gt(&position) {
                Err(error) => {
                    // The engine does not say which key it cannot read: nothing behind it can be reached.
                    position = ENTITIES_END.to_vec();
                    return Some(Err(error.into()));
                }
                Ok(next) => next.filter(|(key, _)| &key[..] < ENTITIES_END),
            };
            let Some((key, value)) = next else {
                return current.map(Ok);
            };
            let Some((entity, section, part)) = Entity::parse(&key) else {
                if current.is_some() {
                    return current.map(Ok);
                }
                position = key.to_vec();
                return Some(Err(StoreError::Damaged {
                    record: "key".into(),
                    problem: format!("{} is none of this store", key.escape_ascii()),
                }));
            };
            match &mut current {
                Some((of, _)) if *of != entity => return current.map(Ok),
                Some((_, parts)) => {
                    parts.entry(section).or_default().insert(part, value);
                }
                None => {
                    current = Some((entity, BTreeMap::from([(section, BTreeMap::from([(part, value)]))])));
                }
            }
            position = key.to_vec();
        }
    })
}
