"""`automap experiment run --driver kubernetes`: real kubectl and Prometheus, a cluster in memory."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

from chart import DEPLOY, binary
from cluster import CHAOS, KINDS, NAMESPACE, Cluster
from prometheus import PATIENCE, Prometheus
from pymicro_manifests import CALLS

PLAN = """
rounds = 2
seed = 4
methods = ["evidence", "n-sigma"]
times = {normal = "15s", fault = "8s", recovery = "1s"}
metrics = {step = "1s", lag = "2s"}
faults = [{kind = "cpu-stress"}, {kind = "network-delay", latency_ms = 250.0}]
"""


@pytest.fixture(scope="module")
def cluster():
    """The cluster, up to the end of the module."""
    started = Cluster()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def prometheus(cluster, tmp_path_factory):
    """A Prometheus that scrapes its services."""

    def target(service, namespace=NAMESPACE):
        return {"targets": [cluster.address], "labels": {"service": service, "namespace": namespace}}

    scraped = [
        {"job_name": name, "metrics_path": f"/metrics/{name}", "static_configs": [target(name)]}
        for name in CALLS
    ]
    # What else is scraped in a cluster: the kubelet, and a service of another namespace.
    scraped.append({"job_name": "kubelet", "metrics_path": "/metrics/cadvisor", "static_configs": [target("kubelet", "kube-system")], "honor_labels": True})
    processes = [{"action": "keep", "source_labels": ["__name__"], "regex": "process_.*"}]
    scraped.append(
        {"job_name": "operator", "metrics_path": "/metrics/view", "static_configs": [target("operator", "monitoring")], "metric_relabel_configs": processes}
    )
    started = Prometheus({"scrape_configs": scraped}, tmp_path_factory.mktemp("prometheus"))
    started.wait_for("count(pymicro_request_duration_seconds_count) == 16")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def home(cluster, tmp_path_factory):
    """A directory with kubectl's configuration and a plan."""
    place = tmp_path_factory.mktemp("experiment")
    (place / "plan.toml").write_text(PLAN)
    configuration = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://{cluster.address}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here"}}],
    }
    (place / "kubeconfig").write_text(yaml.safe_dump(configuration))
    return place


class Run:
    """The experiment as a process, which goes on where an earlier one was."""

    def __init__(self, home, prometheus, *more):
        command = [binary(), "experiment", "run", "--plan", "plan.toml", "--out", "run", "--driver", "kubernetes"]
        self.errors = home / "errors"
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")}
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*map(str, command), "--source", prometheus.url, *more], cwd=home, stdout=subprocess.DEVNULL, stderr=errors, env=environment
            )

    def until(self, true):
        """Waits until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert self.process.poll() is None, self.errors.read_text()
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"it does not become true:\n{self.errors.read_text()}")
            time.sleep(0.05)

    def end(self, patience=PATIENCE):
        """Its exit code, and what it said."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return code, self.errors.read_text()


def rounds(home):
    """The rounds that are recorded."""
    return json.loads((home / "run" / "experiment.json").read_text())["rounds"]


def test_faults_are_removed_by_signals_at_once_after_kills_later_and_the_experiment_goes_on(cluster, prometheus, home):
    interrupted = Run(home, prometheus)
    interrupted.until(cluster.active)
    interrupted.process.send_signal(signal.SIGTERM)
    code, said = interrupted.end()
    assert code == 1, said
    assert "interrupted; faults were removed" in said
    assert not cluster.chaos and not rounds(home)

    killed = Run(home, prometheus)
    killed.until(cluster.active)
    killed.process.kill()
    killed.end()
    assert cluster.chaos, "nobody was there to remove it"
    begun = len(cluster.created)

    code, said = Run(home, prometheus).end(4 * PATIENCE)
    assert code == 0, said
    assert not cluster.chaos and not cluster.refused
    assert len(cluster.created) == begun + 2, "a round that was not finished is done again, and no other"
    assert "round 2 of 2" in said and "automap experiment report run" in said
    for made, done in zip(cluster.created[begun:], rounds(home), strict=True):
        spec = made["spec"]
        assert spec["selector"] == {"namespaces": [NAMESPACE], "labelSelectors": {"app.kubernetes.io/name": done["service"]}}
        assert spec["duration"] == "68s", "it ends by itself when nobody removes it"
        assert made["kind"].lower() in KINDS
    slow = next(made for made in cluster.created if made["kind"] == "NetworkChaos")
    assert slow["spec"]["delay"]["latency"] == "250ms"


