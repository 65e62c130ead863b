//! Reading entities from their rows, one by one or all in order.

use std::{collections::BTreeMap, ops::Bound};

use sled::{IVec, Tree};

use super::{
    error::StoreError,
    kept::{Kept, Sections, promises},
    key::{BEFORE_ENTITIES, ENTITIES_END, Entity, directory_entity, directory_prefix},
    parts, sealed,
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

/// Checks that the directory promises every entity of a tree as it is, and no other. O(bytes).
///
/// # Errors
/// The first that is not what was written last.
pub(crate) fn check(tree: &Tree) -> Result<(), StoreError> {
    check_each(tree, |_, _| ())
}

/// The same, and hands each entity to `passed` in the order of their keys: who opens a store reads all of it once.
pub(crate) fn check_each(tree: &Tree, mut passed: impl FnMut(&Entity, &Sections)) -> Result<(), StoreError> {
    // Both are in the order of their entities.
    let mut rows =
        tree.range::<&[u8], _>((Bound::Excluded(BEFORE_ENTITIES), Bound::Excluded(ENTITIES_END))).peekable();
    let damaged = |record: String, problem: &str| StoreError::Damaged { record, problem: problem.to_owned() };
    for line in tree.scan_prefix(directory_prefix()) {
        let (key, line) = line?;
        let entity =
            directory_entity(&key).ok_or_else(|| damaged("directory".into(), "a key is unreadable"))?;
        let promised =
            sealed::unseal(&key, &line).map_err(|damage| damaged(entity.to_string(), &damage.to_string()))?;
        let prefix = entity.prefix();
        if let Some(Ok((key, _))) = rows.peek()
            && key[..] < prefix[..]
        {
            return Err(unlisted(key));
        }
        let mut parts = Parts::new();
        while let Some(row) =
            rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
        {
            let (key, value) = row?;
            let (_, section, part) = Entity::parse(&key)
                .filter(|(of, ..)| *of == entity)
                .ok_or_else(|| damaged(entity.to_string(), "a key is unreadable"))?;
            parts.entry(section).or_default().insert(part, value);
        }
        let sections = join(&entity, &parts)?;
        if !promises(promised, &sections) {
            return Err(damaged(entity.to_string(), "it is not what was written last"));
        }
        passed(&entity, &sections);
    }
    match rows.next() {
        None => Ok(()),
        Some(row) => Err(unlisted(&row?.0)),
    }
}

/// The error of a row of which the directory says nothing.
fn unlisted(key: &[u8]) -> StoreError {
    let record = Entity::parse(key).map_or_else(|| "key".to_owned(), |(entity, ..)| entity.to_string());
    StoreError::Damaged { record, problem: "the directory does not know it".into() }
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
