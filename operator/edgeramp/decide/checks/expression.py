"""The conditions of checks: a small closed language, parsed and walked here. Nothing of Python is ever evaluated.

    result >= 0.95          len(result) > 0 && result[0] < 2          default(result, 0) <= 0.01
    result.state == "ok"    !isNaN(result) && asFloat(result.p95) < 0.2

Operators: || && ! == != < <= > >= + - * / and parentheses; fields and indexes; numbers, "text", true, false, nil. Functions
(names as in Argo Rollouts): len, default, asInt, asFloat, isNaN, isInf, isNil. A list with a single number counts as
that number. What is missing, NaN or infinite is no data where a number is needed: `default`, `len` and `is…` take it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 256
_DEEPEST = 24
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"\\]*\"|'[^'\\]*')|(?P<sign>\|\||&&|[<>=!]=|[-+*/<>!()\[\].,]))"
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


class BadCondition(ValueError):
    """The condition is none of this language, or asks something that the result cannot answer."""


class NoData(Exception):
    """The result is empty, NaN or infinite where a number is needed: it says nothing either way."""


def holds(condition: str, result: Any) -> bool:
    """Whether the condition holds for `result` (of JSON types). BadCondition, or NoData."""
    found = parsed(condition).of(result)
    if not isinstance(found, bool):
        raise BadCondition(f"`{condition}` is {_kind(found)}, not true or false")
    return found


@dataclass(frozen=True)
class Node:
    """One operation and its parts; `of` gives its value for a result."""

    op: str
    parts: tuple[Any, ...] = ()

    def of(self, result: Any) -> Any:
        """The value, walking down."""
        match self.op:
            case "value":
                return self.parts[0]
            case "result":
                return result
            case "&&":
                return _truth(self.parts[0].of(result)) and _truth(self.parts[1].of(result))
            case "||":
                return _truth(self.parts[0].of(result)) or _truth(self.parts[1].of(result))
            case "!":
                return not _truth(self.parts[0].of(result))
            case "get":
                return _get(*(part.of(result) for part in self.parts))
            case "call":
                return _call(self.parts[0], [part.of(result) for part in self.parts[1:]])
            case "==" | "!=":
                left, right = (_alone(part.of(result)) for part in self.parts)
                return _equal(left, right) is (self.op == "==")
            case _:
                return _arithmetic(self.op, *(_number(part.of(result)) for part in self.parts))


def parsed(condition: str) -> Node:
    """The condition as a tree. BadCondition says what is wrong with it."""
    if len(condition) > LONGEST:
        raise BadCondition(f"a condition has at most {LONGEST} characters")
    parser = _Parser(list(_tokens(condition)), condition)
    tree = parser.either()
    if parser.next:
        raise BadCondition(f"`{condition}`: {parser.next} is not expected")
    return tree


def _tokens(condition: str) -> Iterator[tuple[str, str]]:
    at, text = 0, condition.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadCondition(f"`{condition}`: {text[at:].strip()[:12]} is not understood")
        yield match.lastgroup, match.group(match.lastgroup)
        at = match.end()


class _Parser:
    """Recursive descent, one method per precedence."""

    def __init__(self, tokens: list[tuple[str, str]], condition: str) -> None:
        self._tokens, self._condition, self._depth = tokens, condition, 0

    @property
    def next(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def either(self) -> Node:
        """a || b"""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadCondition(f"`{self._condition}` is nested too deep")
        found = self._binary(self._both, ("||",))
        self._depth -= 1
        return found

    def _both(self) -> Node:
        return self._binary(self._negation, ("&&",))

    def _negation(self) -> Node:
        denied = False
        while self._takes("!"):
            denied = not denied
        found = self._comparison()
        return Node("!", (found,)) if denied else found

    def _comparison(self) -> Node:
        left = self._sum()
        if self.next in ("==", "!=", *_COMPARE) and self._sign():
            return Node(self._take(), (left, self._sum()))
        return left

    def _sum(self) -> Node:
        return self._binary(self._product, ("+", "-"))

    def _product(self) -> Node:
        return self._binary(self._negative, ("*", "/"))

    def _negative(self) -> Node:
        minus = False
        while self._takes("-"):
            minus = not minus
        found = self._reached()
        return Node("-", (Node("value", (0.0,)), found)) if minus else found

    def _binary(self, below: Callable[[], Node], signs: tuple[str, ...]) -> Node:
        found = below()
        while self._sign() and self.next in signs:
            found = Node(self._take(), (found, below()))
        return found

    def _reached(self) -> Node:
        """A value and the fields and indexes behind it."""
        found = self._value()
        while self._sign() and self.next in ("[", "."):
            if self._take() == "[":
                found = Node("get", (found, self.either()))
                self._expect("]")
            else:
                found = Node("get", (found, Node("value", (self._name(),))))
        return found

    def _value(self) -> Node:
        if not self._tokens:
            raise BadCondition(f"`{self._condition}` ends too early")
        group, text = self._tokens.pop(0)
        match group:
            case "number":
                return Node("value", (float(text),))
            case "text":
                return Node("value", (text[1:-1],))
            case "name":
                return self._named(text)
        if text == "(":
            found = self.either()
            self._expect(")")
            return found
        raise BadCondition(f"`{self._condition}`: {text} is not expected")

    def _named(self, name: str) -> Node:
        constants = {"true": True, "false": False, "nil": None}
        if name in constants:
            return Node("value", (constants[name],))
        if name == "result":
            return Node("result")
        if name not in _ARGUMENTS:
            raise BadCondition(
                f"`{self._condition}`: {name} is not known; write result or {', '.join(_ARGUMENTS)}"
            )
        self._expect("(")
        given = [self.either()]
        while self._takes(","):
            given.append(self.either())
        self._expect(")")
        if len(given) != _ARGUMENTS[name]:
            raise BadCondition(f"`{self._condition}`: {name} takes {_ARGUMENTS[name]} values")
        return Node("call", (name, *given))

    def _name(self) -> str:
        if not self._tokens or self._tokens[0][0] != "name":
            raise BadCondition(f"`{self._condition}`: a field's name is missing after the dot")
        return self._take()

    def _sign(self) -> bool:
        return bool(self._tokens) and self._tokens[0][0] == "sign"

    def _take(self) -> str:
        return self._tokens.pop(0)[1]

    def _takes(self, sign: str) -> bool:
        if self._sign() and self.next == sign:
            self._take()
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise BadCondition(f"`{self._condition}`: {sign} is missing before {self.next or 'the end'}")


_ARGUMENTS = {"len": 1, "default": 2, "asInt": 1, "asFloat": 1, "isNaN": 1, "isInf": 1, "isNil": 1}


def _call(name: str, given: list[Any]) -> Any:
    value = given[0]
    match name:
        case "len":
            if value is not None and not isinstance(value, str | list | dict):
                raise BadCondition(f"len of {_kind(value)}")
            return float(len(value or ""))
        case "default":
            return given[1] if _empty(_alone(value)) else value
        case "isNil":
            return value is None
        case "isNaN":
            return isinstance(single := _alone(value), float) and math.isnan(single)
        case "isInf":
            return isinstance(single := _alone(value), float) and math.isinf(single)
        case _:
            found = _number(_parsed_number(_alone(value)))
            return float(int(found)) if name == "asInt" else found


def _parsed_number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError as error:
        raise BadCondition(f"{value[:32]!r} is not a number") from error


def _get(value: Any, key: Any) -> Any:
    """A field or an entry; nil where there is none."""
    if value is None:
        return None
    if isinstance(value, list) and isinstance(key, float) and key == int(key):
        return value[int(key)] if -len(value) <= key < len(value) else None
    if isinstance(value, Mapping) and isinstance(key, str):
        return value.get(key)
    raise BadCondition(f"{_kind(value)} has no {key!r}")


def _alone(value: Any) -> Any:
    """The only entry of a list with a single one; nil for an empty list."""
    if isinstance(value, list) and len(value) <= 1:
        return value[0] if value else None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    value = _alone(value)
    value = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise NoData("the result is empty" if value is None else f"the result is {value}")
    if not isinstance(value, float):
        raise BadCondition(f"a number is needed, not {_kind(value)}")
    return value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    return bool(left == right)


def _arithmetic(op: str, left: float, right: float) -> Any:
    if op in _COMPARE:
        return _COMPARE[op](left, right)
    if op == "/" and right == 0.0:
        raise NoData("a division by 0")
    return {"+": left + right, "-": left - right, "*": left * right}[op] if op != "/" else left / right


def _truth(value: Any) -> bool:
    value = _alone(value)
    if value is None:
        raise NoData("the result is empty")
    if not isinstance(value, bool):
        raise BadCondition(f"true or false is needed, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nil"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"
