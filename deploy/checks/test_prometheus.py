"""Recording rules and alerts, by promtool."""

import re
import shutil
import subprocess

import pytest
import yaml

from chart import CRDS, DEPLOY, Refused, find, rendered, template

PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))


def promtool(*arguments, cwd=PROMETHEUS):
    """Runs promtool: whether it is content, and what it says."""
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=cwd, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_rules_parse_and_record_and_alert_as_tested():
    content, said = promtool("check", "rules", *RULES)
    assert content, said
    content, said = promtool("test", "rules", *TESTS)
    assert content, said


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("automap.yaml", "> 0.05", "> 0.5"),
        ("automap.yaml", 'grpc_code="ResourceExhausted"', 'grpc_code="Unavailable"'),
        ("automap.yaml", "> 3", "> 30"),
        ("automap.yaml", "< 0.15", "< 0.05"),
        ("automap.yaml", "< 2 *", "< 1 *"),
        ("automap.yaml", 'outcome!="cancelled"', 'outcome!="failed"'),
        ("automap.yaml", 'outcome!="taken"', 'outcome="taken"'),
        ("automap.yaml", "min_over_time(automap_sink_queued", "max_over_time(automap_sink_queued"),
        ("istio.yaml", "/ 1000", "/ 1"),
        ("kubernetes.yaml", 'container!="",', ""),
        ("opentelemetry.yaml", '"5.."', '"4.."'),
        ("node-exporter.yaml", 'mode!="idle",', ""),
    ],
)
def test_a_wrong_rule_fails(file, right, wrong, tmp_path):
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "rules" / file
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    test = "automap.yaml" if file == "automap.yaml" else "presets.yaml"
    content, said = promtool("test", "rules", f"tests/{test}", cwd=tmp_path / "prometheus")
    assert not content, said


def test_alertmanager_sends_to_the_webhook_of_the_chart():
    file = PROMETHEUS / "alertmanager.yaml"
    done = subprocess.run(["amtool", "check-config", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    name, namespace, port, path = re.search(r"http://([^.]+)\.([^.]+)\.svc:(\d+)(/\S+)", file.read_text()).groups()
    assert (namespace, path) == ("automap", "/api/v1/alerts")
    service = find(rendered("default"), "Service", name)
    assert int(port) in {port["port"] for port in service["spec"]["ports"]}


def rules_of(path):
    """The rules of a file."""
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def test_the_chart_installs_the_rules_of_presets_that_values_name():
    def installed(*values):
        found = [d for d in template(*values, apis=CRDS) if d["kind"] == "PrometheusRule"]
        return {d["metadata"]["name"]: d["spec"] for d in found}

    own = yaml.safe_load((PROMETHEUS / "rules" / "automap.yaml").read_text())
    assert installed() == {"automap": own}
    presets = {path.stem: yaml.safe_load(path.read_text()) for path in RULES if path.stem != "automap"}
    assert len(presets) == 6
    every = installed("--set", f"metrics.rules=false,metrics.presetRules={{{','.join(presets)}}}")
    assert every == {f"automap-preset-{name}": rules for name, rules in presets.items()}
    for name in ("application", "diagnosis"):
        read = set(re.findall(r"app:[a-z_]+", (DEPLOY / "dashboards" / f"{name}.json").read_text()))
        recorded = {rule["record"] for rules in every.values() for group in rules["groups"] for rule in group["rules"]}
        assert read and read - {"app:"} <= recorded
    with pytest.raises(Refused, match="metrics.presetRules"):
        template("--set", "metrics.presetRules={cloud}")


# What only other rules are made of.
INNER = {"kubernetes:pod_service:owner"}


@pytest.mark.parametrize(("kind", "never"), [("alert", "vector(0) > 1"), ("record", "vector(12345.5)")])
def test_the_tests_fail_for_every_rule_and_alert_that_says_something_else(kind, never, tmp_path):
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    expected = set()
    for path in (tmp_path / "prometheus" / "rules").glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for rule in (rule for group in content["groups"] for rule in group["rules"] if kind in rule and rule[kind] not in INNER):
            rule["expr"] = never
            preset = rule.get("labels", {}).get("preset")
            expected.add(f'{rule[kind]}{{preset="{preset}"}}' if preset else rule[kind])
        path.write_text(yaml.safe_dump(content))
    content, said = promtool("test", "rules", *(f"tests/{test.name}" for test in TESTS), cwd=tmp_path / "prometheus")
    failed = set(re.findall(r"alertname: (\w+), time", said)) if kind == "alert" else {yaml.safe_load(name) for name in re.findall(r"expr: (\".*\"), time", said)}
    missing = {name for name in expected if not any(name in expression for expression in failed)}
    assert not content and not missing, f"{missing}\n{said}"


def test_alerts_say_what_to_do_and_are_explained():
    operations = (DEPLOY / "OPERATIONS.md").read_text()
    alerts = [rule for rule in rules_of(PROMETHEUS / "rules" / "automap.yaml") if "alert" in rule]
    assert len(alerts) == 15
    for alert in alerts:
        assert alert["labels"]["severity"] in ("info", "warning", "critical")
        assert alert["annotations"].keys() == {"summary", "description"}
        assert re.search(rf"`{alert['alert']}`", operations), f"{alert['alert']} is not in OPERATIONS.md"
