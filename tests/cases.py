"""`python -m tests.cases`: write docs/reference/cases.md, which maps every expected behaviour of a ramp to its tests.

A test's name carries the number (`test_case_15_…`). With --check nothing is written; a stale page fails."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent
PAGE = ROOT.parent / "docs" / "reference" / "cases.md"
CASES = {
    1: "First apply: straight to 100 %, no steps, no analysis",
    2: "A new artifact: the candidate at the first step's weight; weights sum to 100",
    3: "A timed pause goes on alone, an indefinite one waits for promote",
    4: "Promote in a pause or a running analysis: exactly one step further",
    5: "Promote in full: 100 %, no further analysis, outcome FastPromoted",
    6: "Two quick promotes, or a stale one, skip no step",
    7: "spec.paused: weights and deadline stand still, no condition flaps",
    8: "Replicas change while paused: both sides scale; scaling starts no rollout",
    9: "Artifact and replicas in one apply: both honoured",
    10: "A step that lowers the weight: never below what is available",
    11: "Weight 0: no request reaches the candidate",
    12: "Continuous traffic: no failed request, the split as set",
    13: "Header routing: all matching requests, gone at the end and on abort",
    14: "Mirror: copies that nobody sees and that never count",
    15: "Abort: candidate 0, stable 100; pods go after the delay",
    16: "That delay at 0: the candidate is kept at weight 0",
    17: "Stable was shrunk: an abort moves no traffic before it is ready",
    18: "Abort when nothing runs: no effect",
    19: "Abort after a promote in full while the candidate is not ready",
    20: "Abort, then scale: weights stay",
    21: "Retry after abort: from the start, clocks reset",
    22: "An aborted digest is not tried again by itself",
    23: "A new digest after an abort goes ahead",
    24: "The spec goes back to stable's digest: at once",
    25: "Back inside rollbackWindow: no steps; outside: all steps",
    26: "Stable's digest again after a rollback: nothing starts",
    27: "Never ready: the progress deadline; pauses do not count",
    28: "Good, then bad, then bad: stable stays available; bad stable, then good candidate: goes on",
    29: "The promoted copy fails: traffic returns to the healthy one",
    30: "A third digest mid-run: Superseded, the third from its first step",
    31: "Deleted mid-run: all to stable, the finalizer ends by its deadline",
    32: "A failing check aborts; its measurements are kept",
    33: "A background check starts at its startingStep and ends with its verdict",
    34: "A check that never finished is Inconclusive",
    35: "A check's Job that cannot start: Inconclusive and Paused, no abort",
    36: "Nothing proven in time: Paused; a person's word is recorded",
    37: "No traffic, NaN, nothing: neither abort nor advance",
    38: "The metrics' source is away and comes back: no abort, one event",
    39: "The step waits for all checks; only errors is no Pass",
    40: "An unknown metric or provider is refused; mending it is enough",
    41: "A dry-run metric fails: reported, no effect",
    42: "Secrets never show in status, events or logs",
    43: "False rollbacks within the declared rate; a clear breach is found",
    44: "Fleet: members in waves",
    45: "Fleet: maxFailures stops the next wave",
    46: "Fleet: an offline member does not block its wave",
    47: "Killed at every boundary, two with a lost Lease: nothing skipped or doubled",
    48: "Conflicts and foreign writers: converges, bounded writes",
    49: "Argo CD: health and actions",
    50: "kubectl wait works; the events match the golden sequence",
}
LATER = (44, 45, 46, 49)
"""Not built yet."""
_TEST = re.compile(r"^(?:async )?def (test_case_(\d\d)_\w+)", re.MULTILINE)


def found() -> dict[int, list[tuple[str, str]]]:
    """The tests of each case: file, name."""
    tests: dict[int, list[tuple[str, str]]] = {}
    for path in sorted(ROOT.rglob("test_*.py")):
        for name, number in _TEST.findall(path.read_text()):
            tests.setdefault(int(number), []).append((path.relative_to(ROOT.parent).as_posix(), name))
    return tests


def page() -> str:
    """The table as Markdown."""
    return "\n".join(_lines(found())) + "\n"


def _lines(tests: dict[int, list[tuple[str, str]]]) -> Iterator[str]:
    yield "<!-- Generated from the tests' names by `make reference`; do not edit. -->\n"
    yield "# Behaviours, and the tests that hold them\n"
    yield "Those under `tests/e2e` run on a real cluster with real traffic; the others play whole rollouts in simulation.\n"
    yield "| case | behaviour | tests |"
    yield "| --- | --- | --- |"
    for number, text in CASES.items():
        names = "<br>".join(f"`{file}` {_words(name)}" for file, name in tests.get(number, ()))
        yield f"| {number} | {text} | {names or 'not built yet'} |"


def _words(name: str) -> str:
    return name.split("_", 3)[3].replace("_", " ")


def main(argv: list[str]) -> int:
    text = page()
    if "--check" not in argv:
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    sys.stderr.write(f"{PAGE} is stale: run make reference\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
