"""Manifests outside the chart: what clusters take, and what they say about each other."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import pymicro_manifests
import schemas
from chart import COMBINATIONS, DEPLOY, KUBERNETES, binary, find, rendered

CHAOS = sorted((DEPLOY / "chaos").glob("*.yaml"))
PYMICRO = [path for path in sorted((DEPLOY / "pymicro").glob("*.yaml")) if path.name != "kustomization.yaml"]


def documents(*paths):
    """The documents of files."""
    return [document for path in paths for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_manifests_fit_their_schemas(kubernetes):
    for document in kustomized() + documents(*CHAOS, DEPLOY / "prometheus" / "pymicro-monitor.yaml"):
        schemas.check(document, kubernetes)


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_what_operations_tell_to_apply_fits_its_schema_and_the_chart(kubernetes):
    profiler = find(rendered("default"), "StatefulSet", "automap-profiler")["spec"]
    claims = {f"{claim['metadata']['name']}-automap-profiler-0" for claim in profiler["volumeClaimTemplates"]}
    exports = {d["metadata"]["name"] for d in rendered("large") if d["kind"] == "PersistentVolumeClaim"}
    text = (DEPLOY / "OPERATIONS.md").read_text()
    assert set(re.findall(r"claim `([^`]+)`", text)) == exports
    assert set(re.findall(r"patch pvc (\S+)", text)) == claims | exports
    mounts = {mount["mountPath"] for mount in profiler["template"]["spec"]["containers"][0]["volumeMounts"]}
    pods = operations_pods()
    assert list(pods) == ["automap-set-aside", "automap-salvage", "automap-exchange"]
    for pod in pods.values():
        schemas.check(pod, kubernetes)
        assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] in claims
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            assert container["volumeMounts"][0]["mountPath"] in mounts


def test_what_operations_tell_to_apply_brings_back_what_can_be_read_of_a_damaged_store(tmp_path):
    def automap(*arguments, code=0):
        done = subprocess.run([binary(), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout

    store = tmp_path / "store"
    automap("demo", "--export", "shop")
    automap("diagnose", "shop", "--store", store)
    whole = automap("store", "stats", "--store", store)
    # Both copies, so that the profiler could not repair it by itself.
    for path in (store / "db", *(store / "journal").glob("*.journal")):
        content = bytearray(path.read_bytes())
        content[700:900] = bytes(200)
        path.write_bytes(content)
    automap("store", "stats", "--store", store, code=1)
    # As in the pods, which can write to the volume alone.
    environment = os.environ | {"TMPDIR": "/dev/null/none"}
    pods = operations_pods()
    steps = [pods["automap-salvage"]["spec"]["containers"], *(pods["automap-exchange"]["spec"][key] for key in ("initContainers", "containers"))]
    for (container,), code in zip(steps, (5, 0, 0), strict=True):
        arguments = [argument.replace("/var/lib/automap", str(tmp_path)) for argument in container["args"]]
        command = [*container["command"], *arguments] if "command" in container else [binary(), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr + done.stdout
    assert "1 diagnosis" in automap("store", "verify", "--store", store), whole
    assert (tmp_path / "damaged-store").is_dir()


def test_what_operations_tell_to_apply_lets_an_older_build_begin_anew_with_the_backup(tmp_path):
    def automap(*arguments):
        done = subprocess.run([binary(), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    store = tmp_path / "store"
    automap("demo", "--export", "shop")
    automap("diagnose", "shop", "--store", store)
    automap("store", "backup", "kept", "--store", store)
    (container,) = operations_pods()["automap-set-aside"]["spec"]["containers"]
    arguments = [argument.replace("/var/lib/automap", str(tmp_path)) for argument in container["args"]]
    done = subprocess.run([*container["command"], *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout == "set aside\n", done.stderr + done.stdout
    assert (tmp_path / "newer-store").is_dir() and not store.exists()
    (export,) = (tmp_path / "kept").glob("*.export")
    automap("store", "import", export, "--store", store, "--existing", "replace")
    assert "1 diagnosis" in automap("store", "verify", "--store", store)


def operations_pods():
    """The pods of OPERATIONS.md by name."""
    blocks = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "OPERATIONS.md").read_text(), re.DOTALL)
    return {pod["metadata"]["name"]: pod for pod in map(yaml.safe_load, blocks)}


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_the_neighbour_of_a_silent_service_fits_its_schemas(kubernetes):
    (block,) = re.findall(r"```yaml\n(.*?)```", (DEPLOY / "EXPERIMENT.md").read_text(), re.DOTALL)
    found = list(yaml.safe_load_all(block))
    assert [document["kind"] for document in found] == ["ConfigMap", "Deployment", "PodMonitor"]
    for document in found:
        schemas.check(document, kubernetes)
    configuration, deployment, monitor = found
    envoy = yaml.safe_load(configuration["data"]["envoy.yaml"])
    spec = deployment["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for container in spec["spec"]["containers"] for port in container["ports"]}
    assert envoy["admin"]["address"]["socket_address"]["port_value"] == ports["metrics"]
    assert envoy["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"] == ports["http"]
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports
    assert monitor["spec"]["selector"]["matchLabels"].items() <= spec["metadata"]["labels"].items()


def test_there_is_a_manifest_for_every_fault():
    kinds = sorted((d["kind"], d["spec"].get("action", "")) for d in documents(*CHAOS))
    assert kinds == [
        ("HTTPChaos", ""), ("IOChaos", "latency"), ("NetworkChaos", "delay"), ("NetworkChaos", "loss"),
        ("PodChaos", "pod-failure"), ("PodChaos", "pod-kill"), ("StressChaos", ""), ("StressChaos", ""),
    ]


def test_a_fault_with_a_misspelt_field_is_refused():
    (fault,) = documents(DEPLOY / "chaos" / "network-delay.yaml")
    fault["spec"]["delay"]["latancy"] = "5ms"
    with pytest.raises(schemas.Invalid, match="latancy"):
        schemas.check(fault, KUBERNETES[-1])
    fault = documents(DEPLOY / "chaos" / "pod-kill.yaml")[0]
    fault["spec"]["action"] = "pod-maim"
    with pytest.raises(schemas.Invalid, match="pod-maim"):
        schemas.check(fault, KUBERNETES[-1])


def test_the_services_are_those_of_the_generator():
    assert pymicro_manifests.TARGET.read_text() == pymicro_manifests.manifests(), "run deploy/checks/pymicro_manifests.py"
    calls = pymicro_manifests.CALLS
    assert len(calls) == 16
    assert {callee for callees in calls.values() for callee in callees} | {"view"} == set(calls)


def test_faults_monitors_and_services_select_pods_that_are_there():
    pods = [d["spec"]["template"] for d in documents(*PYMICRO) if d["kind"] in ("Deployment", "StatefulSet")]
    labels = [pod["metadata"]["labels"] for pod in pods]

    def selected(selector):
        return sum(selector.items() <= of_pod.items() for of_pod in labels)

    for fault in documents(*CHAOS):
        assert selected(fault["spec"]["selector"]["labelSelectors"]) == 1, fault["metadata"]["name"]
        if fault["kind"] == "IOChaos":
            mounts = [m["mountPath"] for p in pods for m in p["spec"]["containers"][0].get("volumeMounts", [])]
            assert fault["spec"]["volumePath"] in mounts
    for service in [d for d in documents(*PYMICRO) if d["kind"] == "Service"]:
        assert selected(service["spec"]["selector"]) == 1
    (monitor,) = documents(DEPLOY / "prometheus" / "pymicro-monitor.yaml")
    assert selected(monitor["spec"]["selector"]["matchLabels"]) == 16


def test_stress_stays_below_the_limit_of_its_container():
    (fault,) = documents(DEPLOY / "chaos" / "memory-stress.yaml")
    size = int(re.fullmatch(r"(\d+)MB", fault["spec"]["stressors"]["memory"]["size"])[1])
    target = next(d for d in documents(*PYMICRO) if d["metadata"]["name"] == fault["spec"]["selector"]["labelSelectors"]["app.kubernetes.io/name"])
    limit = target["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert size + 48 < int(limit.removesuffix("Mi"))


def test_the_kustomization_names_every_file_and_image():
    kustomization = yaml.safe_load((DEPLOY / "pymicro" / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [path.name for path in PYMICRO]
    assert len(kustomized()) == len(documents(*PYMICRO))
    assert {d["metadata"].get("namespace") for d in kustomized()} == {"pymicro", None}
    images = {c["image"] for d in documents(*PYMICRO) if "template" in d.get("spec", {}) for c in d["spec"]["template"]["spec"]["containers"]}
    assert images == {image["name"] for image in kustomization["images"]}


def test_the_image_that_is_built_and_pushed_is_the_one_that_the_manifests_then_name(tmp_path):
    commands = (DEPLOY / "pymicro" / "README.md").read_text().split("## In Kubernetes")[1].split("```")[1]
    (built,) = re.findall(r"image/build .*--name (\S+)", commands)
    (pushed,) = re.findall(r"push (\S+)", commands)
    assert built == pushed
    shutil.copytree(DEPLOY / "pymicro", tmp_path / "deploy" / "pymicro", ignore=shutil.ignore_patterns("src", "tests"))
    (edit,) = re.findall(r"(?m)^sed .*$", commands)
    subprocess.run(["bash", "-c", edit], cwd=tmp_path, check=True, timeout=60)
    found = [d for d in kustomized(tmp_path / "deploy" / "pymicro") if d["kind"] == "Deployment"]
    assert {c["image"] for d in found for c in d["spec"]["template"]["spec"]["containers"]} == {built}


def test_the_cluster_of_an_experiment_runs_what_chaos_mesh_is_told():
    text = (DEPLOY / "EXPERIMENT.md").read_text()
    (runtime,) = re.findall(r"--container-runtime=(\S+) +#", text)
    (told,) = re.findall(r"--set chaosDaemon.runtime=(\S+)", text)
    assert runtime == told


def test_grafana_has_the_folders_that_dashboards_are_annotated_with():
    dashboards = yaml.safe_load((DEPLOY / "prometheus" / "kube-prometheus-stack-values.yaml").read_text())["grafana"]["sidecar"]["dashboards"]
    assert dashboards["folderAnnotation"] and dashboards["provider"]["foldersFromFilesStructure"] is True


def kustomized(directory=DEPLOY / "pymicro"):
    """What `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def checkov(files):
    """What checkov finds in files."""
    flags = [flag for file in files for flag in ("--file", str(file))]
    command = [sys.executable, "-m", "checkov.main", "--config-file", DEPLOY / "checks" / "checkov.yaml", *flags]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)


def test_checkov_finds_nothing_that_is_not_explained(tmp_path):
    everything = {combination: rendered(combination) for combination in COMBINATIONS} | {"pymicro": kustomized()}
    files = []
    for name, found in everything.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text("---\n".join(yaml.safe_dump(document) for document in found))
    files.append(tmp_path / "careless.yaml")
    files[-1].write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: careless, namespace: x}\n"
        "spec: {hostNetwork: true, containers: [{name: c, image: 'c:latest', securityContext: {privileged: true}}]}\n"
    )
    done = checkov(files)
    findings = re.findall(r"Check: (\S+): (.*)\n\s*FAILED for resource: (\S+)\n\s*File: \S*?([^/\s]+):", done.stdout)
    assert "CKV_K8S_16" in {check for check, _, _, file in findings if file == "careless.yaml"}, done.stdout + done.stderr
    unexplained = [finding for finding in findings if finding[3] != "careless.yaml"]
    assert not unexplained, unexplained
