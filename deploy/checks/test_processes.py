"""What the chart says, tried with the real command: configuration, flows, notes, metrics."""

import json
import re
import subprocess
import urllib.request

import pytest
import yaml

import flows
from chart import CHART, COMBINATIONS, CRDS, DEPLOY, ROLES, binary, configuration, find, release, rendered, template, value_flags


def accepted(role, text, home):
    """What `automap config show` says of a configuration file: exit code and errors."""
    file = home / f"{role}.toml"
    file.write_text(text)
    command = [binary(), "config", "show", role, "--config", file, "--output", "json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_automap_takes_every_rendered_configuration(combination, tmp_path):
    for role in ROLES:
        done = accepted(role, configuration(rendered(combination), role, release(combination)), tmp_path)
        assert done.returncode == 0, done.stderr
        values = {entry["key"]: entry["value"] for entry in json.loads(done.stdout)}
        port = flows.PORTS[role]
        assert values[f"{role}.server.listen"].endswith(f":{port}")
        assert values[f"{role}.server.admin-listen"].endswith(f":{flows.ADMIN}")


def test_values_arrive_with_their_types(tmp_path):
    done = accepted("walker", configuration(rendered("everything"), "walker"), tmp_path)
    values = {entry["key"]: entry["value"] for entry in json.loads(done.stdout)}
    assert values["walker.server.drain-seconds"] == 45
    assert values["walker.parameters.automap.alpha"] == 0.01
    assert values["walker.parameters.automap.ci-test"] == "g2"
    assert values["walker.server.access.anonymous"] == "read"
    assert values["walker.server.access.tokens"] == "/etc/automap/access/tokens.toml"
    assert values["walker.sinks.chat.systems"] == ["shop", "bank"]
    (rule,) = values["walker.alerts.rules"]
    assert rule["where"] == {"severity": "critical|page", "alertname": ".*"}
    assert rule["front-end"]["regex"] == "(.*)-svc" and rule["front-end"]["default"] == "web"


def test_automap_refuses_a_typo_that_helm_was_told_to_let_through_by_name_and_line(tmp_path):
    documents = template("--skip-schema-validation", "--set", "walker.config.server.drain-secnds=5")
    done = accepted("walker", configuration(documents, "walker"), tmp_path)
    assert done.returncode == 2
    assert re.search(r"walker.toml:\d+: unknown key walker.server.drain-secnds; did you mean walker.server.drain-seconds", done.stderr)


def test_the_services_open_the_flows_that_policies_allow_and_no_others(running, diagnosed):
    answer, seen = diagnosed
    assert json.loads(answer)
    by_port = {int(service.address.rsplit(":", 1)[1]): role for role, service in running.by_role.items()}
    opened = {(source, by_port[other]) for source, own, other in seen if own not in by_port and other in by_port}
    assert not {name for name, own, other in seen if own not in by_port and other not in by_port and name != "caller"}
    between = {(source, target) for source, target, port, _ in flows.allowed(rendered("default")) if port == flows.PORTS.get(target)}
    # An incident this small is not spread over graph-builders.
    between -= {("graph-builder", "graph-builder")}
    designed = {("caller" if source == "test" else source, target) for source, target in between if source != "neighbour"}
    assert opened == designed


def notes(combination, tmp_path, *values, apis=None):
    """NOTES.txt as `helm install` prints it: rendered as a document, since `helm template` leaves it out."""
    chart = tmp_path / "chart"
    tmp_path.mkdir(exist_ok=True)
    subprocess.run(["cp", "-rL", CHART, chart], check=True)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text('{{- define "notes" }}' + text + "{{- end }}")
    (chart / "templates" / "notes.yaml").write_text('notes: {{ include "notes" . | toJson }}\nkind: Notes\nmetadata: {name: notes}\n')
    apis = COMBINATIONS[combination][1] if apis is None else apis
    (found,) = [d for d in template(*value_flags(combination), *values, apis=apis, chart=chart) if d["kind"] == "Notes"]
    return found["notes"]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_notes_hold_a_path_of_at_most_five_commands_that_name_what_is_there(combination, tmp_path):
    documents, text = rendered(combination), notes(combination, tmp_path)
    commands = [line.strip() for line in text.splitlines() if line.startswith("   ")]
    assert 4 <= len(commands) <= 5, text
    walker = re.search(r"rollout status deployment/(\S+)", text)[1]
    assert find(documents, "Deployment", walker)
    forwarded = re.search(r"port-forward deployment/(\S+) ([\d ]+) &", text)
    (container,) = find(documents, "Deployment", forwarded[1])["spec"]["template"]["spec"]["containers"]
    ports = {str(port["containerPort"]) for port in container["ports"]}
    assert ports - {str(flows.ADMIN)} == set(forwarded[2].split())
    assert all(f"127.0.0.1:{port}" in text for port in forwarded[2].split())
    secure = "https://127.0.0.1" in text
    assert secure == combination.startswith("tls")
    if secure:
        secret = re.search(r"get secret (\S+)", text)[1]
        pod = find(documents, "Pod", "automap-test-diagnosis")
        assert secret in {volume.get("secret", {}).get("secretName") for volume in pod["spec"]["volumes"]}
        name = re.search(r"--server-name (\S+)", text)[1]
        for certificate in [d for d in documents if d["kind"] == "Certificate" and d["metadata"]["name"] == name]:
            assert name in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize(
    ("values", "answer", "told"),
    [
        ("walker.ingress.enabled=true,walker.ingress.host=a", "networkPolicy.callers=null", "networkPolicy.callers to"),
        ("walker.service.type=LoadBalancer", "networkPolicy.enabled=false", "networkPolicy.callers to"),
        ("walker.service.type=NodePort", "networkPolicy.callers[0].ipBlock.cidr=10.0.0.0/8", "networkPolicy.callers to"),
        (
            "walker.http.ingress.enabled=true,walker.http.ingress.host=a",
            "networkPolicy.httpCallers[0].namespaceSelector.matchLabels.name=ingress", "networkPolicy.httpCallers to",
        ),
        ("dashboards.enabled=true", "metrics.presetRules={kubernetes}", "metrics.presetRules"),
        ("metrics.rules=true", "metrics.labels.release=kube-prometheus-stack", "metrics.labels is empty"),
    ],
)
def test_notes_tell_what_keeps_others_out_until_it_is_answered(values, answer, told, tmp_path):
    assert told in notes("large", tmp_path / "without", "--set", values)
    assert told not in notes("large", tmp_path / "with", "--set", values, "--set", answer)
    assert "networkPolicy.callers to" not in notes("exposed", tmp_path / "exposed")


@pytest.mark.parametrize(
    ("monitor", "rules", "presets", "missing", "told"),
    [
        ("PodMonitor", "true", "", (), ["metrics.labels is empty"]),
        ("PodMonitor", "false", "", ("PrometheusRule",), ["metrics.labels is empty"]),
        ("none", "false", "kubernetes", (), ["metrics.labels is empty", "metrics.monitor is none"]),
        ("none", "false", "kubernetes", ("PrometheusRule",), ["metrics.presetRules installs nothing", "metrics.monitor is none"]),
        ("PodMonitor", "false", "", ("PodMonitor",), ["the cluster has no PodMonitors"]),
    ],
)
def test_notes_on_metrics_speak_of_what_is_installed(monitor, rules, presets, missing, told, tmp_path):
    values = f"metrics.monitor={monitor},metrics.rules={rules}" + (f",metrics.presetRules={{{presets}}}" if presets else "")
    apis = tuple(api for api in CRDS if api.rsplit("/", 1)[1] not in missing)
    text = notes("default", tmp_path, "--set", values, apis=apis)
    sentences = ("metrics.labels is empty", "metrics.presetRules installs nothing", "metrics.monitor is none", "the cluster has no PodMonitors")
    assert [sentence for sentence in sentences if sentence in text] == told


def test_the_last_command_of_the_notes_diagnoses(running, tmp_path):
    text = notes("default", tmp_path)
    command = re.search(r"automap demo .*", text)[0]
    here = command.replace("127.0.0.1:4310", running.by_role["walker"].address).replace("automap ", f"{binary()} ")
    done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "root cause" in done.stdout


def test_the_test_pod_runs_commands_that_diagnose(running, tmp_path):
    spec = find(rendered("default"), "Pod", "automap-test-diagnosis")["spec"]
    for container in spec["initContainers"] + spec["containers"]:
        arguments = [argument.replace("/incident/", f"{tmp_path}/") for argument in container["args"]]
        arguments = [f"http://{running.by_role['walker'].address}" if a.startswith("http://") else a for a in arguments]
        done = subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


def test_values_that_the_readme_shows_are_taken(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 4
    for number, block in enumerate(blocks):
        values = tmp_path / f"{number}.yaml"
        values.write_text(json.dumps(yaml.safe_load(block)))
        documents = template("--values", values)
        for role in ROLES:
            done = accepted(role, configuration(documents, role), tmp_path)
            assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_backup_and_restore_work_as_operations_tell(running, tmp_path):
    told = re.findall(r"(?m)^automap (store (?:backup|import) .*)$", (DEPLOY / "OPERATIONS.md").read_text())
    assert [command.split()[1] for command in told] == ["backup", "import"]
    for command in told:
        here = command.replace("127.0.0.1:4313", running.by_role["profiler"].address).replace("/backup/automap", str(tmp_path))
        if "NAME.export" in here:
            (export,) = tmp_path.glob("*.export")
            here = here.replace("NAME.export", export.name)
        done = subprocess.run([binary(), *here.split()], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{here}: {done.stderr}"


def test_tokens_are_made_as_operations_tell(tmp_path):
    text = (DEPLOY / "OPERATIONS.md").read_text()
    told = re.findall(r"(?m)^(automap access .*|kubectl -n automap create secret generic automap-(?:tokens|caller) .*) *(?:\| kubectl apply -f -)?$", text)
    made = {}
    for command in told:
        here = command.removesuffix("| kubectl apply -f -").replace("automap access", f"{binary()} access")
        done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{here}: {done.stderr}"
        if command.startswith("kubectl"):
            secret = yaml.safe_load(done.stdout)
            made[secret["metadata"]["name"]] = set(secret["data"])
    values = dict(re.findall(r"--set (walker\.access\.\w+)=(\S+)", text))
    assert made[values["walker.access.tokensSecretName"]] == {"tokens.toml"}
    assert made[values["walker.access.callerTokenSecretName"]] == {"token"}
    assert template("--set", ",".join(f"{key}={value}" for key, value in values.items()))


def test_rules_and_dashboards_name_metrics_that_the_services_have(running, diagnosed):
    there = set()
    for service in running.by_role.values():
        with urllib.request.urlopen(f"http://{service.admin}/metrics", timeout=60) as answer:
            there |= set(re.findall(r"(?m)^([a-z_]+)\{?[^\n]* ", answer.read().decode()))
    text = (DEPLOY / "prometheus" / "rules" / "automap.yaml").read_text()
    text += (DEPLOY / "dashboards" / "health.json").read_text() + (DEPLOY / "dashboards" / "diagnosis.json").read_text()
    text += (DEPLOY / "prometheus" / "adapter-values.yaml").read_text()
    named = set(re.findall(r"\b((?:grpc_server|process|automap)_[a-z_]+)\b", text))
    assert {"automap_build_info", "grpc_server_in_flight", "automap_newest_diagnosis_score"} <= named
    # What the adapter makes, and what graph-builders without others do not have.
    named -= {"automap_builds_in_flight", "automap_peers"}
    assert named <= there, named - there


def test_the_preflight_pods_check_sources_by_the_collectors_configuration(testbed, tmp_path):
    sources = {"shop": {"url": testbed.prometheus, "preset": "pymicro"}, "other": {"url": testbed.prometheus, "preset": "istio"}}
    documents = template(f"--set-json=collector.config.sources={json.dumps(sources)}")
    file = tmp_path / "automap.toml"
    file.write_text(configuration(documents, "collector"))

    def preflight(number):
        (container,) = find(documents, "Pod", f"automap-test-source-{number}")["spec"]["containers"]
        arguments = [argument.replace("/etc/automap/automap.toml", str(file)) for argument in container["args"]]
        return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60, check=False)

    empty, found = preflight(1), preflight(2)
    assert found.returncode == 0 and "16 of 16" in found.stdout, found.stderr + found.stdout
    assert empty.returncode == 3 and "nothing of preset istio" in empty.stdout, empty.stderr + empty.stdout
