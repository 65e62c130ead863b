#!/usr/bin/env python3
"""Prints what the image holds as a CycloneDX document: the crates that are built in, and the packages of the C library."""

import json
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def crates(package):
    """Crates that end up in the binary of a package, without those that only build or test it."""
    command = ["cargo", "tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}|{l}"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    found = {}
    for line in lines:
        crate, licence = line.removesuffix(" (*)").split("|")
        name, version = crate.split(" ")[:2]
        version = version.removeprefix("v")
        entry = {"type": "library", "name": name, "version": version, "purl": f"pkg:cargo/{name}@{version}"}
        licence = licence.removesuffix(" (*)").replace("/", " OR ")
        if licence:
            entry["licenses"] = [{"expression": licence}]
        if checksums.get((name, version)):
            entry["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
        found[name, version] = entry
    return [found[key] for key in sorted(found)]


def packages(names):
    """Packages of the system whose files are brought along."""
    for name in names:
        shown = subprocess.run(["dpkg-query", "--show", "-f", "${Version}", name], check=True, capture_output=True, text=True)
        version = shown.stdout
        yield {"type": "library", "name": name, "version": version, "purl": f"pkg:deb/debian/{name}@{version}"}


def main():
    """The document."""
    package, version, *names = sys.argv[1:]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": package, "version": version, "purl": f"pkg:cargo/{package}@{version}"}},
        "components": [*crates(package), *packages(names)],
    }
    json.dump(document, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
