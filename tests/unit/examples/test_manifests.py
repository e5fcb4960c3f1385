"""Everything under examples/ is what the API accepts, and examples/bad what it refuses or reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from edgeramp.api.edgemodel import EdgeModel
from edgeramp.api.rollout import Rollout

EXAMPLES = Path(__file__).parents[3] / "examples"
MODELS = {"EdgeModel": EdgeModel, "Rollout": Rollout}
REFUSED = {"invalid-ratio": "accuracyRetention", "weight-140": "setWeight"}


class Strict(yaml.SafeLoader):
    """YAML whose mappings say each key once: kubectl takes the last of two without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: {sorted(twice)} written twice"
        return dict(super().construct_mapping(node, deep))


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.load_all(path.read_text(), Strict) if d]


def ours(*patterns: str) -> list[Path]:
    return sorted(p for pattern in patterns for p in EXAMPLES.glob(pattern))


def unknown(given: Any, known: Any, at: str = "spec") -> list[str]:
    """Paths in `given` that are lost on the way through the typed model."""
    if isinstance(given, dict) and isinstance(known, dict):
        lost = [f"{at}.{key}" for key in given if key not in known]
        return lost + [
            path for key in given if key in known for path in unknown(given[key], known[key], f"{at}.{key}")
        ]
    if isinstance(given, list) and isinstance(known, list):
        return [
            path
            for i, (a, b) in enumerate(zip(given, known, strict=True))
            for path in unknown(a, b, f"{at}[{i}]")
        ]
    return []


@pytest.mark.parametrize("path", ours("*.yaml", "bad/*.yaml"), ids=lambda p: p.stem)
def test_a_manifest_is_accepted_with_every_field_known_or_refused_for_the_field_it_is_about(
    path: Path,
) -> None:
    for document in documents(path):
        if document["kind"] not in MODELS:
            continue
        model = MODELS[document["kind"]]
        if path.stem in REFUSED:
            with pytest.raises(ValidationError, match=REFUSED[path.stem]):
                model.model_validate(document)
        else:
            typed = model.model_validate(document)
            assert unknown(document["spec"], typed.spec.wire()) == []


def test_the_revisions_of_digits_differ_in_their_source_only() -> None:
    first, *others = [
        documents(EXAMPLES / f"{n}.yaml")[0]["spec"] for n in ("digits", "digits-v2", "digits-slow")
    ]
    for other in others:
        assert other["source"] != first["source"]
        assert {k: v for k, v in other.items() if k != "source"} == {
            k: v for k, v in first.items() if k != "source"
        }
