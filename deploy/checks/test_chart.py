"""What the chart refuses, and what it must hold whatever the values."""

import difflib
import os
import re
import subprocess
import tomllib

import pytest
import yaml

import schemas
import values_table
from chart import (
    CHART, COMBINATIONS, CRDS, DEPLOY, KUBERNETES, ROLES, Refused, helm, rendered, table, template, value_flags,
)

GOLDEN = DEPLOY / "checks" / "golden"
WORKLOADS = ("Deployment", "StatefulSet")


def test_helm_finds_nothing_to_say():
    for combination in COMBINATIONS:
        assert "0 chart(s) failed" in helm("lint", "--strict", ".", *value_flags(combination))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ("walker.replicaCont=2", "walker: Additional property replicaCont"),
        ("graphBuilder.autoscaling.enbled=true", "graphBuilder.autoscaling: Additional property enbled"),
        ("walkr.replicaCount=2", "Additional property walkr"),
        ("walker.replicaCount=two", "walker.replicaCount"),
        ("profiler.persistence.size=big", "profiler.persistence.size"),
        ("profiler.replicaCount=2", "profiler: Additional property replicaCount"),
        ("metrics.monitor=Podmonitor", "metrics.monitor"),
        ("walker.config.server.listen=0.0.0.0:1", "walker.config.server.listen: the chart sets this itself"),
        ("walker.config.profiler=http://x:1", "walker.config.profiler: the chart sets this itself"),
        ("profiler.config.path=/x", "profiler.config.path: the chart sets this itself"),
        ("tls.enabled=true", "tls.secrets."),
        ("walker.access.anonymous=king", "walker.access.anonymous"),
        ("walker.access.tokensSecretName=x", "walker.access.callerTokenSecretName"),
        ("walker.ingress.enabled=true", "walker.ingress.host"),
        ("walker.httpRoute.enabled=true", "walker.httpRoute.parentRefs"),
        ("walker.http.ingress.enabled=true", "walker.http.ingress.host"),
        ("walker.http.httpRoute.enabled=true", "walker.http.httpRoute.parentRefs"),
        ("walker.http.ingress.enabled=true,walker.http.enabled=false", "walker.http.ingress: set walker.http.enabled"),
        ("walker.http.externalUrl=example.com", "walker.http.externalUrl"),
        ("profiler.backup.upload.enabled=true", "profiler.backup.upload.image"),
        ("profiler.backup.upload.schedule=daily", "profiler.backup.upload.schedule"),
        ("walker.config.http.listen=0.0.0.0:1", "walker.config.http.listen: the chart sets this itself"),
        ("walker.config.lease-second=40", "walker.config: Additional property lease-second"),
        ("walker.config.parameters.evidence.graph=none-at-all", "walker.config.parameters.evidence.graph must be one of"),
        ("walker.config.lease-seconds=soon", "walker.config.lease-seconds: Invalid type. Expected: integer"),
        ("graphBuilder.config.threads=-1", "graphBuilder.config.threads: Must be greater than or equal to 0"),
        ("collector.config.sources.prod.uri=http://x:9090", "collector.config.sources.prod: Additional property uri"),
        ("profiler.config.schedule.export-hour=1", "profiler.config.schedule: Additional property export-hour"),
    ],
)
def test_wrong_values_are_refused_with_their_field_named(values, named):
    with pytest.raises(Refused) as refused:
        template("--set", values)
    assert named in str(refused.value)


def test_a_kubernetes_that_is_too_old_is_refused():
    with pytest.raises(Refused, match="1.26"):
        template(kubernetes="1.26")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_selectors_find_their_pods_and_ports_are_named(combination):
    documents = rendered(combination)
    pods = [
        (document["spec"]["template"]["metadata"]["labels"], document["spec"]["template"]["spec"])
        for document in documents
        if document["kind"] in WORKLOADS
    ]
    for document in documents:
        if document["kind"] == "Service":
            selected = [spec for labels, spec in pods if document["spec"]["selector"].items() <= labels.items()]
            assert len(selected) == 1, document["metadata"]["name"]
            names = {port["name"] for port in selected[0]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in document["spec"]["ports"]} <= names
        if document["kind"] == "PodDisruptionBudget":
            selector = document["spec"]["selector"]["matchLabels"].items()
            assert sum(selector <= labels.items() for labels, _ in pods) == 1
        if document["kind"] in ("PodMonitor", "ServiceMonitor"):
            selector = document["spec"]["selector"]["matchLabels"].items()
            assert sum(selector <= labels.items() for labels, _ in pods) == len(ROLES)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_what_leads_in_from_outside_names_a_service_and_its_port(combination):
    documents = rendered(combination)
    ports = {
        (document["metadata"]["name"], port[key])
        for document in documents
        if document["kind"] == "Service"
        for port in document["spec"]["ports"]
        for key in ("name", "port")
    }
    led = []
    for document in documents:
        for rule in document["spec"]["rules"] if document["kind"] == "Ingress" else []:
            backend = rule["http"]["paths"][0]["backend"]["service"]
            led.append((backend["name"], backend["port"]["name"]))
        for rule in document["spec"]["rules"] if document["kind"] == "HTTPRoute" else []:
            led += [(backend["name"], backend["port"]) for backend in rule["backendRefs"]]
    assert set(led) <= ports
    assert len(led) == (4 if combination == "exposed" else 0)


