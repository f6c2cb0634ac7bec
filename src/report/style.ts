/** Style of the report: on a screen (light or dark), and on A4. */
export const STYLE = `
:root {
  color-scheme: light;
  --paper: #fff; --ink: #1b2430; --soft: #5a6675; --line: #dfe4ea; --tint: #f5f7f9;
  --accent: #2f6fb2; --track: #e8eef5; --bad: #c2410c; --good: #15734a; --before: #1b2430;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --paper: #12171d; --ink: #e6eaef; --soft: #9aa6b4; --line: #2b343e; --tint: #1a2129;
    --accent: #6ea8e0; --track: #243140; --bad: #f58a5c; --good: #5cc594; --before: #ffffff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 54rem; padding: 2.5rem 1.5rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif;
}
header { border-bottom: 2px solid var(--ink); padding-bottom: 1rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: .2rem 0 .4rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0 0 .6rem; break-after: avoid; }
p { margin: 0; }
.kicker { color: var(--soft); font-size: .8rem; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
.soft, caption, figcaption { color: var(--soft); font-size: .875rem; }
.empty { border-left: 4px solid var(--bad); background: var(--tint); padding: .75rem 1rem; margin-top: 1.5rem; }
.stats {
  display: grid; grid-template-columns: repeat(3, 1fr); gap: 1px; margin: 1.5rem 0 0; background: var(--line);
  border: 1px solid var(--line); border-radius: 6px; overflow: hidden;
}
.stats.of4 { grid-template-columns: repeat(4, 1fr); }
.stats.of5 { grid-template-columns: repeat(5, 1fr); }
.stats div { background: var(--paper); padding: .8rem 1rem .9rem; break-inside: avoid; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: .85rem; color: var(--soft); }
dd.value { color: var(--ink); font-size: 1.6rem; font-weight: 600; line-height: 1.25; letter-spacing: -.01em; }
.value, td, .tick { font-variant-numeric: tabular-nums; }
.better { color: var(--good); font-weight: 600; }
.worse { color: var(--bad); font-weight: 600; }
.change { color: var(--ink); font-weight: 600; }
figure { margin: 2rem 0 0; break-inside: avoid; }
.chart { display: block; width: 100%; height: auto; }
.chart .grid { stroke: var(--line); }
.chart .axis { stroke: var(--soft); }
.chart .tick { fill: var(--soft); font-size: 11px; }
.chart .bar { fill: var(--accent); }
.chart .open { fill-opacity: .35; stroke: var(--accent); stroke-dasharray: 3 2; }
.chart .bad { fill: var(--bad); }
.chart .room { fill: transparent; }
.chart g:hover .bar { opacity: .75; }
.chart .before-edge { fill: none; stroke: var(--paper); stroke-width: 4; stroke-linejoin: round; opacity: .8; pointer-events: none; }
.chart .before { pointer-events: none; fill: none; stroke: var(--before); stroke-width: 1.5; stroke-dasharray: 4 3; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin-top: .4rem; }
.legend svg { display: inline-block; width: 22px; height: 10px; margin-right: .4rem; overflow: visible; }
.others .meter i { background: var(--soft); opacity: .55; }
.chart { overflow: visible; }
.tops { margin-top: 2.5rem; }
.tops h2 + .soft { margin: -.4rem 0 .5rem; }
.tops section { margin-bottom: 2.2rem; }
.narrow section { break-inside: avoid; }
.narrow { columns: 2; column-gap: 2.5rem; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
caption { text-align: left; padding-bottom: .3rem; }
th { color: var(--soft); font-size: .8rem; font-weight: 600; text-align: left; vertical-align: bottom; }
th, td { padding: .3rem 0 .3rem .9rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 0; }
td { vertical-align: top; }
tr, thead { break-inside: avoid; }
thead { break-after: avoid; }
tbody th { color: var(--ink); font: inherit; font-weight: 400; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
.key { overflow-wrap: anywhere; width: 100%; }
.wide .key { min-width: 8rem; }
.key .soft { font-size: inherit; }
.none { color: var(--soft); font-style: italic; }
.others th, .others td { color: var(--soft); }
tfoot th, tfoot td { color: var(--ink); font-size: .875rem; font-weight: 600; border-bottom: 0; }
.share { white-space: nowrap; }
.share span:last-child { display: inline-block; min-width: 3.7rem; text-align: right; }
.meter { display: inline-block; width: 3rem; height: .5rem; border-radius: 2px; background: var(--track); overflow: hidden; }
.wide .meter { width: 6rem; }
.meter i { display: block; height: 100%; background: var(--accent); }
.days { margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
.notes { margin-top: .5rem; border-top: 1px solid var(--line); padding-top: 1.2rem; break-inside: avoid; }
.notes ul { margin: 0; padding-left: 1.1rem; color: var(--soft); font-size: .875rem; }
.notes li { margin-bottom: .3rem; overflow-wrap: anywhere; }
@media screen and (max-width: 44rem) {
  body { padding: 1.5rem 1rem; }
  .stats, .stats.of4, .stats.of5 { grid-template-columns: 1fr 1fr; }
  .narrow { columns: 1; }
  .chart .tick { font-size: 15px; }
  .chart .spare { display: none; }
  .wide .bytes, .wide .changes, .wide .meter, .minor { display: none; }
}
@page { size: A4; margin: 15mm 14mm 17mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h1 { font-size: 20pt; }
  .days { break-before: page; }
  .narrow .meter { width: 1.6rem; }
  .wide .meter { width: 4rem; }
  .tops { margin-top: 1.8rem; }
  .tops section { margin-bottom: 1.6rem; }
  figure { margin-top: 1.4rem; }
  table { font-size: 8.5pt; }
  th, td { padding-top: .2rem; padding-bottom: .2rem; }
  .days th, .days td { padding-top: .15rem; padding-bottom: .15rem; }
  .bar, .bad, .meter, .meter i, .stats { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
