"""The digest as one HTML file that needs nothing else: no script, no other address is loaded.

Everything is escaped, whether it comes from the data or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from nightpane.digest.page import Item, Link, Page, Section
from nightpane.digest.table import Table

__all__ = ["to_html"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --line: #dfe3e8;
  --ground: #fff; --panel: #f6f7f9; --good: #14713d; --bad: #b3261e; --warn: #8a5a00;
  --plain: #1f5fa8; --wash: #fdf1f0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a8b2; --line: #343a42;
  --ground: #14171b; --panel: #1d2126; --good: #6fd39a; --bad: #ff8f85; --warn: #f0c060;
  --plain: #86b8f5; --wash: #2b1b1b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 52rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: .95rem; font-weight: 500; color: var(--soft); }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; }
p { margin: 0; }
.headline { margin: .25rem 0; font-size: 1.35rem; line-height: 1.35; font-weight: 650; }
.soft { color: var(--soft); }
section { margin-top: 1.5rem; padding: 1rem 1.25rem; border: 1px solid var(--line);
  border-radius: .6rem; background: var(--panel); }
section.worse { background: var(--wash); border-color: var(--bad); }
section.worse h2, .bad { color: var(--bad); }
.good { color: var(--good); } .warn { color: var(--warn); } .plain { color: var(--plain); }
.dim { color: var(--soft); }
.item { margin: .5rem 0; }
.item b { margin-right: .4rem; }
ul { margin: .15rem 0 0; padding-left: 1.2rem; color: var(--soft); font-size: .92rem; }
a { color: var(--plain); }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  overflow-wrap: normal; }
th { font-weight: 500; color: var(--soft); font-size: .88rem; }
th:first-child { text-align: left; padding-left: 0; }
pre { white-space: pre-wrap; }
"""


def to_html(page: Page) -> str:
    """Return the page as a whole HTML document."""
    return "\n".join(_document(page)) + "\n"


def _document(page: Page) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
    yield f"<title>{escape(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f'<main>\n<h1>{escape(page.title)}</h1>\n<p class="headline">{escape(page.headline)}</p>'
    if page.against:
        yield f"<p>{escape(page.against)}</p>"
    if page.fresh:
        yield f'<p class="soft">{escape(page.fresh)}</p>'
    if page.steps:
        yield f"<pre>{escape(chr(10).join(page.steps))}</pre>"
    if page.regressions:
        yield f'<section class="worse">\n<h2>Got worse: {len(page.regressions)}</h2>'
        yield from map(_item, page.regressions)
        yield "</section>"
    elif page.calm:
        yield f'<p class="good">{escape(page.calm)}</p>'
    for section in page.loops:
        yield from _section(section)
    for remark in page.remarks:
        yield f"<section><p>{escape(remark)}</p></section>"
    yield "</main>\n</body>\n</html>"


def _section(section: Section) -> Iterator[str]:
    yield f"<section>\n<h2>{escape(section.name)}</h2>"
    yield from map(_item, section.verdicts)
    yield from _table(section.table)
    yield from map(_item, section.notes)
    if section.link is not None:
        yield f"<p>{_link(section.link)}</p>"
    yield "</section>"


def _item(item: Item) -> str:
    text = f'<div class="item"><b class="{item.tone}">{escape(item.word)}</b>'
    text += f'<span class="{"dim" if item.tone == "dim" else ""}">{escape(item.says)}</span>'
    lines = []
    for point in item.points:
        links = ", ".join(_link(link) for link in point.links)
        lines += [" · ".join(part for part in (escape(point.text), links) if part)]
    lines = [line for line in lines if line]
    if lines:
        text += "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"
    return text + "</div>"


def _table(table: Table) -> Iterator[str]:
    yield '<div class="wide"><table>\n<thead><tr>'
    yield "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    yield "</tr></thead>\n<tbody>"
    for name, *cells in table.rows:
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        yield f'<tr><th scope="row">{escape(name)}</th>{row}</tr>'
    yield "</tbody>\n</table></div>"


def _link(link: Link) -> str:
    return f'<a href="{escape(link.url)}">{escape(link.text)}</a>'
