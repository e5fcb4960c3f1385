"""The page's one style sheet; light, dark and paper. Classes are those of `document` and `plots`."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f5f7fa; --ink: #17202b; --soft: #566374; --line: #d6dce4;
  --ref: #8a97a8; --cand: #0b6bcb; --pass: #17703a; --fail: #b3261e; --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #12171d; --card: #1b222b; --ink: #e8edf3; --soft: #a3b0c0;
  --line: #36414e; --ref: #7d8a9b; --cand: #62b0ff; --pass: #5dd28b; --fail: #ff8a80; --open: #f0b94d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p { margin: .5rem 0; }
.kind { color: var(--soft); text-transform: uppercase; letter-spacing: .08em; font-size: .8rem; }
.soft, .note, figcaption { color: var(--soft); }
.note, figcaption { font-size: .875rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.figures div { background: var(--card); border-radius: .5rem; padding: .75rem 1rem; }
.figures dt { color: var(--soft); font-size: .875rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures small { display: block; font-size: .8rem; font-weight: 400; color: var(--soft); }
.badge { display: inline-block; border: 1.5px solid currentColor; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem;
  font-weight: 600; white-space: nowrap; }
.badge.pass { color: var(--pass); } .badge.fail, .badge.error { color: var(--fail); }
.badge.inconclusive, .badge.awaitingevidence, .badge.none { color: var(--open); }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding-bottom: .25rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody th { font-weight: 500; overflow-wrap: anywhere; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.facts div { display: grid; grid-template-columns: 12rem minmax(0, 1fr); gap: 1rem; border-bottom: 1px solid var(--line);
  padding: .35rem 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
code { font: .85em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .tick { fill: var(--soft); }
svg text.small { font-size: 11.5px; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
svg text.chosen { font-weight: 700; fill: var(--cand); }
svg text.reference { fill: var(--soft); } svg text.candidate { fill: var(--cand); font-weight: 600; }
.grid { stroke: var(--line); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.gate { stroke: var(--open); stroke-width: 1.5; stroke-dasharray: 5 4; } .lead { stroke: var(--soft); stroke-width: .75; }
.bound { stroke: var(--soft); stroke-width: 1.5; } path.other { fill: var(--ref); } path.frontier { fill: var(--pass); }
path.chosen { fill: var(--cand); stroke: var(--paper); stroke-width: 1; }
.curve { fill: none; stroke-width: 2.5; } .curve.reference { stroke: var(--ref); stroke-dasharray: 7 4; }
.curve.candidate { stroke: var(--cand); } .bar.reference { fill: var(--ref); } .bar.candidate { fill: var(--cand); }
@media (max-width: 40rem) { .facts div { grid-template-columns: 1fr; gap: 0; } }
@media print { :root { --paper: #fff; --card: #fff; --ink: #000; } section { break-inside: avoid-page; } }
"""
