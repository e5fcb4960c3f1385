"""The report's plots as SVG: each is one figure with a title and a description that say what is to be seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeramp_harness.page.markup import Node, el

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 64, 24, 16, 44
MOST_BARS = 20
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Point:
    """One candidate: figures and their lower bounds. `kind` is chosen, frontier or other."""

    name: str
    x: float
    y: float
    x_lower: float
    y_lower: float
    kind: str


@dataclass(frozen=True)
class Pair:
    """A row of two bars."""

    name: str
    reference: float
    candidate: float
    text: str


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    span = max(high - low, 1e-12)
    rough = span / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
    """Four significant digits, no exponent for what people read."""
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e5 or value == 0 else f"{value:.2e}"


def scatter(points: Sequence[Point], x_gate: float, y_gate: float) -> Node:
    """Retention over speed-up, with the two gates: what passes both lies in the upper right."""
    height = 360
    xs = ticks(0.0, max([p.x for p in points] + [x_gate]) * 1.08)
    lowest = min([min(p.y, p.y_lower) for p in points] + [y_gate])
    ys = ticks(lowest, max([p.y for p in points] + [y_gate, lowest + 0.01]))
    x, y = _scale(xs, LEFT, WIDTH - RIGHT), _scale(ys, height - BOTTOM, TOP)
    parts = _axes(xs, ys, x, y, height, "speed-up against the reference", "accuracy retention")
    parts += [
        el("line", x1=_px(x(x_gate)), x2=_px(x(x_gate)), y1=TOP, y2=height - BOTTOM, class_="gate"),
        el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_px(y(y_gate)), y2=_px(y(y_gate)), class_="gate"),
        el("text", f"gate {number(x_gate)}x", x=_px(x(x_gate) + 4), y=TOP + 10, class_="small"),
        el("text", f"gate {number(y_gate)}", x=LEFT + 4, y=_px(y(y_gate) - 4), class_="small"),
    ]
    for point, label in zip(points, _labels([y(p.y) for p in points], height), strict=True):
        parts += _dot(point, x, y, label)
    what = f"{len(points)} candidates; the lines from each mark reach down to the lower confidence bounds."
    return _svg(height, "Candidates: accuracy retention over speed-up", what, parts)


def _dot(point: Point, x: Scale, y: Scale, label: float) -> list[Node]:
    px, py = x(point.x), y(point.y)
    left = px > WIDTH - RIGHT - 190
    edge = px - 12 if left else px + 12
    mark = {"chosen": "M-7 0 0 -7 7 0 0 7Z", "frontier": "M-5 5 0 -6 5 5Z"}.get(point.kind, "M-4 -4H4V4H-4Z")
    return [
        el("line", x1=_px(px), x2=_px(px), y1=_px(py), y2=_px(y(point.y_lower)), class_="bound"),
        el("line", x1=_px(x(point.x_lower)), x2=_px(px), y1=_px(py), y2=_px(py), class_="bound"),
        el("line", x1=_px(px), y1=_px(py), x2=_px(edge), y2=_px(label), class_="lead"),
        el("path", d=mark, transform=f"translate({_px(px)} {_px(py)})", class_=point.kind),
        el("text", point.name, x=_px(edge + (-3 if left else 3)), y=_px(label + 4), class_="small " + point.kind,
           text_anchor="end" if left else "start"),
    ]  # fmt: skip


def _labels(at: Sequence[float], height: int, gap: float = 14.0) -> list[float]:
    """Heights for labels beside `at`, at least `gap` apart, in the same order from top to bottom."""
    order = sorted(range(len(at)), key=at.__getitem__)
    placed = list(at)
    for before, index in itertools.pairwise(order):
        placed[index] = max(placed[index], placed[before] + gap)
    over = max([0.0] + [p - (height - BOTTOM - 4) for p in placed])
    return [p - over for p in placed]


def cumulative(reference: Sequence[float], candidate: Sequence[float]) -> Node:
    """Two distributions given by their percentiles 0 to 100: share of inferences that took at most so long. The axis ends
    at the 99th percentile, so that one interruption does not squeeze all the rest."""
    height = 300
    last = max(reference[99], candidate[99])
    xs, ys = ticks(0.0, last), ticks(0.0, 1.0)
    x, y = _scale(xs, LEFT, WIDTH - RIGHT), _scale(ys, height - BOTTOM, TOP)
    parts = _axes(xs, ys, x, y, height, "milliseconds for one inference", "share of inferences")
    for name, values in (("reference", reference), ("candidate", candidate)):
        pairs = [(min(v, xs[-1]), percent / 100) for percent, v in enumerate(values)]
        points = " ".join(f"{_px(x(v))},{_px(y(share))}" for v, share in pairs)
        parts.append(el("polyline", points=points, class_=f"curve {name}"))
        place = 30 if name == "candidate" else 75
        at = x(min(values[place], xs[-1]))
        left = at > WIDTH - RIGHT - 130
        parts.append(el("text", f"{name}, median {number(values[50])} ms", x=_px(at + (-8 if left else 8)),
                        y=_px(y(place / 100) + 4), class_=f"small {name}", text_anchor="end" if left else "start"))  # fmt: skip
    return _svg(
        height,
        "Latency: share of inferences within a time",
        "Further left is faster, steeper is steadier.",
        parts,
    )


def bars(title: str, rows: Sequence[Pair], unit: str, top: float | None = None) -> Node:
    """Two bars a row, reference above candidate, and the figures in words."""
    row, left, right = 40, 150, 220
    height = row * len(rows) + 24
    longest = top or max([max(r.reference, r.candidate) for r in rows] + [1e-12])
    x = _scale([0.0, longest], left, WIDTH - right)
    parts: list[Node] = []
    for index, pair in enumerate(rows):
        y = 8 + row * index
        for offset, name, value in ((2, "reference", pair.reference), (16, "candidate", pair.candidate)):
            wide = max(0.0, x(value) - left)
            parts.append(el("rect", x=left, y=y + offset, width=_px(wide), height=12, class_=f"bar {name}"))
        parts.append(el("text", _cut(pair.name, 22), x=left - 8, y=y + 19, text_anchor="end", class_="small"))
        parts.append(el("text", pair.text, x=WIDTH - right + 8, y=y + 19, class_="small"))
    parts.append(el("line", x1=left, x2=left, y1=4, y2=height - 12, class_="axis"))
    return _svg(height, title, f"Upper bar: reference. Lower bar: candidate. {unit}".strip(), parts)


def _svg(height: int, title: str, what: str, parts: list[Node]) -> Node:
    label = el("title", title), el("desc", what)
    return el("figure", el("svg", *label, parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=f"{title}. {what}"),
              el("figcaption", what))  # fmt: skip


def _axes(
    xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale, height: int, x_name: str, y_name: str
) -> list[Node]:
    base, end = height - BOTTOM, WIDTH - RIGHT
    parts = [el("line", x1=LEFT, x2=end, y1=_px(y(v)), y2=_px(y(v)), class_="grid") for v in ys]
    parts += [
        el("text", number(v), x=LEFT - 8, y=_px(y(v) + 4), text_anchor="end", class_="tick") for v in ys
    ]
    parts += [
        el("text", number(v), x=_px(x(v)), y=base + 18, text_anchor="middle", class_="tick") for v in xs
    ]
    middle = (TOP + base) / 2
    parts += [
        el("line", x1=LEFT, x2=end, y1=base, y2=base, class_="axis"),
        el("text", x_name, x=(LEFT + end) / 2, y=height - 8, text_anchor="middle", class_="tick"),
        el(
            "text",
            y_name,
            x=14,
            y=middle,
            text_anchor="middle",
            transform=f"rotate(-90 14 {middle})",
            class_="tick",
        ),
    ]
    return parts


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = values[0], values[-1]
    return lambda v: start + (v - low) / max(high - low, 1e-12) * (end - start)


def _px(value: float) -> str:
    return f"{value:.1f}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
