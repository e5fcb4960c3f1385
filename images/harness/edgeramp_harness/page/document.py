"""A certification report -> the text of its page. Pure."""

from __future__ import annotations

from edgeramp.report.certification import CertificationReport
from edgeramp.values.verdict import Verdict, worst
from edgeramp_harness.page.markup import Child, Node, el, html, table
from edgeramp_harness.page.plots import MOST_BARS, Pair, Point, bars, cumulative, number, scatter
from edgeramp_harness.page.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
GATE_NAMES = {
    "accuracyRetention": "Accuracy retention", "speedup": "Speed-up", "memoryReduction": "Memory reduction",
    "latencyVariation": "Latency variation", "perplexityRatio": "Perplexity ratio", "agreement": "Agreement",
    "classRetention": "Accuracy retention of the worst class",
}  # fmt: skip
MEMORY_NAMES = {
    "artifact": "Artifact",
    "incremental_rss": "Incremental RSS",
    "private_dirty": "Private dirty",
}
SHOWN_PERCENTS = (5, 25, 50, 75, 90, 95, 99)


def render(report: CertificationReport) -> str:
    """The whole document."""
    identity = report.identity
    title = f"{identity.model} on {identity.target}: certification report"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("title", title),
        el("style", STYLE),
    )
    sections = (
        _gates(report), _candidates(report), _latency(report), _classes(report), _memory(report), _looks(report),
        _validity(report), _monitoring(report), _approval(report), _identity(report),
    )  # fmt: skip
    main = el("main", _header(report), [s for s in sections if s is not None])
    return html(el("html", head, el("body", main), lang="en"))


def _header(report: CertificationReport) -> Node:
    identity, passed = report.identity, worst(f.verdict for f in report.findings)
    state = "Certified" if report.certified else "Not certified: a statement of what it is"
    how = f"{identity.framework}, {identity.precision} ({identity.candidate}), revision {identity.revision}"
    return el(
        "header",
        el("p", "edgeramp certification report", class_="kind"),
        el("h1", identity.model, el("span", f" on {identity.target}", class_="soft")),
        el("p", _badge(state, "Pass" if report.certified else "None"), f" {how}"),
        el("dl", _figures(report, passed), class_="figures"),
    )


def _figures(report: CertificationReport, passed: Verdict) -> list[Node]:
    rows = [
        (GATE_NAMES.get(f.gate, f.gate), f.value, f.bound or f"required {f.required}")
        for f in report.findings
    ]
    rows.append(("Valid until", report.expires_at[:10], f"issued {report.issued_at[:10]}"))
    if not report.findings:
        rows.insert(0, ("Gates", passed.value, "nothing was compared"))
    return [el("div", el("dt", name), el("dd", value, el("small", note))) for name, value, note in rows]


def _badge(text: str, verdict: str | None) -> Node:
    return el("span", text, class_=f"badge {(verdict or 'none').lower()}")


def _section(title: str, *children: Child) -> Node:
    return el("section", el("h2", title), *children)


def _gates(report: CertificationReport) -> Node:
    rows = [
        (GATE_NAMES.get(f.gate, f.gate), _badge(f.verdict.value, f.verdict.value), f.value, f.bound, f.required, f.message)
        for f in report.findings
    ]  # fmt: skip
    if not rows:
        return _section("Gates", el("p", "This artifact is the yardstick itself; no gate was applied to it."))
    note = f"One-sided bounds at confidence {report.confidence}, against {report.identity.reference}."
    heads = ("Gate", "Verdict", "Measured", "Bounds", "Required", "Remark")
    return _section("Gates", el("p", note), table("Gates and their verdicts", heads, rows))


