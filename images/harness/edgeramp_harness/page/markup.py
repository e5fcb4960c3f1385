"""HTML and SVG as trees of the standard library: text and attributes are escaped by the serializer, never by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

Node = Element
Child = Element | str | None


def el(tag: str, *children: Child | Iterable[Child], **attributes: object) -> Node:
    """An element. `_` in attribute names becomes `-`, a trailing one is dropped (`class_`); None is left out."""
    node = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            node.set(name.rstrip("_").replace("_", "-"), plain(str(value)))
    for child in children:
        for part in [child] if child is None or isinstance(child, str | Element) else child:
            _append(node, part)
    return node


def _append(node: Node, child: Child) -> None:
    if isinstance(child, Element):
        node.append(child)
    elif child:
        if len(node):
            node[-1].tail = (node[-1].tail or "") + plain(child)
        else:
            node.text = (node.text or "") + plain(child)


def plain(text: str) -> str:
    """`text` without what cannot be seen: control characters, lone surrogates, marks that turn the direction of writing."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]], numbers: int = 99) -> Node:
    """A table whose first column names its row; columns from `numbers` on are set like figures."""

    def cell(index: int, content: Child) -> Node:
        if index == 0:
            return el("th", content, scope="row")
        return el("td", content, class_="n" if index >= numbers else None)

    heads = [el("th", h, scope="col", class_="n" if i >= numbers else None) for i, h in enumerate(head)]
    body = [el("tr", [cell(i, c) for i, c in enumerate(row)]) for row in rows]
    made = el("table", el("caption", caption), el("thead", el("tr", heads)), el("tbody", body))
    return el("div", made, class_="wide", tabindex="0", role="region", aria_label=caption)


def html(root: Node) -> str:
    """The document's text."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
