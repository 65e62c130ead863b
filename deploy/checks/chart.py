"""Renders the chart with the real helm, for every combination of values that is checked."""

import functools
import os
import pathlib
import subprocess
import sys
import tomllib

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
CHART = DEPLOY / "helm" / "automap"
ROLES = ("collector", "graph-builder", "profiler", "walker")
HELM = pathlib.Path(sys.executable).with_name("helm")

MONITORING = ("PodMonitor", "ServiceMonitor", "PrometheusRule")
# What clusters offer beside Kubernetes itself.
CRDS = tuple(f"monitoring.coreos.com/v1/{kind}" for kind in MONITORING)

# The oldest Kubernetes that the chart allows, one in between, and the newest whose schemas are at hand.
KUBERNETES = ("1.27", "1.32", "1.37")

# Values by name: files beside the chart, files of this directory, and whether the cluster has the CRDs.
COMBINATIONS = {
    "default": ((), ()),
    "small": (("values-small.yaml",), CRDS),
    "large": (("values-large.yaml",), CRDS),
    "mesh": (("values-mesh.yaml",), CRDS),
    "tls-cert-manager": (("tls-cert-manager.yaml",), CRDS),
    "tls-secrets": (("tls-secrets.yaml",), ()),
    "tls-server-only": (("tls-server-only.yaml",), ()),
    "tls-tokens": (("tls-server-only.yaml", "tokens.yaml"), ()),
    "open": (("open.yaml",), ()),
    "exposed": (("exposed.yaml",), CRDS),
    "everything": (("values-large.yaml", "everything.yaml"), CRDS),
}


class Refused(Exception):
    """Helm would not render, and why."""


def helm(*arguments, chart=CHART):
    """Runs helm; its output."""
    command = [str(HELM), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=chart, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout


def template(*arguments, kubernetes=KUBERNETES[-1], apis=(), chart=CHART):
    """The documents of the chart in a release `automap` in namespace `diagnosis`."""
    flags = [flag for api in apis for flag in ("--api-versions", api)]
    text = helm(
        "template", "automap", ".", "--namespace", "diagnosis", "--kube-version", f"{kubernetes}.0", *flags, *arguments, chart=chart
    )
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def value_flags(combination):
    """The flags of a combination's files."""
    flags = []
    for name in COMBINATIONS[combination][0]:
        path = CHART / name
        flags += ["--values", path if path.exists() else DEPLOY / "checks" / "values" / name]
    return flags


@functools.cache
def rendered(combination, kubernetes=KUBERNETES[-1]):
    """The documents of a combination."""
    return tuple(template(*value_flags(combination), kubernetes=kubernetes, apis=COMBINATIONS[combination][1]))


def pods(documents):
    """Names, metadata and specs of all pods."""
    for document in documents:
        of = {
            "Deployment": lambda d: d["spec"]["template"], "StatefulSet": lambda d: d["spec"]["template"],
            "CronJob": lambda d: d["spec"]["jobTemplate"]["spec"]["template"], "Pod": lambda d: d,
        }.get(document["kind"])
        if of:
            yield document["metadata"]["name"], of(document)["metadata"], of(document)["spec"]


def find(documents, kind, name):
    """The one document of this kind and name."""
    (found,) = [d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


def release(combination):
    """What names of a combination's objects begin with."""
    return "rca" if combination == "open" else "automap"


def configuration(documents, role, name="automap"):
    """The configuration file of a role, in a release whose objects have this name."""
    return find(documents, "ConfigMap", f"{name}-{role}")["data"]["automap.toml"]


def table(documents, role, name="automap"):
    """The table of a role in its configuration file."""
    return tomllib.loads(configuration(documents, role, name))[role]


def binary():
    """The built command, which tells what a configuration is worth."""
    default = DEPLOY.parent / "target" / "release" / "automap"
    path = pathlib.Path(os.environ.get("AUTOMAP_BINARY", default))
    assert path.exists(), f"{path} is missing: run `bash .ci/test`, which builds it, or set AUTOMAP_BINARY"
    return path
