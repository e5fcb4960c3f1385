"""The CustomResourceDefinitions, generated from the pydantic models: structural schemas with CEL rules.

What pydantic says in JSON Schema is rewritten into the subset that the API server takes (apiextensions v1): no
references, no null, no titles. Where a field carries a CEL rule, the schema keyword that would fail first
(pattern, minimum, …) is left out, because a schema failure hides the rule and users would not see our message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from edgeramp.api.common import ApiPart
from edgeramp.api.edgemodel import EdgeModel
from edgeramp.api.optimizationrun import OptimizationRun
from edgeramp.api.rollout import Rollout
from edgeramp.values.names import GROUP, VERSION

Schema = dict[str, Any]

RULES = "x-kubernetes-validations"
OPEN = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
# Bounds for what the model leaves open in a spec: CEL's cost is estimated from them.
MAX_LENGTH, MAX_ITEMS, MAX_PROPERTIES = 256, 64, 64
# A rule with a message stands for these keywords; maxLength stays, the cost of the rule is estimated from it.
_SPOKEN_FOR = ("pattern", "minLength", "minimum", "maximum", "minItems")
_KEPT = (
    "description", "type", "format", "enum", "default", "pattern", "minLength", "maxLength", "minimum",
    "maximum", "minItems", "maxItems", "minProperties", "maxProperties", "required", RULES,
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; priority 1 shows only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def wire(self) -> Schema:
        column: Schema = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": self.priority} if self.priority else {})


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_MESSAGE = Column("Message", ".status.message")  # last: kubectl pads every column to its longest entry


@dataclass(frozen=True)
class Kind:
    """One kind of the API and how kubectl shows it."""

    model: type[ApiPart]
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    scale: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.model.__name__

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{GROUP}"


KINDS = (
    Kind(
        EdgeModel,
        "edgemodels",
        ("em",),
        (
            Column("Phase", ".status.phase"),
            Column("Task", ".spec.task", priority=1),
            Column("Source", ".spec.source.uri", priority=1),
            Column("Revision", ".status.revision"),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        OptimizationRun,
        "optimizationruns",
        ("eor",),
        (
            Column("Model", ".spec.model"),
            Column("Target", ".spec.target.name"),
            Column("Phase", ".status.phase"),
            Column("Progress", ".status.progress"),
            Column("Framework", ".status.winner.framework"),
            Column("Precision", ".status.winner.precision"),
            Column("Node", ".status.node", priority=1),
            _AGE,
            _MESSAGE,
        ),
    ),
    Kind(
        Rollout,
        "rollouts",
        ("ero",),
        (
            Column("Model", ".spec.server.modelName"),
            Column("Target", ".spec.target.name"),
            Column("Phase", ".status.phase"),
            Column("Framework", ".spec.server.framework"),
            Column("Precision", ".spec.server.precision"),
            Column("Step", ".status.step"),
            Column("Weight", ".status.weight", "integer"),
            Column("Verdict", ".status.verdict"),
            Column("Stable", ".status.stable.revision", priority=1),
            Column("Candidate", ".status.candidate.revision", priority=1),
            Column("Next", ".status.next", priority=1),
            _AGE,
            _MESSAGE,
        ),
        {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
)


def crd(kind: Kind) -> Schema:
    """The whole CustomResourceDefinition of `kind`, keys in a fixed order."""
    subresources: Schema = {"status": {}}
    if kind.scale:
        subresources["scale"] = dict(kind.scale)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["edgeramp"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [c.wire() for c in kind.columns],
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _root(kind: Kind) -> Schema:
    doc = " ".join((kind.model.__doc__ or "").split())
    if not doc:
        module = __import__(kind.model.__module__, fromlist=["__doc__"])
        doc = " ".join((module.__doc__ or "").split("\n\n")[0].split())
    return {
        "description": doc,
        "type": "object",
        "required": ["spec"],
        **_rules(kind.model),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(_annotation(kind.model, "spec"), bounded=True),
            "status": structural(_annotation(kind.model, "status"), bounded=False),
        },
    }


def _rules(model: type[BaseModel]) -> Schema:
    """The class-level CEL rules as a schema keyword, if there are any."""
    rules = [
        {"rule": c.rule, "message": c.message} | ({"fieldPath": c.field_path} if c.field_path else {})
        for c in getattr(model, "CEL", ())
    ]
    return {RULES: rules} if rules else {}


def _annotation(model: type[BaseModel], name: str) -> type[BaseModel]:
    annotation = model.model_fields[name].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{model.__name__}.{name} must be a pydantic model, not {annotation!r}")
    return annotation


def structural(model: type[BaseModel], bounded: bool) -> Schema:
    """The structural schema of `model`. `bounded` (a spec): every string, list and map is bounded, defaults are kept.

    A status has neither, and no rules: the operator writes it whole, what the API server fills in must not look
    like a finding, and a status must never be lost to a rule that speaks to users.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _Rewriter(schema.pop("$defs", {}), bounded).rewrite(schema)


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with the class-level CEL rules and whole defaults (factories included)."""

    def model_schema(self, schema: Any) -> Schema:
        result: Schema = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        result |= _rules(model)
        for name, info in model.model_fields.items():
            prop = result["properties"][info.alias or name]
            prop.pop("default", None)
            default = _default(info)
            if default is not None:
                prop["default"] = default
        return result


def _default(info: FieldInfo) -> Any:
    """The default as it goes on the wire, None where there is none. It is whole: the API server judges it by the CEL
    rules without filling in the defaults inside."""
    if info.is_required():
        return None
    return _wire(info.get_default(call_default_factory=True, validated_data={}))


def _wire(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True, exclude_none=True)
        case list() | tuple():
            return [_wire(v) for v in value]
        case _:
            return value


class _Rewriter:
    def __init__(self, definitions: Mapping[str, Schema], bounded: bool) -> None:
        self._definitions = definitions
        self._bounded = bounded

    def rewrite(self, schema: Schema) -> Schema:
        """One schema node and all below it."""
        node = self._resolved(schema)
        if "const" in node:
            node = {k: v for k, v in node.items() if k != "const"} | {"enum": [node["const"]]}
        result = {k: node[k] for k in _KEPT if k in node}
        if "description" in result:
            result["description"] = " ".join(result["description"].split())
        if not self._bounded:
            result = {k: v for k, v in result.items() if k not in ("default", RULES, *_SPOKEN_FOR)}
        if RULES in result:
            result = {k: v for k, v in result.items() if k not in _SPOKEN_FOR}
        if "type" not in result:
            types = {o.get("type") for o in node.get("anyOf", ())}
            return {INT_OR_STRING if types == {"integer", "string"} else OPEN: True}
        match result["type"]:
            case "object":
                self._object(node, result)
            case "array":
                result["items"] = self.rewrite(node["items"])
                self._bound(result, "maxItems", MAX_ITEMS)
            case "string" if "enum" not in result:
                self._bound(result, "maxLength", MAX_LENGTH)
        return _ordered(result)

    def _resolved(self, schema: Schema) -> Schema:
        """References inlined, `X | None` as X; what the field says wins over the type, rules are joined."""
        node = dict(schema)
        for key in ("anyOf", "oneOf", "allOf"):
            options = [o for o in node.get(key, ()) if o.get("type") != "null"]
            if len(options) == 1:
                del node[key]
                node = _merged(self._resolved(options[0]), node)
        if "$ref" in node:
            name = node.pop("$ref").removeprefix("#/$defs/")
            node = _merged(self._resolved(self._definitions[name]), node)
        return node

    def _object(self, node: Schema, result: Schema) -> None:
        extra = node.get("additionalProperties")
        if "properties" in node:
            result["properties"] = {k: self.rewrite(v) for k, v in node["properties"].items()}
            if "conditions" in result["properties"]:
                result["properties"]["conditions"] |= {
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                }
        elif isinstance(extra, dict) and extra:
            result["additionalProperties"] = self.rewrite(extra)
            self._bound(result, "maxProperties", MAX_PROPERTIES)
        else:
            result[OPEN] = True

    def _bound(self, result: Schema, keyword: str, limit: int) -> None:
        if self._bounded:
            result.setdefault(keyword, limit)


def _merged(base: Schema, over: Schema) -> Schema:
    rules = [*base.get(RULES, ()), *over.get(RULES, ())]
    return base | over | ({RULES: rules} if rules else {})


def _ordered(schema: Schema) -> Schema:
    last = ("properties", "additionalProperties", "items")
    return {k: v for k, v in schema.items() if k not in last} | {k: schema[k] for k in last if k in schema}
