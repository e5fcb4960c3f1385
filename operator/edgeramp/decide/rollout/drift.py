"""Whether an object as served already says what we want: every field of the intent, whatever else is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgeramp.values.quantities import cpu_cores, memory_bytes

_QUANTITIES = {"cpu", "memory", "sizeLimit", "ephemeral-storage"}


def covers(have: Any, want: Any, key: str = "") -> bool:
    """Whether `have` has all of `want`. Lists of named things are matched by name, so additions do not count."""
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and all(_field(have, k, v) for k, v in want.items())
    if isinstance(want, Sequence) and not isinstance(want, str):
        return isinstance(have, Sequence) and not isinstance(have, str) and _list(have, want)
    return bool(have == want) or (key in _QUANTITIES and _same_quantity(str(have), str(want)))


def _field(have: Mapping[str, Any], key: str, want: Any) -> bool:
    if key not in have:
        return want in ({}, [], "", False)  # the API server leaves empty values out
    return covers(have[key], want, key)


def _list(have: Sequence[Any], want: Sequence[Any]) -> bool:
    if (
        want
        and all(isinstance(w, Mapping) and "name" in w for w in want)
        and len({w["name"] for w in want}) == len(want)
    ):
        named = {h.get("name"): h for h in have if isinstance(h, Mapping)}
        return all(w["name"] in named and covers(named[w["name"]], w) for w in want)
    return len(have) == len(want) and all(covers(h, w) for h, w in zip(have, want, strict=True))


def _same_quantity(one: str, other: str) -> bool:
    for parse in (memory_bytes, cpu_cores):
        try:
            if parse(one) == parse(other):
                return True
        except ValueError:
            continue
    return False
