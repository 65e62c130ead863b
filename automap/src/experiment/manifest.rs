//! Faults as objects of Chaos Mesh: the manifests of `deploy/chaos`, each made out to a service.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use automap_pymicro::fault::{Fault, FaultKind};
use serde_json::{Value, json};

/// Label by which the faults of an experiment are known, whichever run made them.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "automap-experiment");
/// Kinds of objects that a fault may be, as kubectl takes them.
pub const KINDS: &str = "stresschaos,podchaos,iochaos,networkchaos,httpchaos";
/// How long after its end a fault that nobody removed removes itself.
const SAFETY: Duration = Duration::from_secs(60);

/// The manifest of a kind of fault, as `deploy/chaos` has it.
const fn text(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::MemoryStress => include_str!("../../../deploy/chaos/memory-stress.yaml"),
        // A pod that is merely killed is back before a diagnosis: see [`Fault::manifest`].
        FaultKind::PodKill => include_str!("../../../deploy/chaos/pod-failure.yaml"),
        FaultKind::CpuStress => include_str!("../../../deploy/chaos/cpu-stress.yaml"),
        FaultKind::IoStress => include_str!("../../../deploy/chaos/io-stress.yaml"),
        FaultKind::NetworkDelay => include_str!("../../../deploy/chaos/network-delay.yaml"),
        FaultKind::NetworkLoss => include_str!("../../../deploy/chaos/network-loss.yaml"),
        FaultKind::HttpErrors => include_str!("../../../deploy/chaos/http-errors.yaml"),
    }
}

/// The fault `name` on `service` in `namespace`, as an object of Chaos Mesh that ends by itself some time after `lasting`.
///
/// # Errors
/// The manifest is no YAML, or not of the form that all of them have.
pub fn manifest(
    fault: &Fault,
    name: &str,
    namespace: &str,
    service: &str,
    lasting: Duration,
) -> anyhow::Result<Value> {
    let mut object: Value = serde_saphyr::from_str(text(fault.kind()))
        .with_context(|| format!("the manifest of {}", fault.name()))?;
    object["metadata"] = json!({ "name": name, "namespace": namespace, "labels": { LABEL.0: LABEL.1 } });
    let spec = object.get_mut("spec").context("a manifest without spec")?;
    spec["selector"] = json!({
        "namespaces": [namespace],
        "labelSelectors": { "app.kubernetes.io/name": service },
    });
    spec["duration"] = json!(format!("{}s", (lasting + SAFETY).as_secs()));
    if *fault != fault.kind().usual() {
        set_strength(spec, fault)?;
    }
    Ok(object)
}

/// Sets what a plan says in place of the manifest.
fn set_strength(spec: &mut Value, fault: &Fault) -> anyhow::Result<()> {
    match *fault {
        Fault::MemoryStress { megabytes } => {
            spec["stressors"]["memory"]["size"] = json!(format!("{megabytes}MB"));
        }
        Fault::CpuStress { cores } => {
            let load = (100.0 * cores).round();
            spec["stressors"]["cpu"] = json!({ "workers": 1, "load": load as u32 });
        }
        // What is read and written besides has no twin.
        Fault::IoStress { delay_ms, .. } => spec["delay"] = json!(format!("{delay_ms}ms")),
        Fault::NetworkDelay { latency_ms, jitter_ms } => {
            spec["delay"]["latency"] = json!(format!("{latency_ms}ms"));
            spec["delay"]["jitter"] = json!(format!("{jitter_ms}ms"));
        }
        Fault::NetworkLoss { share } => {
            spec["loss"]["loss"] = json!(format!("{}", (1e4 * share).round() / 100.0))
        }
        Fault::HttpErrors { share } => ensure!(
            share >= 1.0,
            "Chaos Mesh lets a service answer all requests with an error, or none: leave out share of http-errors"
        ),
        Fault::PodKill {} => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fault: Fault) -> anyhow::Result<Value> {
        manifest(&fault, "round-07", "shop", "c1", Duration::from_secs(45))
    }

    #[test]
    fn a_manifest_is_made_out_to_a_service_and_ends_by_itself() {
        let object = made(Fault::NetworkDelay { latency_ms: 250.0, jitter_ms: 12.5 }).unwrap();
        assert_eq!(object["kind"], "NetworkChaos");
        assert_eq!(
            object["metadata"],
            json!({ "name": "round-07", "namespace": "shop", "labels": { LABEL.0: LABEL.1 } })
        );
        let spec = &object["spec"];
        assert_eq!(spec["selector"]["namespaces"], json!(["shop"]));
        assert_eq!(spec["selector"]["labelSelectors"], json!({ "app.kubernetes.io/name": "c1" }));
        assert_eq!(spec["duration"], "105s");
        assert_eq!(spec["delay"], json!({ "latency": "250ms", "jitter": "12.5ms", "correlation": "25" }));
    }

    #[test]
    fn strengths_of_a_plan_replace_those_of_the_manifest_and_usual_ones_do_not() {
        for (fault, place, value) in [
            (Fault::MemoryStress { megabytes: 64 }, "/spec/stressors/memory/size", json!("64MB")),
            (Fault::CpuStress { cores: 0.3 }, "/spec/stressors/cpu", json!({ "workers": 1, "load": 30 })),
            (FaultKind::CpuStress.usual(), "/spec/stressors/cpu", json!({ "workers": 2, "load": 100 })),
            (Fault::NetworkLoss { share: 0.35 }, "/spec/loss/loss", json!("35")),
            (Fault::IoStress { delay_ms: 20.0, megabytes_per_second: 1.0 }, "/spec/delay", json!("20ms")),
            (Fault::PodKill {}, "/spec/action", json!("pod-failure")),
        ] {
            assert_eq!(made(fault).unwrap().pointer(place), Some(&value), "{fault:?}");
        }
        assert!(made(Fault::HttpErrors { share: 0.5 }).unwrap_err().to_string().contains("leave out share"));
    }

    #[test]
    fn every_kind_of_fault_is_an_object_that_is_removed_by_its_kind() {
        for kind in FaultKind::ALL {
            let object = made(kind.usual()).unwrap();
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            assert!(KINDS.split(',').any(|known| known == kind), "{kind}");
        }
    }
}
