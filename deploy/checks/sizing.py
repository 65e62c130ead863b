#!/usr/bin/env python3
"""Measures what the four services hold while they diagnose incidents of many services, with the preset values-large.yaml.

    target/ci-venv-deploy/bin/python deploy/checks/sizing.py 300 1000 2000
    target/ci-venv-deploy/bin/python deploy/checks/sizing.py --at-once 4 500
"""

import argparse
import pathlib
import random
import re
import subprocess
import tempfile
import time

from chart import ROLES, binary, rendered
from services import Services

SAMPLES, INCIDENT = 720, 40
METRICS = ("latency", "throughput", "cpu", "io-read", "memory", "availability")


def write_incident(home, services):
    """A recorded incident: a tree of calls, a load that swings, and one service whose cpu and latency rise."""
    chance = random.Random(services)
    names = [f"s{number}" for number in range(services)]
    home.mkdir()
    parents = {name: names[(number - 1) // 4] for number, name in enumerate(names) if number}
    (home / "call_graph.csv").write_text("caller,callee\n" + "".join(f"{parent},{name}\n" for name, parent in parents.items()))
    (home / "incident.json").write_text(f'{{"system": "sizing", "front_end": "s0", "anomaly_start": {15 * (SAMPLES - INCIDENT)}}}')
    with (home / "metrics.csv").open("w") as file:
        file.write("timestamp," + ",".join(f"{name}_{metric}" for name in names for metric in METRICS) + "\n")
        load = 0.0
        for sample in range(SAMPLES):
            load = 0.9 * load + chance.gauss(0, 0.1)
            harmed = {names[-1]} if sample >= SAMPLES - INCIDENT else ()
            cells = []
            for name in names:
                worse = 5.0 if name in harmed else 1.0
                noise = [1 + 0.1 * chance.gauss(0, 1) for _ in METRICS]
                values = (0.01 * worse, 20 * (1 + 0.3 * load), 0.2 * worse, 1e5 * (1 + 0.3 * load), 1e8)
                cells += [f"{value * factor:.5g}" for value, factor in zip(values, noise, strict=False)] + ["1"]
            file.write(f"{15 * sample}," + ",".join(cells) + "\n")


def held(pid, field):
    """Memory of a process, MB: what it holds (VmRSS) or held at most (VmHWM)."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s*(\d+) kB", status)[1]) / 1000


def measure(services, at_once, home):
    """A line of the table, with so many diagnoses at once."""
    write_incident(home / "incident", services)
    frame = services * (len(METRICS) + 1) * SAMPLES * 8 / 1e6
    running = Services(rendered("large"), home)
    try:
        idle = sum(held(service.process.pid, "VmRSS") for service in running.by_role.values())
        command = [binary(), "diagnose", "incident", "--server", f"http://{running.by_role['walker'].address}"]
        began = time.monotonic()
        callers = [subprocess.Popen([*map(str, command)], cwd=home, stdout=subprocess.DEVNULL) for _ in range(at_once)]
        codes = [caller.wait(3600) for caller in callers]
        assert not any(codes), f"exit codes {codes}"
        seconds = time.monotonic() - began
        most = [held(running.by_role[role].process.pid, "VmHWM") for role in ROLES]
    finally:
        running.stop()
    return f"| {services} | {frame:.0f} MB | {idle:.0f} MB | " + " | ".join(f"{value:.0f} MB" for value in most) + f" | {seconds:.0f} s |"


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Memory of the services by the number of services of an application")
    parser.add_argument("services", type=int, nargs="+")
    parser.add_argument("--at-once", type=int, default=1, help="diagnoses at once")
    arguments = parser.parse_args()
    print("| services | a frame | all four, idle | " + " | ".join(ROLES) + " | took |")
    print("|---" * (4 + len(ROLES)) + "|")
    for services in arguments.services:
        with tempfile.TemporaryDirectory() as home:
            print(measure(services, arguments.at_once, pathlib.Path(home)), flush=True)


if __name__ == "__main__":
    main()
