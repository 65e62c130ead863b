//! RPCs that look for diagnoses.

use std::{collections::BTreeSet, time::Instant};

use automap_proto::{
    invalid::Invalid,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::{ErrorCode, ServiceError};

use super::{
    claims::{Claims, optional_name},
    list_query,
};
use crate::{
    diagnosis_record::DiagnosisRecord,
    record_id::RecordId,
    store::{
        ProfileStore,
        listing::{self, Collection, ListQuery},
    },
};

pub(super) fn get(
    store: &dyn ProfileStore,
    claims: &Claims,
    request: &v1::GetDiagnosisRequest,
) -> Result<v1::GetDiagnosisResponse, ServiceError> {
    let id = RecordId::new("diagnosis_id", &request.diagnosis_id)?;
    let now = Instant::now();
    let diagnosis = match store.diagnosis(&id)? {
        Some(kept) => claims.board().as_it_stands(kept.into_wire(), now),
        None => claims.board().running(now).find(|one| one.diagnosis_id == id.as_str()).ok_or_else(|| {
            ServiceError::new(
                ErrorCode::NotFound,
                format!("there is no diagnosis {id}; ListDiagnoses names those there are"),
            )
        })?,
    };
    Ok(v1::GetDiagnosisResponse { diagnosis: Some(diagnosis) })
}

/// Which diagnoses are wanted, beyond their system and time.
struct Wanted {
    front_end: Option<String>,
    states: BTreeSet<DiagnosisState>,
}

impl Wanted {
    fn takes(&self, diagnosis: &v1::Diagnosis) -> bool {
        self.front_end.as_ref().is_none_or(|wanted| *wanted == diagnosis.front_end)
            && (self.states.is_empty() || self.states.contains(&diagnosis.state()))
    }
}

pub(super) fn list(
    store: &dyn ProfileStore,
    claims: &Claims,
    request: v1::ListDiagnosesRequest,
) -> Result<v1::ListDiagnosesResponse, ServiceError> {
    let v1::ListDiagnosesRequest {
        system,
        page_size,
        page_token,
        front_end,
        created_from,
        created_before,
        states,
    } = request;
    let time = |field: &str, wire: Option<prost_types::Timestamp>| {
        wire.map(|time| UnixMillis::from_wire(field, Some(time))).transpose()
    };
    let query = ListQuery {
        from: time("created_from", created_from)?,
        before: time("created_before", created_before)?,
        ..list_query(system, false, page_size, page_token)?
    };
    let wanted = Wanted {
        front_end: optional_name("front_end", front_end)?,
        states: states.into_iter().map(state).collect::<Result<_, _>>()?,
    };
    let now = Instant::now();
    let prefix = listing::prefix(Collection::Diagnoses, query.system.as_deref());
    let page = store.list_diagnoses(&query, &|kept: &v1::Diagnosis| {
        // Those that have ended are as they are kept.
        if kept.state() == DiagnosisState::Running {
            wanted.takes(&claims.board().as_it_stands(kept.clone(), now))
        } else {
            wanted.takes(kept)
        }
    })?;
    let mut next = page.next_page_token;
    let mut found = Vec::with_capacity(page.records.len());
    for record in page.records {
        let key = listing::key(&prefix, record.created_at(), record.id());
        found.push((key, claims.board().as_it_stands(record.into_wire(), now)));
    }
    let from = query.start(&prefix)?;
    let to = ListQuery { page_token: next.clone(), ..ListQuery::default() }.position(&prefix)?;
    let running: Vec<v1::Diagnosis> = claims.board().running(now).collect();
    for diagnosis in running {
        let record = DiagnosisRecord::new(diagnosis)?;
        let key = listing::key(&prefix, record.created_at(), record.id());
        let of_system = query.system.as_ref().is_none_or(|system| system == record.system());
        let of_time = from.as_ref().is_none_or(|from| key > *from)
            && to.as_ref().is_none_or(|to| key <= *to)
            && query.from.is_none_or(|from| record.created_at() >= from);
        if of_system && of_time && wanted.takes(record.wire()) && store.diagnosis(record.id())?.is_none() {
            found.push((key, record.into_wire()));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let size = query.size()?;
    if found.len() > size {
        found.truncate(size);
        next = found.last().map(|(key, _)| listing::token(&prefix, key)).unwrap_or_default();
    }
    let listed = |diagnosis: v1::Diagnosis| v1::Diagnosis { sketches: Vec::new(), ..diagnosis };
    let diagnoses = found.into_iter().map(|(_, diagnosis)| listed(diagnosis)).collect();
    Ok(v1::ListDiagnosesResponse { diagnoses, next_page_token: next })
}

fn state(wire: i32) -> Result<DiagnosisState, Invalid> {
    DiagnosisState::try_from(wire)
        .ok()
        .filter(|state| *state != DiagnosisState::Unspecified)
        .ok_or_else(|| Invalid::new("states", format!("{wire} is no state; send 1 to 4")))
}
