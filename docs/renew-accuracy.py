#!/usr/bin/env python3
"""Puts the figures of an evaluation into the tables of docs/accuracy.md.

    automap evaluate DATA --ablations --output json > evaluation.json
    python3 docs/renew-accuracy.py evaluation.json

A table is found by its first row. Rows that the evaluation does not hold stay as they are; the text between tables
is for a person to read again.
"""

import json
import pathlib
import sys

PAGE = pathlib.Path(__file__).with_name("accuracy.md")
SYSTEMS = {"nezha-ob": "Online Boutique", "nezha-tt": "Train Ticket", "petshop": "PetShop"}
ORDER = list(SYSTEMS)


def short(value):
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else text


def signed(value):
    text = f"{value + 0.0:+.2f}"
    return "+.00" if text == "-0.00" else text[0] + text[2:] if text[1] == "0" else text


def interval(figure, form=short):
    return f"{form(figure['value'])} ({form(figure['low'])} to {form(figure['high'])})"


def gain(figure, with_interval):
    text = interval(figure, signed) if with_interval else signed(figure["value"])
    return f"**{text}**" if figure["low"] > 0 or figure["high"] < 0 else text


def method_rows(evaluation):
    by_set = {d["name"]: {m["method"]: m for m in d["methods"]} for d in evaluation["datasets"]}
    for mean in evaluation["mean"]:
        method = mean["method"]
        cells = [" ".join(short(by_set[name][method][k]) for k in ("ac1", "ac3", "ac5", "avg5")) for name in ORDER]
        cells.append(" ".join(short(mean[k]) for k in ("ac1", "ac3", "ac5", "avg5")))
        cells += ["{} to {}".format(*map(short, mean["intervals"][k])) for k in ("ac1", "avg5")]
        yield f"`{method}`", cells


def gain_rows(evaluation):
    for against in evaluation["gains"]:
        on = {part["dataset"]: part for part in against["on"]}
        cells = [gain(on["mean"]["ac1"], True), gain(on["mean"]["avg5"], True)]
        cells += [gain(on[name]["avg5"], False) for name in ORDER]
        over = against["over"]
        yield (over.removeprefix("evidence, ") if over.startswith("evidence, ") else f"`{over}`"), cells


def metric_rows(evaluation):
    for row in evaluation["root_cause_metric"]:
        if row["dataset"] == "all":
            yield f"`{row['method']}`", [short(row[k] or 0) for k in ("ac1", "ac2", "with_service", "given_service")]


def confidence_rows(evaluation):
    for row in evaluation["confidence"]:
        if row["method"] == "evidence":
            name = SYSTEMS.get(row["dataset"], row["dataset"])
            keys = ("ac1", "ac1_of_confident_half", "discrimination", "named", "ac1_when_named", "ac1_when_abstained")
            yield f"{name} ({row['incidents']})", ["–" if row[k] is None else short(row[k]) for k in keys]


def reliability_rows(evaluation):
    for row in evaluation["confidence"]:
        if row["method"] == "evidence" and row["dataset"] == "all":
            names = ["least sure", "group 2", "group 3", "group 4", "surest"]
            for name, group in zip(names, row["calibration"]):
                low, high = map(short, group["interval"])
                right = f"{short(group['right'])} ({low} to {high})"
                yield name, [str(group["incidents"]), short(group["confidence"]), right]


TABLES = {
    "method | Online Boutique (54)": method_rows,
    "over | mean AC@1": gain_rows,
    "against | mean AC@1": gain_rows,
    "method | first metric right": metric_rows,
    "incidents | AC@1 | most confident half": confidence_rows,
    "answers | incidents | confidence stated": reliability_rows,
}


def main():
    evaluation = json.loads(pathlib.Path(sys.argv[1]).read_text())
    rows, lines = {}, []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("|"):
            rows = {}
        for head, make in TABLES.items():
            if line.startswith(f"| {head}"):
                rows = dict(make(evaluation))
        name = line.split("|")[1].strip() if line.startswith("|") else ""
        lines.append(f"| {name} | {' | '.join(rows[name])} |" if name in rows else line)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
