"""Pods of all kinds: what they may do, where they go, and what an upgrade or a rollback makes of them."""

import pytest
import yaml

from chart import COMBINATIONS, KUBERNETES, ROLES, find, pods, release, rendered, table, template


def pod_specs(documents):
    """Names and specs of all pods."""
    for name, _, spec in pods(documents):
        yield name, spec


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_pods_are_restricted(combination):
    for account in (document for document in rendered(combination) if document["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for name, spec in pod_specs(rendered(combination)):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.get("hostNetwork") and not spec.get("hostPID"), name
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False, name
            assert "memory" in container["resources"]["limits"], name
        volumes = {volume["name"] for volume in spec["volumes"]} | {"data"}
        mounts = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
        assert mounts <= volumes, name


def test_ids_are_those_of_values_or_left_to_the_cluster():
    def ids(*values):
        upload = "profiler.backup.upload.enabled=true,profiler.backup.upload.image=rclone"
        found = set()
        for _, spec in pod_specs(template("--set", upload, *values)):
            security = [spec["securityContext"]] + [container["securityContext"] for container in spec["containers"] + spec.get("initContainers", [])]
            assert all(one["runAsNonRoot"] is True for one in security)
            found |= {(key, value) for one in security for key, value in one.items() if key in ("runAsUser", "runAsGroup", "fsGroup")}
        return found

    names = ("runAsUser", "runAsGroup", "fsGroup")
    assert ids() == {(name, 65532) for name in names}
    assert ids("--set", ",".join(f"podSecurity.{name}=null" for name in names)) == set()
    # As large as those of OpenShift.
    assert ids("--set-json", 'podSecurity={"runAsUser":1000650000,"runAsGroup":7,"fsGroup":null}') == {("runAsUser", 1000650000), ("runAsGroup", 7)}


def test_all_pods_go_where_values_say_and_services_add_to_it(tmp_path):
    values = tmp_path / "values.yaml"
    mine, its = {"key": "mine", "operator": "Exists"}, {"key": "its", "operator": "Exists"}
    values.write_text(yaml.safe_dump({
        "nodeSelector": {"pool": "tools", "arch": "amd64"}, "tolerations": [mine], "podLabels": {"cost": "sre", "tier": "tools"},
        "walker": {"nodeSelector": {"arch": "arm64"}, "tolerations": [its], "podLabels": {"tier": "front"}},
        "collector": {"config": {"sources": {"prod": {"url": "http://prometheus:9090", "preset": "kubernetes"}}}},
        "profiler": {"backup": {"upload": {"enabled": True, "image": "rclone"}}},
    }))
    found = {name: (metadata["labels"], spec) for name, metadata, spec in pods(template("--values", values))}
    assert len(found) == 7
    labels, spec = found.pop("automap-walker")
    assert spec["nodeSelector"] == {"pool": "tools", "arch": "arm64"} and spec["tolerations"] == [mine, its]
    assert labels["cost"] == "sre" and labels["tier"] == "front"
    for name, (labels, spec) in found.items():
        assert spec["nodeSelector"] == {"pool": "tools", "arch": "amd64"} and spec["tolerations"] == [mine], name
        assert labels["cost"] == "sre" and labels["tier"] == "tools", name


def test_an_upgrade_that_turns_backup_on_or_enlarges_its_volume_changes_nothing_that_cannot_be_changed():
    def fixed(documents):
        spec = find(documents, "StatefulSet", "automap-profiler")["spec"]
        mutable = ("replicas", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds")
        return {key: value for key, value in spec.items() if key not in mutable}

    before, after = rendered("default"), template("--set", "profiler.backup.enabled=true,profiler.backup.size=50Gi")
    assert fixed(before) == fixed(after)
    claim = find(after, "PersistentVolumeClaim", "automap-profiler-exports")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["resources"]["requests"]["storage"] == "50Gi"
    pod = find(after, "StatefulSet", "automap-profiler")["spec"]["template"]["spec"]
    assert {"name": "exports", "persistentVolumeClaim": {"claimName": "automap-profiler-exports"}} in pod["volumes"]
    # What a change of the other volume runs into, so that the comparison can fail.
    assert fixed(before) != fixed(template("--set", "profiler.persistence.size=50Gi"))


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_rollback_replaces_a_profiler_that_never_becomes_ready(combination):
    profiler = find(rendered(combination), "StatefulSet", f"{release(combination)}-profiler")["spec"]
    # In order, Kubernetes waits for such a pod before it changes it (its documentation: "Forced rollback").
    assert profiler["podManagementPolicy"] == "Parallel"
    assert profiler["replicas"] == 1
    assert profiler.get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate"


@pytest.mark.parametrize("combination", COMBINATIONS)
@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_pods_live_longer_than_their_drain(combination, kubernetes):
    documents = rendered(combination, kubernetes)
    for role in ROLES:
        kind = "StatefulSet" if role == "profiler" else "Deployment"
        spec = find(documents, kind, f"{release(combination)}-{role}")["spec"]["template"]["spec"]
        drain = table(documents, role, release(combination))["server"].get("drain-seconds", 20)
        pause = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert spec["terminationGracePeriodSeconds"] == drain + pause + 10


def test_probes_speak_what_the_port_speaks():
    # The kubelet's gRPC probe knows no TLS.
    for combination, probe in (("default", "grpc"), ("tls-secrets", "httpGet")):
        for role in ("walker", "collector", "graph-builder"):
            container = find(rendered(combination), "Deployment", f"automap-{role}")["spec"]["template"]["spec"]["containers"][0]
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert probe in container[name], (combination, role, name)
