"""The digest as one Slack message: what got worse, and a line or two for each loop."""

from __future__ import annotations

from collections.abc import Iterator

from nightpane import slack
from nightpane.digest.page import Item, Link, Page, Section

__all__ = ["to_slack"]

MOST_CHARS = 30_000  # Slack cuts a text at 40,000
_MARKS = str.maketrans({"*": "∗", "`": "ˋ"})
_WORDS = ("best ", "typical ", "kept", "cost per kept")


def to_slack(page: Page) -> str:
    """Return the page in Slack's mrkdwn: no text from the data mentions anyone or links."""
    text = "\n".join(_lines(page))
    if len(text) <= MOST_CHARS:
        return text
    whole = text[:MOST_CHARS].rpartition("\n")[0]  # at a line's end: no link is cut in two
    return f"{whole}\n… cut: nightpane morning prints it whole"


def _lines(page: Page) -> Iterator[str]:
    yield f"*{_inert(page.title)}*"
    yield _inert(page.headline)
    if page.against:
        yield page.against
    if page.regressions:
        yield f"\n*Got worse: {len(page.regressions)}*"
        for item in page.regressions:
            yield from _item(item)
    elif page.calm:
        yield _inert(page.calm)
    for section in page.loops:
        yield from _section(section)
    for remark in page.remarks:
        yield f"\n{_inert(remark)}"


def _section(section: Section) -> Iterator[str]:
    also = "" if section.link is None else f" · {_link(section.link)}"
    yield f"\n*{_inert(section.name)}*{also}"
    for item in section.verdicts:
        yield from _item(item)
    for name, *cells in section.table.rows:
        if name.startswith(_WORDS):
            yield f"{_inert(name)}: {_inert(cells[0])} (before {_inert(cells[1])})"
    for item in section.notes:
        if item.tone != "dim":
            yield from _item(item)


def _item(item: Item) -> Iterator[str]:
    yield f"• *{_inert(item.word)}* {_inert(item.says)}"
    for point in item.points:
        parts = [_inert(point.text), ", ".join(_link(link) for link in point.links)]
        if any(parts):
            yield "    " + " · ".join(part for part in parts if part)


def _link(link: Link) -> str:
    url = slack.escape(link.url).replace("|", "%7C")
    return f"<{url}|{_inert(link.text)}>"


def _inert(text: str) -> str:
    # Slack makes a link of whatever looks like an address.
    return slack.escape(text).translate(_MARKS).replace("://", ":⁄⁄")
