"""The API server's rules without an API server: structural schema, defaults, CEL, as the generated CRDs have them.

As the server does (apiextensions v1): the schema first, and CEL only on what fits it, with defaults filled in. Rules that
compare with an older object (oldSelf) need that object and are not looked at."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import celpy
import jsonschema
from celpy import adapter, celtypes
from kubernetes.utils.quantity import parse_quantity

from edgeramp.api.crd import INT_OR_STRING, KINDS, OPEN, RULES, Schema, crd

Path = tuple[str | int, ...]
"""Where in a document: keys and indices from its root."""


@dataclass(frozen=True)
class Broken:
    """A rule that a document breaks."""

    path: Path
    message: str


KIND_NAMES = tuple(kind.name for kind in KINDS)


def broken(document: Mapping[str, Any]) -> list[Broken]:
    """Every rule that `document`, of one of our kinds, breaks; the schema's where it breaks any, else CEL's."""
    kind = str(document["kind"])
    found = list(_of_schema(kind, document))
    if found:
        return found
    schema, whole = schema_of(kind), copy.deepcopy(dict(document))
    _fill(schema, whole)
    return list(_of_cel(schema, whole, ()))


@cache
def schema_of(kind: str) -> Schema:
    """The structural schema of a kind."""
    found = next(k for k in KINDS if k.name == kind)
    root: Schema = crd(found)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_strict(schema_of(kind), top=True))


def _of_schema(kind: str, document: Mapping[str, Any]) -> Iterator[Broken]:
    errors = _validator(kind).iter_errors(document)
    for error in sorted(errors, key=lambda e: list(map(str, e.absolute_path))):
        where = tuple(error.absolute_path)
        match error.validator:
            case "additionalProperties":
                known = error.schema["properties"]
                for name in (n for n in error.instance if n not in known):
                    near = difflib.get_close_matches(name, known, 1)
                    hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(sorted(known))}"
                    yield Broken((*where, name), f"unknown field; {hint}")
            case "required":
                for name in (n for n in error.validator_value if n not in error.instance):
                    yield Broken((*where, name), "is required")
            case "type":
                yield Broken(
                    where,
                    f"must be {error.validator_value}, not {_kind_of(error.instance)}; {_quoted(error)}",
                )
            case "enum":
                yield Broken(where, f"write one of {', '.join(map(str, error.validator_value))}")
            case _:
                yield Broken(where, error.message)


def _quoted(error: jsonschema.ValidationError) -> str:
    """How to write a value of the right type."""
    value = error.instance
    scalar = isinstance(value, (bool, int, float))
    if error.validator_value == "string" and scalar:
        return f'write it in quotes: "{str(value).lower() if isinstance(value, bool) else value}"'
    return f"write {'an' if str(error.validator_value)[0] in 'aio' else 'a'} {error.validator_value}"


def _kind_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _strict(node: Schema, top: bool = False) -> Schema:
    """The schema as JSON Schema, where an unknown field is an error as with kubectl's strict validation."""
    made = {
        k: v
        for k, v in node.items()
        if not k.startswith("x-") and k not in ("description", "default", "format")
    }
    if node.get(INT_OR_STRING):
        made |= {"type": ["integer", "string"]}
    if "properties" in node:
        made["properties"] = {name: _strict(child) for name, child in node["properties"].items()}
        if top:
            made["properties"] |= {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {},
            }
            made["properties"]["status"] = {}
        if not node.get(OPEN):
            made["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(node["additionalProperties"])
    if "items" in node:
        made["items"] = _strict(node["items"])
    return made


def _fill(node: Schema, value: Any) -> None:
    """Defaults, in place."""
    if isinstance(value, dict):
        for name, child in node.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = copy.deepcopy(child["default"])
            if name in value:
                _fill(child, value[name])
        if isinstance(node.get("additionalProperties"), dict):
            for item in value.values():
                _fill(node["additionalProperties"], item)
    if isinstance(value, list) and "items" in node:
        for item in value:
            _fill(node["items"], item)


def _of_cel(node: Schema, value: Any, where: Path) -> Iterator[Broken]:
    for rule in node.get(RULES, ()):
        if "oldSelf" in rule["rule"]:
            continue
        if not _program(rule["rule"]).evaluate({"self": adapter.json_to_cel(value)}):
            at = tuple(part for part in rule.get("fieldPath", "").split(".") if part)
            yield Broken((*where, *at), rule["message"])
    if isinstance(value, dict):
        extra = node.get("additionalProperties")
        for name, item in value.items():
            child = node.get("properties", {}).get(name) or (extra if isinstance(extra, dict) else None)
            if child is not None:
                yield from _of_cel(child, item, (*where, name))
    if isinstance(value, list) and "items" in node:
        for index, item in enumerate(value):
            yield from _of_cel(node["items"], item, (*where, index))


@cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule), functions=_KUBERNETES)


def _amount(text: object) -> Decimal | None:
    """A Kubernetes quantity as a number; None for what is none."""
    try:
        return Decimal(parse_quantity(str(text)))  # type: ignore[no-untyped-call]
    except ValueError:
        return None


# Functions of Kubernetes' CEL that plain CEL lacks, as far as our rules use them.
_KUBERNETES: dict[str, Any] = {
    "isQuantity": lambda text: celtypes.BoolType(_amount(text) is not None),
    "quantity": lambda text: celtypes.DoubleType(float(_amount(text) or 0)),
    "isGreaterThan": lambda one, other: celtypes.BoolType(one > other),
    "lowerAscii": lambda text: celtypes.StringType(str(text).lower()),
}
