"""The presets hold what was measured, with a margin: the table of OPERATIONS.md, and what each may have under way at once."""

import re

import pytest

from chart import COMBINATIONS, DEPLOY, ROLES, find, rendered, table

# The services of an application that each preset is for.
SERVICES = {"small": 100, "default": 1000, "large": 2000}
# How much more than needed a pod may take, at least.
MARGIN = 1.4
MIB = 2**20 / 1e6
UNITS = {"Mi": MIB, "Gi": 1024 * MIB}


def measured():
    """By the number of services: the frame, and what each service held at most, MB; what one holds idle is of role `idle`."""
    text = (DEPLOY / "OPERATIONS.md").read_text().split("\n## Sizing\n")[1].split("\n## ")[0]
    rows = re.findall(r"(?m)^\| (\d+) \| (\d+) MB \| (\d+) MB \| " + r" \| ".join([r"(\d+) MB"] * len(ROLES)) + r" \|$", text)
    names = ("frame", "idle", *ROLES)
    return {int(services): dict(zip(names, map(int, row), strict=True)) for services, *row in rows}


def megabytes(quantity):
    """A quantity of memory as Kubernetes writes it."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * UNITS[unit]


def needed(documents, held):
    """What a pod of each role needs with all that its configuration lets it do at once, MB."""
    tables = {role: table(documents, role) for role in ROLES}
    pods = {role: find(documents, "Deployment", f"automap-{role}")["spec"].get("replicas", 0) for role in ROLES if role != "profiler"}
    idle = held["idle"] / len(ROLES)
    more = {role: held[role] - idle for role in ROLES}
    walker, builder, profiler = tables["walker"], tables["graph-builder"], tables["profiler"]
    at_once = walker["concurrent-diagnoses"]
    # Walkers call collectors in turn, which is not quite evenly.
    collecting = 2 * -(-pods["walker"] * at_once // pods["collector"])
    return {
        "collector": idle + collecting * more["collector"],
        "walker": idle + at_once * more["walker"],
        "graph-builder": idle + builder["concurrent-builds"] * more["graph-builder"]
        + builder["queued-builds"] * held["frame"] + builder["input-cache-mib"] * MIB,
        # It is asked for a moment of each diagnosis, and has 100,000 incidents.
        "profiler": idle + pods["walker"] * at_once / 2 * more["profiler"] + profiler.get("cache-mib", 64) * MIB + 200,
    }


@pytest.mark.parametrize("preset", SERVICES)
def test_limits_hold_what_was_measured_with_a_margin(preset):
    documents, held = rendered(preset), measured()[SERVICES[preset]]
    need = needed(documents, held)
    margins = []
    for role in ROLES:
        kind = "StatefulSet" if role == "profiler" else "Deployment"
        (container,) = find(documents, kind, f"automap-{role}")["spec"]["template"]["spec"]["containers"]
        limit = megabytes(container["resources"]["limits"]["memory"])
        assert limit >= MARGIN * need[role], (role, need[role], limit)
        assert megabytes(container["resources"]["requests"]["memory"]) >= held[role], "a request holds one diagnosis"
        margins.append(f"{limit / need[role]:.1f}")
    (name,) = [f"`{file}`" for file in COMBINATIONS[preset][0]] or ["none"]
    most = table(documents, "graph-builder")["max-services"]
    row = f"| {name} | {SERVICES[preset]} | {most} | {', '.join(margins)} |"
    assert row in (DEPLOY / "OPERATIONS.md").read_text().splitlines(), f"OPERATIONS.md does not say {row}"


@pytest.mark.parametrize("preset", SERVICES)
def test_frames_of_the_application_are_taken_and_much_larger_ones_are_not(preset):
    documents = rendered(preset)
    frame = measured()[SERVICES[preset]]["frame"]
    for role in ("collector", "graph-builder", "walker"):
        assert 2 * frame <= table(documents, role)["server"]["max-frame-mib"] * MIB <= 20 * frame
    assert SERVICES[preset] < table(documents, "graph-builder")["max-services"] <= 3 * SERVICES[preset]
