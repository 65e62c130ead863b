"""NetworkPolicies let through the arrows of the design, and nothing else."""

import copy

import pytest

import flows
from chart import COMBINATIONS, find, rendered, template


@pytest.mark.parametrize("combination", ["default", "small", "large", "tls-cert-manager", "tls-secrets"])
def test_policies_are_the_arrows_of_the_design(combination):
    assert flows.allowed(rendered(combination)) == flows.designed()


def test_without_policies_everything_is_open():
    found = flows.allowed(rendered("open"))
    assert ("stranger", "profiler", 4313, "TCP") in found
    assert ("collector", "stranger", 443, "TCP") in found


def test_a_policy_too_wide_or_too_narrow_is_found():
    documents = copy.deepcopy(rendered("default"))
    profiler = find(documents, "NetworkPolicy", "automap-profiler")
    profiler["spec"]["ingress"][0]["from"].append({"namespaceSelector": {}})
    assert flows.allowed(documents) - flows.designed() == {
        (source, "profiler", 4313, "TCP") for source in ("neighbour", "stranger", "alertmanager", "prometheus", "dns")
    }
    documents = copy.deepcopy(rendered("default"))
    walker = find(documents, "NetworkPolicy", "automap-walker")
    del walker["spec"]["egress"][0]
    assert flows.designed() - flows.allowed(documents) == {("walker", "collector", 4311, "TCP")}


def test_collectors_and_their_preflight_reach_sources_once_there_are_any():
    source = "--set-json=collector.config.sources={\"main\":{\"url\":\"http://prometheus.monitoring.svc:9090\",\"preset\":\"kubernetes\"}}"
    more = flows.allowed(template(source)) - flows.designed()
    assert more == {
        flow for source in ("collector", "preflight") for flow in {(source, "prometheus", 9090, "TCP")} | flows.names(source)
    }


def test_alertmanager_reaches_the_webhook_and_walkers_their_sinks_once_there_are_any():
    alerts = "--set-json=walker.config.alerts.rules=[{\"source\":{\"default\":\"main\"}}]"
    assert flows.allowed(template(alerts)) - flows.designed() == {("alertmanager", "walker", flows.HTTP, "TCP")}
    sinks = "--set-json=walker.config.sinks={\"chat\":{\"kind\":\"slack\"}}"
    assert flows.allowed(template(sinks)) - flows.designed() == {("walker", "internet", 443, "TCP")}


def test_backups_reach_the_profiler_and_the_outside_once_they_are_uploaded():
    more = flows.allowed(template("--set", "profiler.backup.upload.enabled=true,profiler.backup.upload.image=rclone")) - flows.designed()
    assert more == {("backup", "profiler", 4313, "TCP"), ("backup", "internet", 443, "TCP")} | flows.names("backup")


def test_names_are_looked_up_where_values_say():
    pods = "--set-json=networkPolicy.dns=[{\"namespaceSelector\":{\"matchLabels\":{\"kubernetes.io/metadata.name\":\"openshift-dns\"}}}]"
    found = flows.allowed(template("--set", "networkPolicy.dnsPorts={5353}"))
    looked_up = {flow for source in ("walker", "graph-builder", "test") for flow in flows.names(source)}
    assert flows.designed() - found == looked_up
    assert found - flows.designed() == {flow for source in ("walker", "graph-builder", "test") for flow in flows.names(source, 5353)}
    assert flows.designed() - flows.allowed(template(pods)) == looked_up


def test_callers_and_egress_are_what_values_say():
    found = flows.allowed(rendered("exposed"))
    assert ("neighbour", "walker", 4310, "TCP") not in found
    assert ("neighbour", "walker", 4314, "TCP") not in found
    assert ("test", "walker", 4310, "TCP") in found
    observed = "--set-json=profiler.extraEgress=[{\"to\":[{\"namespaceSelector\":{}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":4317}]}]"
    more = flows.allowed(template(observed)) - flows.designed()
    assert ("profiler", "stranger", 4317, "TCP") in more
    assert ("profiler", "dns", 53, "UDP") in more
    assert all(source == "profiler" for source, *_ in more)


def test_every_pod_has_a_policy():
    for combination in set(COMBINATIONS) - {"open"}:
        documents = rendered(combination)
        policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
        for pod in flows.chart_pods(documents):
            assert any(flows.selects(policy["spec"]["podSelector"], pod.labels) for policy in policies), pod.name
