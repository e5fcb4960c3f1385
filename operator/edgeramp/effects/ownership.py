"""Field ownership of server-side apply, as far as our manifests need it. Pure.

Objects merge key by key. Lists are atomic, except those the API keys by a field (named here); ownership of their items
is by that key."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Path = tuple[str, ...]
Paths = frozenset[Path]

_KEYED = {
    "ownerReferences": "uid",
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "conditions": "type",
}
_SETS = {"finalizers"}
_IDENTITY = {("metadata", "name"), ("metadata", "namespace")}


def _item_key(field: str, item: Any) -> str | None:
    """How an item of the list `field` is told apart; None for an atomic list."""
    if field in _SETS:
        return f"={item}"
    key = _KEYED.get(field)
    return f"[{item[key]}]" if key and isinstance(item, Mapping) and key in item else None


def paths(value: Any, at: Path = ()) -> Paths:
    """The leaves that a manager who sets `value` owns."""
    if isinstance(value, Mapping):
        found: Paths = frozenset()
        for key, part in value.items():
            found |= paths(part, (*at, key))
        return (found or frozenset({at})) - _IDENTITY
    if isinstance(value, list) and value and _item_key(at[-1], value[0]) is not None:
        found = frozenset()
        for item in value:
            found |= paths(item, (*at, str(_item_key(at[-1], item))))
        return found
    return frozenset({at})


def changed(before: Any, after: Any, at: Path = ()) -> Paths:
    """The leaves whose value differs, or that only one of the two has."""
    if before == after:
        return frozenset()
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found: Paths = frozenset()
        for key in {*before, *after}:
            if key in before and key in after:
                found |= changed(before[key], after[key], (*at, key))
            else:
                found |= paths((before if key in before else after)[key], (*at, key))
        return found
    if isinstance(before, list) and isinstance(after, list):
        keyed = [{str(_item_key(at[-1], i)): i for i in items} for items in (before, after)]
        if "None" not in {*keyed[0], *keyed[1]}:
            return changed(keyed[0], keyed[1], at)
    return paths(before, at) | paths(after, at)


def applied(current: Mapping[str, Any], intent: Mapping[str, Any], dropped: Paths) -> dict[str, Any]:
    """`current` without the fields in `dropped`, then with `intent` laid over it."""
    result = copy.deepcopy(dict(current))
    for path in dropped:
        _remove(result, path)
    _lay(result, intent)
    return result


def merge_patched(current: Any, patch: Any) -> Any:
    """RFC 7386: None removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(copy.deepcopy(current)) if isinstance(current, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def _lay(target: dict[str, Any], intent: Mapping[str, Any]) -> None:
    for key, value in intent.items():
        have = target.get(key)
        if isinstance(value, Mapping) and isinstance(have, dict):
            _lay(have, value)
        elif (
            isinstance(value, list)
            and isinstance(have, list)
            and value
            and _item_key(key, value[0]) is not None
        ):
            target[key] = _laid_list(key, have, value)
        else:
            target[key] = copy.deepcopy(value)


def _laid_list(field: str, have: list[Any], want: list[Any]) -> list[Any]:
    by_key = {_item_key(field, item): copy.deepcopy(item) for item in have}
    for item in want:
        key = _item_key(field, item)
        if isinstance(item, Mapping) and isinstance(by_key.get(key), dict):
            _lay(by_key[key], item)
        else:
            by_key[key] = copy.deepcopy(item)
    return list(by_key.values())


def _remove(target: Any, path: Path) -> None:
    """Take the leaf away, and what became empty by it."""
    head, rest = path[0], path[1:]
    if isinstance(target, list):
        field = _field_of(head, target)
        for item in [i for i in target if _item_key(field, i) == head]:
            if rest and len(rest) > 0 and not _only_key_left(field, item, rest):
                _remove(item, rest)
            else:
                target.remove(item)
    elif isinstance(target, dict) and head in target:
        if rest:
            _remove(target[head], rest)
            if target[head] in ({}, []):
                del target[head]
        else:
            del target[head]


def _field_of(head: str, items: list[Any]) -> str:
    """A list field whose key yields `head` for one of the items; '' when none does."""
    fields = [*_SETS, *_KEYED]
    return next((f for f in fields if any(_item_key(f, item) == head for item in items)), "")


def _only_key_left(field: str, item: Any, path: Path) -> bool:
    """Whether an item goes away as a whole when its key field is taken from it."""
    return not isinstance(item, Mapping) or path == (_KEYED.get(field),)
