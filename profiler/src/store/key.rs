//! Keys of the one tree: what lies where, in which order.
//!
//! | first byte | then | what |
//! |---|---|---|
//! | 0 | | the state: see `digest` |
//! | 1 | incident id, 0, section, part | incidents: summary and body |
//! | 2 | diagnosis id, 0, section, part | diagnoses: summary and graph |
//! | 3 | system, settings, span, start, section, part | graphs of normal windows |
//! | 4 | system, service, section, part | rows of normal times |
//! | 16 | incident id, 0 | similarity vectors; derived |
//! | 17 | collection, system, inverted time, id | listings, newest first; derived |
//! | 18 | key of the entity without section and part | the directory: sums of its sections; derived |
//! | 255 | | ends an export; never stored |
//!
//! Numbers are big-endian, so that keys sort as their numbers do. No key is the beginning of another record's.

use std::fmt;

use automap_proto::{load_removal::LoadRemoval, settings::CiTest, time::UnixMillis};

use crate::{
    normal_window::{NormalGroup, NormalWindow},
    record_id::RecordId,
};

const INCIDENT: u8 = 1;
const DIAGNOSIS: u8 = 2;
const NORMAL_WINDOW: u8 = 3;
const NORMAL_ROWS: u8 = 4;
/// First byte of similarity vectors.
pub(crate) const VECTOR: u8 = 16;
/// First byte of listings.
pub(crate) const LISTING: u8 = 17;
/// First byte of the directory.
const DIRECTORY: u8 = 18;
/// The key of the record that ends an export.
pub(crate) const EXPORT_END: &[u8] = &[255];

/// Section of an entity that is read to list it.
pub(crate) const SUMMARY: u8 = 0;
/// Section of an entity with its bulk.
pub(crate) const BODY: u8 = 1;

/// A thing that is kept, in one or two sections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entity {
    Incident(RecordId),
    Diagnosis(RecordId),
    Normal(NormalKey),
    Rows(RowsKey),
}

/// Of which service of which system rows of normal times are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowsKey {
    system: String,
    service: String,
}

impl RowsKey {
    pub(crate) fn new(system: &str, service: &str) -> Self {
        Self { system: system.to_owned(), service: service.to_owned() }
    }

    pub(crate) fn system(&self) -> &str {
        &self.system
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// What the keys of all services of a system begin with.
    pub(crate) fn of_system(system: &str) -> Vec<u8> {
        let mut bytes = vec![NORMAL_ROWS];
        bytes.extend_from_slice(&system_bytes(Some(system)));
        bytes
    }

    fn parse(identity: &[u8]) -> Option<Self> {
        let name = |bytes: &[u8]| -> Option<(String, usize)> {
            let length = usize::from(*bytes.first()?);
            let text = std::str::from_utf8(bytes.get(1..=length)?).ok()?;
            (length > 0).then(|| (text.to_owned(), 1 + length))
        };
        let (system, read) = name(identity)?;
        let (service, more) = name(identity.get(read..)?)?;
        (read + more == identity.len()).then_some(Self { system, service })
    }
}

/// Identity of a normal window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NormalKey {
    group: Vec<u8>,
    window_ms: u64,
    start: i64,
}

impl NormalKey {
    pub(crate) fn new(window: &NormalWindow) -> Self {
        Self { group: group_bytes(window.group()), window_ms: window.window_ms(), start: window.start().0 }
    }

    /// Application and settings.
    pub(crate) fn group(&self) -> &[u8] {
        &self.group
    }

    /// Length, rows times step, milliseconds.
    pub(crate) const fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// Length and name of the system.
    pub(crate) fn system(&self) -> &[u8] {
        let length = self.group.first().map_or(0, |&length| usize::from(length));
        self.group.get(..=length).unwrap_or_default()
    }

    pub(crate) const fn start(&self) -> UnixMillis {
        UnixMillis(self.start)
    }
}

/// Length and name of the system, then the settings in full: CI test and what is removed before it (low and high half of
/// a byte), significance, depth, set of metrics, bins where the test has any, and the service whose load is removed where
/// there is one. Written out they are as short as a hash and cannot collide.
pub(crate) fn group_bytes(group: &NormalGroup) -> Vec<u8> {
    let settings = &group.settings;
    let metrics = settings.metrics().iter().fold(0_u8, |set, kind| set | 1 << kind.index());
    let mut bytes = system_bytes(Some(&group.system));
    // The wire's numbers are below 16 and never reused. Nothing removed is 0, as before anything could be.
    bytes.push(settings.ci_test().to_wire() as u8 | (settings.load_removal().to_wire() as u8) << 4);
    bytes.extend_from_slice(&settings.alpha().to_bits().to_be_bytes());
    bytes.extend_from_slice(&(settings.max_condition() as u64).to_be_bytes());
    bytes.push(metrics);
    if settings.ci_test() != CiTest::FisherZ {
        bytes.push(settings.bins().count() as u8);
    }
    if settings.load_removal() == LoadRemoval::FrontEnd {
        bytes.extend_from_slice(&system_bytes(Some(settings.load_service())));
    }
    bytes
}

