"""The report's page: whole in itself, readable without the plots, and unmoved by what names contain."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgeramp.report.certification import CertificationReport, json_schema
from edgeramp_harness.page import render
from edgeramp_harness.page.markup import el, html, plain
from edgeramp_harness.page.plots import _labels, ticks

from .reports import body, contender, report

HOSTILE = "</title></svg><script>alert('x')</script><img src=http://evil/x onerror=alert(1)>&\"'\u202e\x00"


class Page(HTMLParser):
    """Elements in order, and the text of headings, captions and SVG titles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "every element is closed in its turn"

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def of(self, tag: str) -> Iterator[str]:
        return (text for where, text in self.texts if where == tag)


def test_the_page_shows_what_was_found() -> None:
    page = Page(render(report()))
    sections = list(page.of("h2"))
    assert sections == [
        "Gates", "Candidates", "Latency", "Accuracy per class", "Memory", "Certification", "Limits of validity",
        "Monitoring", "Approval", "Identity and evidence",
    ]  # fmt: skip
    text = " ".join(text for _, text in page.texts)
    for said in (
        "2.66x to 2.75x",
        ">= 0.9944",
        "AVX512VNNI",
        "2027-11-26",
        "at most 1.22 ms",
        "ov-bf16: why",
    ):
        assert said in text


def test_every_plot_has_a_title_and_a_table_in_its_section() -> None:
    text = render(report())
    plotted = [s for s in re.findall(r"<section>.*?</section>", text, re.S) if "<svg" in s]
    assert len(plotted) == 4
    for section in plotted:
        assert re.search(r'<svg [^>]*role="img"', section) and "<title>" in section
        assert "<caption>" in section and 'scope="col"' in section and 'scope="row"' in section


def test_nothing_is_asked_of_anywhere_else() -> None:
    page = Page(render(report(HOSTILE)))
    loads = {"src", "href", "srcset", "data", "action", "poster", "background"}
    assert not [(tag, attrs) for tag, attrs in page.tags if loads & attrs.keys()]
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "img", "link", "iframe", "object", "form", "base"}
    )
    assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
    assert "url(" not in render(report()) and "@import" not in render(report())


def everywhere(value: Any, text: str) -> Any:
    """`value` with every free string replaced."""
    if isinstance(value, dict):
        return {k: everywhere(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [everywhere(v, text) for v in value]
    fixed = isinstance(value, str) and re.fullmatch(
        r"sha256:.*|edgeramp.dev/.*v1|Pass|Fail|gates|none|at(Least|Most)|[0-9.]+", value
    )
    return text if isinstance(value, str) and not fixed else value


def test_hostile_names_stay_text_wherever_they_stand() -> None:
    hostile = CertificationReport.model_validate(everywhere(body(), HOSTILE))
    page = Page(render(hostile))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})
    assert "<script>" in " ".join(page.of("h1")), "shown as it is written"
    assert "\u202e" not in render(hostile) and "\x00" not in render(hostile)


def test_what_cannot_be_seen_is_shown_as_such() -> None:
    assert plain("a\u202eb\x1b\ud800\nc") == "a�b��\nc"
    assert html(el("p", 'a "b" <c> & d', title='"<>&')).encode()


@pytest.mark.parametrize(
    "without", ["findings", "looks", "contenders", "monitoring", "classes", "latency", "memory", "distribution", "environment"]
)  # fmt: skip
def test_a_report_with_less_in_it_is_a_shorter_page(without: str) -> None:
    less = body()
    less[without] = [] if isinstance(less[without], list) else None
    Page(render(CertificationReport.model_validate(less)))


def test_the_baseline_is_not_called_certified() -> None:
    page = Page(render(report(certified=False, findings=[], looks=[])))
    assert "Not certified: a statement of what it is" in list(page.of("span"))


@pytest.mark.parametrize("count", [1, 64])
def test_equal_points_do_not_break_the_plots(count: int) -> None:
    render(report(contenders=[contender(f"c{n}", 1.0, 1.0, "Pass") for n in range(count)]))
    assert len(set(_labels([100.0] * count, 1000))) == count


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.93, 1.0), (0.0, 3e9), (1e-6, 2e-6)])
def test_ticks_cover_the_range_with_round_numbers(low: float, high: float) -> None:
    found = ticks(low, high)
    assert found[0] <= low + 1e-12 and found[-1] >= high - 1e-12
    assert len(found) <= 8


def test_the_published_schema_accepts_a_report_and_refuses_others() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    schema = jsonschema.Draft202012Validator(json_schema())
    schema.validate(report().model_dump(mode="json", by_alias=True, exclude_none=True))
    for change in ({"issuedAt": None}, {"certified": "yes"}, {"schema": "v2"}, {"unknown": 1}):
        assert not schema.is_valid({**body(), **change})


def test_a_real_browser_shows_it_whole(tmp_path: Path) -> None:
    """No console message, nothing wider than the window, every plot drawn. EDGERAMP_SHOTS=folder keeps pictures."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium here (Debian package chromium)")
    probe = (
        "<script>addEventListener('load', () => { const broad = document.documentElement.scrollWidth - innerWidth;"
        " const flat = [...document.querySelectorAll('svg')].filter(s => s.getBBox().height < 20).length;"
        " const out = [...document.querySelectorAll('svg')].filter(s => { const v = s.viewBox.baseVal, b = s.getBBox();"
        " return b.x < -1 || b.y < -1 || b.x + b.width > v.width + 1 || b.y + b.height > v.height + 1; }).length;"
        " document.title = `broad=${Math.max(0, broad)} flat=${flat} out=${out} scripts=${window.hit ?? 0}`; })</script>"
    )
    hostile = HOSTILE.replace("alert('x')", "window.hit=1").replace("alert(1)", "window.hit=1")
    for name, shown in (("report", report()), ("hostile", report(hostile))):
        path = tmp_path / f"{name}.html"
        page = render(shown)
        path.write_text(re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</body>", f"{probe}</body>"))
        common = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        for width in (1100, 400):
            size = f"--window-size={width},1200"
            done = subprocess.run(
                [*common, size, "--dump-dom", path.as_uri()],
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
            found = re.search(r"<title>(broad=[^<]*)</title>", done.stdout)
            assert found and found.group(1) == "broad=0 flat=0 out=0 scripts=0", (
                name,
                width,
                done.stderr[-500:],
            )
    shots = os.environ.get("EDGERAMP_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
        picture = f"--screenshot={Path(shots).resolve() / 'report.png'}"
        subprocess.run(
            [*common, "--window-size=1100,4800", "--hide-scrollbars", picture, path.as_uri()], check=True
        )
