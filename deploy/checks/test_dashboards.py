"""Dashboards: what Grafana loads, and expressions that have data in a real Prometheus."""

import json
import re

import pytest
import yaml
from grafana_foundation_sdk.models import dashboard as grafana

from chart import DEPLOY, find, rendered
from prometheus import Monitoring

PATHS = sorted((DEPLOY / "dashboards").glob("*.json"))

# What Grafana puts in place of variables. Windows are short, as the data are young.
VARIABLES = {
    "$__rate_interval": "10s", "$namespace": "diagnosis", "$preset": "pymicro", "$service": ".*", "$system": ".*", "$window": "5s", "$before": "3s",
}


@pytest.fixture(scope="module")
def prometheus(running, diagnosed, testbed, tmp_path_factory):
    """A Prometheus that has seen the testbed, and the services after a diagnosis."""
    started = Monitoring(running, testbed, tmp_path_factory.mktemp("prometheus"))
    yield started
    started.stop()


def panels(board):
    """All panels but rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board):
    """Title and expression of every query with variables filled in; whether it may be empty."""
    found = [(panel["title"], target["expr"]) for panel in panels(board) for target in panel["targets"]]
    found += [(annotation["name"], annotation["expr"]) for annotation in board["annotations"]["list"]]
    for title, expression in found:
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression, f"{title}: a variable that nobody sets: {expression}"
        yield title, expression


def load(path):
    """A dashboard."""
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_grafana_knows_it(path):
    board = load(path)
    loaded = grafana.Dashboard.from_json(board)
    assert loaded.uid == board["uid"] and loaded.title == board["title"]
    assert len(loaded.panels) == len(board["panels"])
    assert {variable.name for variable in loaded.templating.list_val} == {v["name"] for v in board["templating"]["list"]}
    assert "__inputs" not in board and "id" not in board
    sources = re.findall(r'"uid": "([^"]*)"', path.read_text())
    assert set(sources) == {board["uid"], "${datasource}"}
    names = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)", path.read_text())) <= names


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_panels_are_told_apart_and_do_not_overlap(path):
    board = load(path)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in panels(board):
        assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_expression_has_data(path, prometheus):
    for _, expression in expressions(load(path)):
        if expression.startswith("ALERTS"):
            prometheus.query(expression)
            continue
        # Some panels show only what is not zero.
        prometheus.wait_for(expression.removesuffix(" > 0"))


@pytest.mark.parametrize("name", ["automap", "pymicro"])
def test_every_recording_rule_has_data(name, prometheus):
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules" / f"{name}.yaml").read_text())["groups"]
    records = [rule for group in groups for rule in group["rules"] if "record" in rule]
    assert len(records) >= 5
    for rule in records:
        prometheus.wait_for(rule["record"])


def test_the_metric_that_scales_graph_builders_has_data(prometheus):
    (rule,) = yaml.safe_load((DEPLOY / "prometheus" / "adapter-values.yaml").read_text())["rules"]["custom"]
    prometheus.wait_for(rule["seriesQuery"])
    (series,) = {sample["metric"]["__name__"] for sample in prometheus.query(rule["seriesQuery"])}
    # As the adapter asks for the pods of a Deployment.
    matchers = 'namespace="diagnosis",pod=~"graph-builder-0|graph-builder-1"'
    expression = rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.LabelMatchers>>", matchers).replace("<<.GroupBy>>", "pod")
    assert [sample["metric"] for sample in prometheus.query(expression)] == [{"pod": "graph-builder-0"}]
    (scaler,) = [document for document in rendered("everything") if document["kind"] == "HorizontalPodAutoscaler"]
    assert rule["name"]["as"] in {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"] if metric["type"] == "Pods"}


def test_all_services_of_the_testbed_have_all_seven_metrics(prometheus):
    for metric in ("latency_seconds", "throughput_per_second", "congestion", "availability", "cpu_cores", "memory_bytes", "io_bytes_per_second"):
        prometheus.wait_for(f'count(app:{metric}{{preset="pymicro"}}) == 16')


def test_variables_have_values(prometheus):
    for path in PATHS:
        for variable in load(path)["templating"]["list"]:
            if variable["type"] == "query":
                query = variable["query"]["query"].replace("$preset", "pymicro")
                selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
                prometheus.wait_for(f'{selector} and on ({label}) count by ({label}) ({selector}) and {selector}')


def test_an_expression_without_data_and_one_that_is_wrong_are_found(prometheus, monkeypatch):
    monkeypatch.setattr("prometheus.PATIENCE", 1)
    with pytest.raises(AssertionError, match="no data"):
        prometheus.wait_for("grpc_server_no_such_metric")
    with pytest.raises(AssertionError, match="parse error"):
        prometheus.query("rate(grpc_server_started_total[5m)")


def test_the_chart_installs_them_whole():
    for path in PATHS:
        found = find(rendered("everything"), "ConfigMap", f"automap-dashboard-{path.stem}")
        assert json.loads(found["data"][f"automap-{path.stem}.json"]) == load(path)
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