/// Length (names have at most 253 bytes) and name; a length of 0 for no system in particular.
pub(crate) fn system_bytes(system: Option<&str>) -> Vec<u8> {
    let name = system.unwrap_or_default().as_bytes();
    let mut bytes = vec![u8::try_from(name.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(name);
    bytes
}

/// Flips the sign bit, so that times before 1970 sort before those after.
pub(crate) const fn time_bytes(time: UnixMillis) -> [u8; 8] {
    ((time.0 as u64) ^ (1 << 63)).to_be_bytes()
}

impl Entity {
    /// What it is, in the plural.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Incident(_) => "incidents",
            Self::Diagnosis(_) => "diagnoses",
            Self::Normal(_) => "normal windows",
            Self::Rows(_) => "normal rows",
        }
    }

    /// What all keys of the entity begin with.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Incident(id) => id_prefix(INCIDENT, id),
            Self::Diagnosis(id) => id_prefix(DIAGNOSIS, id),
            Self::Normal(key) => {
                let mut bytes = vec![NORMAL_WINDOW];
                bytes.extend_from_slice(&key.group);
                bytes.extend_from_slice(&key.window_ms.to_be_bytes());
                bytes.extend_from_slice(&time_bytes(UnixMillis(key.start)));
                bytes
            }
            Self::Rows(key) => {
                let mut bytes = RowsKey::of_system(&key.system);
                bytes.extend_from_slice(&system_bytes(Some(&key.service)));
                bytes
            }
        }
    }

    /// What the keys of a section begin with.
    pub(crate) fn section(&self, section: u8) -> Vec<u8> {
        let mut bytes = self.prefix();
        bytes.push(section);
        bytes
    }

    /// Reads an entity's key: the entity, the section, the part.
    pub(crate) fn parse(key: &[u8]) -> Option<(Self, u8, u16)> {
        let (rest, part) = key.split_last_chunk::<2>()?;
        let (section, prefix) = rest.split_last()?;
        let (kind, identity) = prefix.split_first()?;
        let entity = match *kind {
            INCIDENT => Self::Incident(parse_id(identity)?),
            DIAGNOSIS => Self::Diagnosis(parse_id(identity)?),
            NORMAL_WINDOW => {
                let (before_start, start) = identity.split_last_chunk::<8>()?;
                let (group, length) = before_start.split_last_chunk::<8>()?;
                let start = (u64::from_be_bytes(*start) ^ (1 << 63)).cast_signed();
                let key = NormalKey { group: group.to_vec(), window_ms: u64::from_be_bytes(*length), start };
                Self::Normal(key)
            }
            NORMAL_ROWS => Self::Rows(RowsKey::parse(identity)?),
            _ => return None,
        };
        Some((entity, *section, u16::from_be_bytes(*part)))
    }
}

/// What the keys of a group's normal windows begin with.
pub(crate) fn normal_prefix(group: &[u8]) -> Vec<u8> {
    let mut bytes = vec![NORMAL_WINDOW];
    bytes.extend_from_slice(group);
    bytes
}

/// The last key before those of entities.
pub(crate) const BEFORE_ENTITIES: &[u8] = super::digest::STATE_KEY;

/// The first key past those of entities: what follows is derived.
pub(crate) const ENTITIES_END: &[u8] = &[VECTOR];

/// Key of an incident's similarity vector.
pub(crate) fn vector_key(id: &RecordId) -> Vec<u8> {
    id_prefix(VECTOR, id)
}

/// Key of an entity's line in the directory.
pub(crate) fn directory_key(entity: &Entity) -> Vec<u8> {
    let mut bytes = vec![DIRECTORY];
    bytes.extend_from_slice(&entity.prefix());
    bytes
}

/// What all keys of the directory begin with.
pub(crate) const fn directory_prefix() -> [u8; 1] {
    [DIRECTORY]
}

/// What the lines of the directory begin with that name normal windows, and rows of normal times.
pub(crate) const fn normal_lines() -> [[u8; 2]; 2] {
    [[DIRECTORY, NORMAL_WINDOW], [DIRECTORY, NORMAL_ROWS]]
}

/// The entity of a line of the directory.
pub(crate) fn directory_entity(key: &[u8]) -> Option<Entity> {
    let mut whole = key.strip_prefix(&[DIRECTORY])?.to_vec();
    whole.extend_from_slice(&[SUMMARY, 0, 0]);
    Entity::parse(&whole).map(|(entity, ..)| entity)
}