def _candidates(report: CertificationReport) -> Node:
    points = [
        Point(c.id, c.speedup, c.retention, c.speedup_lower or c.speedup, c.retention_lower or c.retention,
              "chosen" if c.chosen else "frontier" if c.frontier else "other")
        for c in report.contenders
        if c.speedup is not None and c.retention is not None and c.reference == report.identity.reference
    ]  # fmt: skip
    rows = [
        (c.id + (" (chosen)" if c.chosen else ""), _badge(c.verdict.value, c.verdict.value) if c.verdict else "",
         "yes" if c.frontier else "", _maybe(c.speedup, "x"), _maybe(c.retention), _bytes(c.artifact_bytes), c.message)
        for c in report.contenders
    ]  # fmt: skip
    heads = ("Candidate", "Verdict", "Frontier", "Speed-up", "Retention", "Artifact", "Why")
    gates = (float(report.gates.get("speedup", "1")), float(report.gates.get("accuracyRetention", "1")))
    plot = scatter(points, *gates) if points else None
    legend = el("p", "Diamond: chosen. Triangle: on the frontier. Square: another candidate.", class_="note")
    return _section("Candidates", plot, legend if points else None, table("Every candidate", heads, rows))


def _latency(report: CertificationReport) -> Node | None:
    seen, found = report.latency, report.distribution
    if seen is None:
        return None
    note = (
        f"{seen.rounds} rounds in turn; speed-up {number(seen.speedup)}x, with confidence {number(seen.confidence)} "
        f"at least {number(seen.speedup_lower)}x."
    )
    rows = [] if found is None else [
        (f"{p} %", number(found.reference[p]), number(found.candidate[p])) for p in SHOWN_PERCENTS
    ]  # fmt: skip
    if found is None:
        rows = [("50 %", number(seen.reference_p50), number(seen.candidate_p50))]
    bounds = ", ".join(
        f"p{q} at most {number(v)} ms"
        for q, v in ((90, seen.candidate_p90), (95, seen.candidate_p95), (99, seen.candidate_p99))
        if v is not None
    )
    return _section(
        "Latency",
        el("p", note),
        cumulative(found.reference, found.candidate) if found else None,
        table(
            "Milliseconds within which a share of the inferences ended",
            ("Share", "Reference", "Candidate"),
            rows,
            1,
        ),
        el("p", f"Upper confidence bounds of the candidate: {bounds}.", class_="note") if bounds else None,
    )


def _classes(report: CertificationReport) -> Node | None:
    if not report.classes:
        return None
    shown = report.classes[:MOST_BARS]
    pairs = [
        Pair(c.label, c.reference, c.candidate, f"{c.reference:.3f} to {c.candidate:.3f} ({c.items} items)")
        for c in shown
    ]
    rows = [
        (
            c.label,
            str(c.items),
            f"{c.reference:.4f}",
            f"{c.candidate:.4f}",
            f"{c.candidate - c.reference:+.4f}",
        )
        for c in report.classes
    ]
    rest = f" The plot shows the {MOST_BARS} that lost most." if len(report.classes) > MOST_BARS else ""
    heads = ("Class", "Items", "Reference", "Candidate", "Change")
    return _section(
        "Accuracy per class",
        el(
            "p",
            "On the certification split; classes that lost most come first. Few items: a rough figure."
            + rest,
        ),
        bars(
            "Accuracy per class",
            pairs,
            "",
            top=1.0 if max(c.reference for c in report.classes) <= 1 else None,
        ),
        table("Accuracy per class", heads, rows, 1),
    )


def _memory(report: CertificationReport) -> Node | None:
    if report.memory is None:
        return None
    pairs, rows = [], []
    for field, name in MEMORY_NAMES.items():
        used, reference = getattr(report.memory, field), getattr(report.memory, f"{field}_reference")
        if used is None or reference is None:
            continue
        change = f"{(used - reference) / reference:+.0%}" if reference else ""
        pairs.append(
            Pair(name, float(reference), float(used), f"{_bytes(reference)} to {_bytes(used)} {change}")
        )
        rows.append((name, _bytes(reference), _bytes(used), change))
    heads = ("Metric", "Reference", "Candidate", "Change")
    return _section("Memory", bars("Memory", pairs, ""), table("Memory by metric", heads, rows, 1))


