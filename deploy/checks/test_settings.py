"""Every setting of AutoMAP can be set by values of the chart, or is the chart's own; and there are no others."""

import json

import pytest

import config_schema
from chart import ROLES, configuration, table, template
from test_processes import accepted

# Values of settings that have no default, or whose default fits nothing else that is set here.
SAMPLES = {
    "recordings-root": "/recordings", "server.access.anonymous": "read", "server.access.calls-at-once": 3,
    "server.access.calls-per-minute": 60, "server.access.certificates.NAME.identity": "spiffe://example.com/web",
    "server.access.tokens": "/tokens/tokens.toml",
    "sources.NAME.url": "https://example.com", "sources.NAME.preset": "istio", "sources.NAME.bearer-token-file": "/t", "sources.NAME.end-offset": "30s",
    "sources.NAME.expressions": {"latency": "x"}, "sources.NAME.units": {"latency": "seconds"}, "sources.NAME.headers": {"X-Scope-OrgID": "shop"},
    "sources.NAME.labels": {"default": "service"}, "sources.NAME.proxy": "http://proxy:3128", "sources.NAME.rename": {"a": "b"},
    "sources.NAME.scrape-interval": "15s", "sources.NAME.variables": {"namespace": "shop"},
    "learn.NAME.graph-window-minutes": 10, "learn.NAME.preset": "istio", "learn.NAME.source": "prod", "learn.NAME.system": "shop",
    "parameters.automap.alpha": 0.01, "parameters.edges.forbidden": "a->b", "parameters.edges.forced": "b->c", "waiting-callers": 4,
    "alerts.rules": [{"source": {"default": "prod"}, "system": {"label": "namespace"}, "front-end": {"label": "service"}}],
    "sinks.NAME.url": "https://example.com", "sinks.NAME.bearer-token-file": "/t", "sinks.NAME.template-file": "/t", "sinks.NAME.systems": ["shop"],
    "client.token-file": "/t",
}
FILES = ("ca", "certificate", "key", "client-ca")
# What contradicts another setting of the same table stands in a second one, with what belongs to it.
SECOND = {
    "sources.NAME": {"url": "https://example.com", "username": "ada", "password-file": "/p"},
    "learn.NAME": {"recording": "yesterday"},
    "sinks.NAME": {"kind": "pagerduty", "routing-key-file": "/k", "url-file": "/u"},
}


# Values with which the chart sets most itself.
MOST = [
    "--set=tls.enabled=true,profiler.backup.enabled=true,walker.http.externalUrl=https://example.com,walker.access.anonymous=read,"
    "walker.access.tokensSecretName=tokens,walker.access.callerTokenSecretName=caller,"
    + ",".join(f"tls.secrets.{name}=certificate" for name in (*config_schema.KEYS.values(), "caller"))
]


def paths(settings, path=()):
    """Settings of a table."""
    for key, value in settings.items():
        yield from paths(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]


def sample(path, schema):
    """A value for a setting."""
    name = ".".join(path)
    if name in SAMPLES:
        return SAMPLES[name]
    if path[-2:-1] == ("tls",):
        return {"server-name": "example.com", "reload-seconds": 7}.get(path[-1], f"/{path[-1]}.pem")
    assert schema.get("default") not in (None, "", [], {}), f"{name} needs a sample"
    return schema["default"]


def put(settings, path, value):
    """Sets a value of a table."""
    for key in path[:-1]:
        settings = settings.setdefault(key, {})
    settings[path[-1]] = value


@pytest.mark.parametrize("role", ROLES)
def test_every_setting_can_be_set_by_values_or_is_set_by_the_chart(role, tmp_path):
    given, charts = {}, set(paths(table(template(*MOST), role)))
    for path, schema in config_schema.leaves(config_schema.told()[role]):
        named = ".".join(path[: path.index("NAME") + 1]) if "NAME" in path else ""
        inner = path[path.index("NAME") + 1 :] if named else path
        if path in charts:
            continue
        if named in SECOND and inner[0] in SECOND[named] and inner[0] not in ("url", "kind"):
            put(given, tuple("second" if key == "NAME" else key for key in path), SECOND[named][inner[0]])
            continue
        put(given, tuple("first" if key == "NAME" else key for key in path), sample(path, schema))
    for named, values in SECOND.items():
        if named.split(".")[0] in given:
            given[named.split(".")[0]]["second"] |= values
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps({config_schema.KEYS[role]: {"config": given}}))
    documents = template(*MOST, "--values", values)
    written = table(documents, role)
    for path in paths(given):
        found = written
        for key in path:
            found = found[key]
        expected = given
        for key in path:
            expected = expected[key]
        assert found == expected, path
    done = accepted(role, configuration(documents, role), tmp_path)
    assert done.returncode == 0, done.stderr
    # So that no setting was forgotten: what is left at its default contradicts another one.
    left = {entry["key"] for entry in json.loads(done.stdout) if entry["origin"]["layer"] == "default" and ".second." not in entry["key"]}
    contradicting = {f"{role}.{named.replace('NAME', 'first')}.{key}" for named, values in SECOND.items() for key in values}
    assert left <= contradicting, left - contradicting


def test_the_schema_holds_the_settings_of_the_command():
    assert config_schema.SCHEMA.read_text() == config_schema.text(), "run deploy/checks/config_schema.py"