/// The incident whose similarity vector lies under `key`.
pub(crate) fn parse_vector_key(key: &[u8]) -> Option<RecordId> {
    key.strip_prefix(&[VECTOR]).and_then(parse_id)
}

fn id_prefix(kind: u8, id: &RecordId) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(id.as_str().as_bytes());
    bytes.push(0);
    bytes
}

fn parse_id(bytes: &[u8]) -> Option<RecordId> {
    let text = std::str::from_utf8(bytes.strip_suffix(&[0])?).ok()?;
    RecordId::new("key", text).ok()
}

impl fmt::Display for Entity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incident(id) => write!(formatter, "incident {id}"),
            Self::Diagnosis(id) => write!(formatter, "diagnosis {id}"),
            Self::Normal(key) => {
                let system = key.system().get(1..).map(String::from_utf8_lossy).unwrap_or_default();
                let start = UnixMillis(key.start).seconds();
                write!(formatter, "normal window of {system} at {start}")
            }
            Self::Rows(key) => write!(formatter, "normal rows of {} in {}", key.service, key.system),
        }
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{
        metric::MetricKind,
        settings::{Bins, GraphSettings},
    };

    use super::*;
    use crate::sample;

    fn id(text: &str) -> RecordId {
        RecordId::new("id", text).unwrap()
    }

    fn normal(start_seconds: i64) -> Entity {
        let window = NormalWindow::try_from(&sample::normal_graph(start_seconds)).unwrap();
        Entity::Normal(NormalKey::new(&window))
    }

    #[test]
    fn keys_lead_back_to_their_entity() {
        let rows = Entity::Rows(RowsKey::new("shop", "cart"));
        let known =
            [Entity::Incident(id("inc-1")), Entity::Diagnosis(id("d_2")), normal(-60), normal(60), rows];
        for entity in known {
            let mut key = entity.section(BODY);
            key.extend_from_slice(&7_u16.to_be_bytes());
            assert_eq!(directory_entity(&directory_key(&entity)), Some(entity.clone()));
            assert_eq!(Entity::parse(&key), Some((entity, BODY, 7)));
        }
        assert_eq!(parse_vector_key(&vector_key(&id("inc-1"))), Some(id("inc-1")));
    }

    #[test]
    fn no_key_begins_another_entity_and_times_sort() {
        let (short, long) = (Entity::Incident(id("inc-1")).prefix(), Entity::Incident(id("inc-12")).prefix());
        assert!(!long.starts_with(&short));
        assert!(normal(-60).prefix() < normal(0).prefix());
        assert!(normal(0).prefix() < normal(60).prefix());
        assert!(normal(60).prefix().as_slice() < ENTITIES_END);
    }

    #[test]
    fn other_settings_are_another_group() {
        let window = NormalWindow::try_from(&sample::normal_graph(0)).unwrap();
        let base = window.group().clone();
        let with = |alpha, depth, metrics| NormalGroup {
            settings: GraphSettings::new(CiTest::FisherZ, alpha, depth, metrics).unwrap(),
            ..base.clone()
        };
        let binned = |bins| NormalGroup {
            settings: GraphSettings::new(CiTest::G2, 0.05, 3, vec![]).unwrap().with_bins(bins),
            ..base.clone()
        };
        let freed = |removal, service| NormalGroup {
            settings: GraphSettings::default().with_load_removal(removal, service).unwrap(),
            ..base.clone()
        };
        let groups = [
            base.clone(),
            freed(LoadRemoval::Factor, ""),
            freed(LoadRemoval::FrontEnd, "web"),
            freed(LoadRemoval::FrontEnd, "shop"),
            with(0.01, 3, vec![]),
            with(0.05, 2, vec![]),
            with(0.05, 3, vec![MetricKind::Cpu]),
            NormalGroup { system: "shop2".into(), ..base.clone() },
            binned(Bins::Two),
            binned(Bins::Five),
        ];
        let distinct: std::collections::BTreeSet<_> = groups.iter().map(group_bytes).collect();
        assert_eq!(distinct.len(), groups.len());
    }

    #[test]
    fn foreign_keys_are_refused() {
        for key in [
            &b""[..],
            &[1],
            &[1, 0, 0, 0, 0],
            &[9, b'a', 0, 0, 0, 0],
            &[1, b'/', 0, 0, 0, 0],
            &[4, 1, b'a', 0, 0, 0, 0],
            &[4, 1, b'a', 1, b'b', b'c', 0, 0, 0],
            EXPORT_END,
        ] {
            assert_eq!(Entity::parse(key), None, "{key:?}");
        }
    }
}
