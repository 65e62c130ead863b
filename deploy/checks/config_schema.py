#!/usr/bin/env python3
"""Writes the keys of AutoMAP's configuration file into the chart's schema, as `automap config schema` tells them.

So helm refuses a key that does not exist, and a value of the wrong type, before anything is installed.
"""

import json
import subprocess

from chart import CHART, ROLES, binary

SCHEMA = CHART / "values.schema.json"
KEYS = {role: role.replace("graph-builder", "graphBuilder") for role in ROLES}


def told():
    """What the command says, by role."""
    command = [str(binary()), "config", "schema", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)["properties"]


def translated(schema):
    """A schema in the words of JSON schema 7, which helm knows; without defaults and meaning, which are AutoMAP's own."""
    result = {key: value for key, value in schema.items() if key in ("type", "minimum", "const")}
    choices = [translated(choice) for choice in schema.get("oneOf", schema.get("anyOf", ()))]
    if choices:
        # As a list of words, helm's refusal names them.
        words = [word for choice in choices for word in ([choice["const"]] if "const" in choice else choice.get("enum", []))]
        assert words, f"a choice between other things than words: {schema}"
        result["enum"] = words + [None for choice in choices if choice.get("type") == "null"]
    if "properties" in schema:
        result["properties"] = {key: translated(inner) for key, inner in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in schema:
            result[name] = translated(schema[name]) if isinstance(schema[name], dict) else schema[name]
    return result


def text():
    """The chart's schema as it should be."""
    schema = json.loads(SCHEMA.read_text())
    for role, keys in told().items():
        schema["properties"][KEYS[role]]["properties"]["config"] = {"$ref": f"#/$defs/{KEYS[role]}Config"}
        schema["$defs"][f"{KEYS[role]}Config"] = translated(keys)
    return json.dumps(schema, indent=2) + "\n"


def leaves(schema, path=()):
    """Every setting of a role that has no settings within: its path, with NAME for names of one's own choosing, and its schema."""
    inner = schema.get("additionalProperties")
    if schema.get("properties"):
        for key, part in schema["properties"].items():
            yield from leaves(part, (*path, key))
    elif isinstance(inner, dict) and inner.get("properties"):
        yield from leaves(inner, (*path, "NAME"))
    else:
        yield path, schema


if __name__ == "__main__":
    SCHEMA.write_text(text())