def _looks(report: CertificationReport) -> Node | None:
    rows = [
        (t.candidate, _badge(t.verdict.value, t.verdict.value) if t.verdict else "", t.alpha,
         str(t.quality.items) if t.quality else "", f"{t.quality.lower:.4f}" if t.quality else "", t.message)
        for t in report.looks
    ]  # fmt: skip
    if not rows:
        return None
    note = "Data that no search saw. At most three looks share the error probability, each with half of what is left."
    heads = ("Candidate", "Verdict", "Alpha", "Items", "Lower bound", "Finding")
    return _section("Certification", el("p", note), table("Looks at the certification split", heads, rows))


def _validity(report: CertificationReport) -> Node:
    valid, place = report.validity, report.environment
    rows: list[tuple[str, Child]] = [
        ("From", report.issued_at), ("Until", report.expires_at), ("CPU features", ", ".join(valid.isa) or "none required"),
        ("Node labels", ", ".join(f"{k}={v}" for k, v in valid.node_selector.items()) or "none required"),
        *((f"Data: {split}", el("code", digest)) for split, digest in valid.data.items()),
    ]  # fmt: skip
    if place is not None:
        versions = ", ".join(f"{k} {v}" for k, v in place.versions.items())
        rows += [
            ("Measured on", f"{place.node}, {place.cpu_model}, {place.threads} thread(s)"),
            ("Versions", versions),
        ]
    note = "The verdict holds for this artifact, on nodes that promise these features, judged on these data, until that day."
    return _section("Limits of validity", el("p", note), _list(rows))


def _monitoring(report: CertificationReport) -> Node | None:
    words = {"atLeast": "at least", "atMost": "at most"}
    rows = [
        (t.metric, _quantity(t.baseline, t.unit), f"{words[t.direction]} {_quantity(t.limit, t.unit)}",
         GATE_NAMES.get(t.gate, t.gate))
        for t in report.monitoring
    ]  # fmt: skip
    if not rows:
        return None
    note = "What to watch in production: beyond a limit the gate that the artifact passed would be missed."
    heads = ("Metric", "When certified", "Limit", "From the gate")
    return _section("Monitoring", el("p", note), table("Baselines and limits", heads, rows))


def _approval(report: CertificationReport) -> Node:
    how = report.approval
    basis = (
        "All gates passed."
        if how.basis == "gates"
        else "No gate was passed; an override on record is needed to serve it."
    )
    rows: list[tuple[str, Child]] = [
        ("Basis", basis), ("A person's approval", f"recorded in {how.record}, where promotion is Manual"),
        ("Approve with", el("code", how.command)), ("Key of the signature", el("code", report.key_id)),
    ]  # fmt: skip
    return _section("Approval", _list(rows))


def _identity(report: CertificationReport) -> Node:
    identity, evidence = report.identity, report.evidence
    digests = [("Artifact", report.artifact), ("Original", identity.source), ("Measurement", evidence.measure),
               ("Certification", evidence.certify)]  # fmt: skip
    rows: list[tuple[str, Child]] = [
        ("Model", f"{identity.namespace}/{identity.model}"), ("Size", _bytes(report.size_bytes)),
        ("Technique", identity.technique), *((name, el("code", digest)) for name, digest in digests if digest),
    ]  # fmt: skip
    return _section("Identity and evidence", _list(rows))


def _list(rows: list[tuple[str, Child]]) -> Node:
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in rows], class_="facts")


def _maybe(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{number(value)}{unit}"


def _quantity(value: float, unit: str) -> str:
    return _bytes(int(value)) if unit == "B" else f"{number(value)} {unit}".strip()


def _bytes(value: int | None) -> str:
    if value is None:
        return ""
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} B"
