"""Checks documents against the schemas of Kubernetes and of custom resources. Unknown fields are faults."""

import functools
import json
import os
import pathlib

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils


# It reads all definitions of a version anew for every document.
utils.schema_contents = functools.cache(utils.schema_contents)


class Invalid(Exception):
    """A document that a cluster would refuse, or would take without one of its fields."""


def crd_directory():
    """Where the CustomResourceDefinitions are."""
    path = pathlib.Path(os.environ["AUTOMAP_SCHEMAS"]) / "crds"
    assert path.is_dir(), f"{path} is missing: set AUTOMAP_SCHEMAS"
    return path


@functools.cache
def custom_resources():
    """Validators by apiVersion and kind."""
    validators = {}
    for path in sorted(crd_directory().glob("*.yaml")):
        for crd in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            for version in crd["spec"]["versions"]:
                key = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                schema = closed(version["schema"]["openAPIV3Schema"], root=True)
                validators[key] = jsonschema.Draft7Validator(schema)
    return validators


def closed(schema, root=False):
    """An OpenAPI schema as JSON schema, in which objects hold nothing but what is declared."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    result = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes") and key not in ("format", "default")}
    if "properties" in schema:
        result["properties"] = {name: closed(inner) for name, inner in schema["properties"].items()}
        if root:
            result["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    if isinstance(schema.get("items"), dict):
        result["items"] = closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = closed(schema["additionalProperties"])
    if result.pop("nullable", False) and "type" in result:
        result["type"] = [result["type"], "null"]
    return result


def check(document, kubernetes):
    """Checks a document for this minor version of Kubernetes."""
    # Combinations of values have many documents in common.
    _check(json.dumps(document), kubernetes)


@functools.cache
def _check(text, kubernetes):
    document = json.loads(text)
    kind, api = document["kind"], document["apiVersion"]
    name = f"{kind}/{document['metadata']['name']}"
    validator = custom_resources().get((api, kind))
    if validator:
        for fault in validator.iter_errors(document):
            raise Invalid(f"{name}: {'.'.join(map(str, fault.path))}: {fault.message}")
        return
    try:
        kubernetes_validate.validate(document, kubernetes, strict=True)
    except kubernetes_validate.ValidationError as fault:
        raise Invalid(f"{name}: {'.'.join(map(str, fault.path))}: {fault.message}") from fault
    except kubernetes_validate.SchemaNotFoundError as fault:
        raise Invalid(f"{name}: {fault.message}, and no CRD for it is at hand") from fault
