"""Every document is one that a cluster takes whole."""

import copy

import pytest

import schemas
from chart import COMBINATIONS, KUBERNETES, find, rendered


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_document_fits_its_schema(combination, kubernetes):
    documents = rendered(combination, kubernetes)
    assert len(documents) > 15
    for document in documents:
        schemas.check(document, kubernetes)


def test_combinations_hold_every_custom_resource_and_every_optional_object():
    kinds = {document["kind"] for combination in COMBINATIONS for document in rendered(combination)}
    expected = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "Certificate", "HTTPRoute", "Ingress", "HorizontalPodAutoscaler", "CronJob"}
    assert expected <= kinds
    assert not kinds & {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret"}


def test_a_misspelt_field_is_found_at_any_depth():
    deployment = copy.deepcopy(find(rendered("default"), "Deployment", "automap-walker"))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["grcp"] = {}
    with pytest.raises(schemas.Invalid, match="grcp"):
        schemas.check(deployment, KUBERNETES[-1])
    monitor = copy.deepcopy(find(rendered("large"), "PodMonitor", "automap"))
    monitor["spec"]["podMetricsEndpoints"][0]["intervall"] = "30s"
    with pytest.raises(schemas.Invalid, match="intervall"):
        schemas.check(monitor, KUBERNETES[-1])
    del monitor["spec"]["podMetricsEndpoints"][0]["intervall"]
    monitor["spec"]["podMetricsEndpoints"][0]["interval"] = "soon"
    with pytest.raises(schemas.Invalid, match="soon"):
        schemas.check(monitor, KUBERNETES[-1])


def test_a_kind_without_schema_is_no_pass():
    with pytest.raises(schemas.Invalid, match="no CRD"):
        schemas.check({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}, KUBERNETES[-1])


def test_a_field_that_an_older_kubernetes_lacks_is_found():
    deployment = find(rendered("default", "1.37"), "Deployment", "automap-walker")
    with pytest.raises(schemas.Invalid, match="sleep"):
        schemas.check(deployment, "1.27")
