#!/usr/bin/env python3
"""Writes the table of values into the chart's README: a row for every value, its meaning from the comment above it."""

import json
import pathlib
import re

import yaml

CHART = pathlib.Path(__file__).resolve().parent.parent / "helm" / "automap"
README = CHART / "README.md"
BEGIN, END = "<!-- values: deploy/checks/values_table.py -->\n", "<!-- end of values -->\n"


class Undocumented(Exception):
    """A value without a meaning."""


def rows(text):
    """Rows of key, default and meaning of a values file whose values are told by comments `# -- meaning`."""
    values = yaml.safe_load(text)
    found, path, meaning = [], [], []
    covered = None
    for line in text.splitlines():
        comment = re.match(r" *# (-- )?(.*)", line)
        if comment:
            if comment[1]:
                meaning = [comment[2]]
            elif meaning:
                meaning.append(comment[2])
            continue
        entry = re.match(r"( *)([A-Za-z][A-Za-z0-9]*):", line)
        if not entry:
            continue
        depth = len(entry[1]) // 2
        path = [*path[:depth], entry[2]]
        key = ".".join(path)
        if covered and key.startswith(covered + "."):
            continue
        value = values
        for name in path:
            value = value[name]
        if meaning:
            found.append((key, json.dumps(value), " ".join(meaning)))
            covered, meaning = key, []
        elif not (isinstance(value, dict) and value):
            raise Undocumented(f"{key} has no comment `# -- meaning` above it")
    return found


def readme():
    """The README as it should be."""
    text = README.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for key, default, meaning in rows((CHART / "values.yaml").read_text()):
        cells = (f"`{key}`", f"`{default}`", meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return head + BEGIN + "\n".join(lines) + "\n" + END + tail


if __name__ == "__main__":
    README.write_text(readme())
