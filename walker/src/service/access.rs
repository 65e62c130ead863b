//! What callers may do, and which diagnoses they may know of.

use automap_proto::v1;
use automap_service_kit::{
    access::Caller,
    error::{ErrorCode, ServiceError},
};
use tonic::Request;

use crate::{order::Order, policy::POLICY};

/// The caller of an RPC, who may call it. A request that did not pass the check of who calls has none.
pub(super) fn caller<T>(request: &Request<T>, rpc: &str) -> Result<Caller, ServiceError> {
    let caller = Caller::of(request.extensions())?;
    caller.require_role(POLICY.role(rpc), rpc)?;
    Ok(caller)
}

/// The refusal of a diagnosis that is not there; one of a system that the caller may not know of is not there for him.
pub(super) fn no_diagnosis(id: &str) -> ServiceError {
    ServiceError::new(ErrorCode::NotFound, format!("there is no diagnosis {id}"))
}

/// A diagnosis, where the caller may know of it.
pub(super) fn shown_to(caller: &Caller, diagnosis: v1::Diagnosis) -> Result<v1::Diagnosis, ServiceError> {
    if caller.systems().contains(&diagnosis.system) {
        return Ok(diagnosis);
    }
    Err(no_diagnosis(&diagnosis.diagnosis_id))
}

/// An order of this caller: of a system that he names and may know of, from a source that is his. What the source itself
/// says is judged when it is known.
pub(super) fn ordered_by(caller: &Caller, order: Order) -> Result<Order, ServiceError> {
    if !caller.systems().are_all() {
        let system = order.context.as_ref().map_or("", |context| context.system());
        caller.require_system(system)?;
        if let Some(source) = order.queried_source() {
            // Who asks a source can read all that it has.
            caller.require_system(source)?;
        }
    }
    Ok(Order { systems: caller.systems().clone(), ..order })
}

#[cfg(test)]
mod tests {
    use automap_service_kit::access::{Proof, Role, Systems};

    use super::*;
    use crate::{order::Input, parameters::MethodParameters};

    fn shopkeeper() -> Caller {
        Caller::new("ada", Proof::Token, Role::Confirm, Systems::new(&["shop".to_owned()]))
    }

    fn order(system: Option<&str>, source: v1::metric_source::Source) -> Order {
        let context = system.map(|system| v1::IncidentContext {
            system: system.into(),
            front_end: "web".into(),
            anomaly_start: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..v1::IncidentContext::default()
        });
        let input = Input::Source(v1::MetricSource { source: Some(source) }, None);
        Order::new("d".into(), input, context.as_ref(), None, &MethodParameters::default()).unwrap()
    }

    #[test]
    fn without_a_check_of_who_calls_nobody_may_do_anything() {
        let error = caller(&Request::new(()), "GetDiagnosis").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        let mut request = Request::new(());
        request.extensions_mut().insert(Caller::anonymous(Role::Read));
        assert!(caller(&request, "GetDiagnosis").is_ok());
        for rpc in ["Diagnose", "ConfirmRootCause", "NoSuchRpc"] {
            assert_eq!(caller(&request, rpc).unwrap_err().code(), ErrorCode::PermissionDenied, "{rpc}");
        }
    }

    #[test]
    fn a_diagnosis_of_another_system_is_not_there() {
        let diagnosis = |system: &str| v1::Diagnosis {
            diagnosis_id: "d".into(),
            system: system.into(),
            ..v1::Diagnosis::default()
        };
        assert!(shown_to(&shopkeeper(), diagnosis("shop")).is_ok());
        for system in ["bank", ""] {
            assert_eq!(shown_to(&shopkeeper(), diagnosis(system)).unwrap_err(), no_diagnosis("d"));
        }
        assert!(shown_to(&Caller::anonymous(Role::Read), diagnosis("bank")).is_ok());
    }

    #[test]
    fn who_may_know_of_a_system_names_it_and_asks_a_source_of_its_name() {
        use v1::metric_source::Source;
        let recording = || Source::Recording("x".into());
        let query =
            |name: &str| Source::Query(v1::QuerySource { name: name.into(), ..v1::QuerySource::default() });
        let mine = ordered_by(&shopkeeper(), order(Some("shop"), recording())).unwrap();
        assert!(mine.systems.contains("shop") && !mine.systems.contains("bank"));
        assert!(ordered_by(&shopkeeper(), order(Some("shop"), query("shop"))).is_ok());
        for wrong in
            [order(Some("bank"), recording()), order(None, recording()), order(Some("shop"), query("bank"))]
        {
            let error = ordered_by(&shopkeeper(), wrong).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
        }
        assert!(ordered_by(&Caller::anonymous(Role::Admin), order(None, query("bank"))).is_ok());
    }
}