def test_links_in_messages_lead_to_where_people_reach_the_page():
    for values, url in (
        ("walker.http.externalUrl=https://a.example.com", "https://a.example.com"),
        ("walker.http.ingress.enabled=true,walker.http.ingress.host=b.example.com", "http://b.example.com"),
        ("walker.http.ingress.enabled=true,walker.http.ingress.host=b.example.com,walker.http.ingress.tlsSecretName=b", "https://b.example.com"),
    ):
        assert table(template("--set", values), "walker")["http"]["external-url"] == url


def test_monitors_and_rules_wait_for_their_crds():
    def kinds(apis):
        return {document["kind"] for document in template(apis=apis)} & {"PodMonitor", "ServiceMonitor", "PrometheusRule"}

    assert kinds(()) == set()
    assert kinds(("monitoring.coreos.com/v1/PrometheusRule",)) == {"PrometheusRule"}
    assert kinds(COMBINATIONS["large"][1]) == {"PodMonitor", "PrometheusRule"}


def test_labels_of_a_monitor_hide_none_of_the_metrics():
    # What the Prometheus operator puts on each target of a monitor, by its documentation.
    put = {"PodMonitor": {"namespace", "pod", "container", "endpoint", "job"}}
    put["ServiceMonitor"] = put["PodMonitor"] | {"service"}
    own = {"service", "system", "front_end", "metric", "stage", "outcome", "sink", "kind", "role", "version"}
    for kind, labels in put.items():
        (monitor,) = [d for d in template("--set", f"metrics.monitor={kind}", apis=CRDS) if d["kind"] == kind]
        schemas.check(monitor, KUBERNETES[-1])
        (endpoint,) = monitor["spec"]["podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"]
        rules = endpoint["relabelings"]
        dropped = [rule["regex"] for rule in rules if rule["action"] == "labeldrop"]
        left = {label for label in labels if not any(re.fullmatch(regex, label) for regex in dropped)}
        left |= {rule["targetLabel"] for rule in rules if rule["action"] == "replace"}
        assert {"namespace", "pod", "component"} <= left, kind
        assert not left & own, (kind, left & own)


def test_a_package_of_the_chart_holds_what_it_links_to(tmp_path):
    helm("package", ".", "--destination", tmp_path)
    (package,) = tmp_path.glob("automap-*.tgz")
    subprocess.run(["tar", "--extract", "--file", package, "--directory", tmp_path], check=True)
    assert template(*value_flags("everything"), apis=CRDS, chart=tmp_path / "automap") == list(rendered("everything"))


def test_the_chart_is_of_the_version_of_the_workspace_and_says_what_changed():
    workspace = tomllib.loads((DEPLOY.parent / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    told = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert told["appVersion"] == workspace
    notes = told["annotations"]
    (image,) = yaml.safe_load(notes["artifacthub.io/images"])
    assert image["image"] == f"automap:{workspace}"
    for change in yaml.safe_load(notes["artifacthub.io/changes"]):
        assert change["kind"] in ("added", "changed", "deprecated", "removed", "fixed", "security") and change["description"]
    upgrading = (CHART / "README.md").read_text().split("\n## Upgrading\n")[1].split("\n## ")[0]
    assert told["version"] in upgrading, "the README does not say what an upgrade to this version changes"


@pytest.mark.parametrize("combination", ["small", "large", "mesh", "everything"])
def test_renders_are_those_that_were_reviewed(combination):
    documents = [d for d in rendered(combination) if d["kind"] != "PrometheusRule" and "-dashboard-" not in d["metadata"]["name"]]
    # What all renders share in length and says nothing.
    text = "---\n".join(yaml.safe_dump(document, sort_keys=True, width=160) for document in documents)
    text = re.sub(r"(?m)^( *checksum/config: )[0-9a-f]{64}$", r"\1(digest)", text)
    path = GOLDEN / f"{combination}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    changed = list(difflib.unified_diff(path.read_text().splitlines(), text.splitlines(), "reviewed", "rendered", lineterm="", n=2))
    assert not changed, "review, then run `UPDATE_GOLDEN=1 bash .ci/deploy`:\n" + "\n".join(changed[:60])


def test_the_table_of_values_is_up_to_date():
    assert values_table.readme() == values_table.README.read_text(), "run deploy/checks/values_table.py"


def test_every_value_has_a_meaning_and_stands_in_the_schema(tmp_path):
    rows = values_table.rows((CHART / "values.yaml").read_text())
    assert len(rows) > 60
    with pytest.raises(values_table.Undocumented, match="walker.replicaCount"):
        values_table.rows("walker:\n  replicaCount: 2\n")
