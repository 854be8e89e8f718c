"""The digest as Markdown that stays Markdown: nothing from the data can become a link or a tag."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightpane.digest.page import Item, Link, Page, Section
from nightpane.digest.table import Table

__all__ = ["to_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&@#]|(?<=:)/)")


def to_markdown(page: Page) -> str:
    """Return the page as Markdown, ending with a line break."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield from (f"# {page.title}", "", f"**{_inert(page.headline)}**")
    if page.against:
        yield from ("", page.against)
    if page.steps:
        yield from ("", "```", *page.steps, "```")
    if page.regressions:
        yield from ("", f"## Got worse: {len(page.regressions)}", "")
        for item in page.regressions:
            yield from _item(item)
    elif page.calm:
        yield from ("", page.calm)
    for section in page.loops:
        yield from _section(section)
    for remark in page.remarks:
        yield from ("", _inert(remark))


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {_inert(section.name)}", "")
    for item in section.verdicts:
        yield from _item(item)
    yield ""
    yield from _table(section.table)
    yield ""
    for item in section.notes:
        yield from _item(item)
    if section.link is not None:
        yield f"- {_link(section.link)}"


def _item(item: Item) -> Iterator[str]:
    yield f"- **{_inert(item.word)}**: {_inert(item.says)}"
    for point in item.points:
        parts = [_inert(point.text)] if point.text else []
        parts += [", ".join(_link(link) for link in point.links)] if point.links else []
        if parts:
            yield f"    - {' · '.join(parts)}"


def _table(table: Table) -> Iterator[str]:
    yield _row(table.head)
    yield _row(("---", *("--:" for _ in table.head[1:])))
    for row in table.rows:
        yield _row(tuple(_inert(cell) for cell in row))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _link(link: Link) -> str:
    # Addresses are percent-encoded but for their host, which is a setting; parentheses end a link.
    url = link.url.replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")
    return f"[{_inert(link.text)}]({url})"


def _inert(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