def test_what_was_recorded_is_what_evaluate_reads_and_the_report_counts(home):
    """Needs the rounds of the test before."""
    done = rounds(home)
    assert len(done) == 2
    for number, one in enumerate(done, start=1):
        incident = home / "run" / "pymicro" / f"round-{number:02}"
        assert sorted(path.name for path in incident.iterdir()) == ["call_graph.csv", "incident.json", "label.json", "metrics.csv"]
        columns = (incident / "metrics.csv").read_text().splitlines()[0]
        assert "view_cpu" in columns and "operator" not in columns
        label = json.loads((incident / "label.json").read_text())
        assert label["root_cause_services"] == [one["service"]] and label["fault_type"] == one["fault"]
        known = json.loads((incident / "incident.json").read_text())
        assert known["front_end"] == "view" and "root_cause" not in json.dumps(known)
        assert 8 <= known["anomaly_end"] - known["anomaly_start"] < 60
        assert len((incident / "call_graph.csv").read_text().splitlines()) == 1 + sum(map(len, CALLS.values()))
        for method in ("evidence", "n-sigma", "evidence-learned"):
            assert json.loads((home / "run" / "answers" / f"round-{number:02}" / f"{method}.json").read_text())["ranking"]

    def command(*arguments):
        ended = subprocess.run([str(binary()), *arguments], cwd=home, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    report = json.loads(command("experiment", "report", "run", "--output", "json", "--html", "report.html"))
    assert [one["service"] for one in report["experiment"]["rounds"]] == [one["service"] for one in done]
    anew = json.loads(command("evaluate", "run", "--method", "evidence", "--method", "n-sigma", "--seed", "4", "--output", "json"))
    of_run, of_evaluate = report["evaluation"], anew
    for incident, again in zip(of_run["incidents"], of_evaluate["incidents"], strict=True):
        assert {name: incident["answers"][name] for name in again["answers"]} == again["answers"]
    page = (home / "report.html").read_text()
    assert "The experiment" in page and "<svg" in page and "http://" not in page.replace("http://www.w3.org/", "")


def test_expressions_for_a_silent_service_and_for_stress_are_such_and_tell_of_all_services(prometheus):
    text = (DEPLOY / "EXPERIMENT.md").read_text()
    expressions = dict(re.findall(r"--expression '(\w+)=(.*?)'", text))
    assert set(expressions) == {"throughput", "latency", "cpu", "memory"}
    for expression in expressions.values():
        found = prometheus.query(expression.replace("$window", "5s"))
        assert {sample["metric"]["service"] for sample in found} == set(CALLS)


def test_the_cluster_refuses_what_its_schemas_do(cluster):
    """So that what it took above was right."""
    (fault,) = yaml.safe_load_all((DEPLOY / "chaos" / "network-delay.yaml").read_text())
    fault["spec"]["delay"]["latancy"] = "5ms"
    address = f"http://{cluster.address}/apis/{CHAOS}/namespaces/{NAMESPACE}/networkchaos"
    request = urllib.request.Request(address, json.dumps(fault).encode(), {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)
    assert refused.value.code == 422 and "latancy" in json.load(refused.value)["message"]


def test_an_application_that_is_not_there_is_told_before_anything_is_harmed(cluster, prometheus, home):
    before = len(cluster.created)
    other = home / "elsewhere"
    other.mkdir()
    for name in ("plan.toml", "kubeconfig"):
        (other / name).write_text((home / name).read_text())
    code, said = Run(other, prometheus, "--namespace", "shop").end()
    assert code == 1 and "is not in namespace shop" in said, said
    code, said = Run(other, prometheus, "--kubectl", "/nowhere/kubectl").end()
    assert code == 1 and "--kubectl" in said, said
    assert len(cluster.created) == before
