"""The digest as one page of plain text parts, so that each renderer only has to draw them.

Text from the data is on one line and free of control characters here, but not escaped: every
renderer does that in its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nightpane.digest import sentences, words
from nightpane.digest.compared import Digest, LoopReport, Regression, ScoreMove
from nightpane.digest.links import Links
from nightpane.digest.model import Round
from nightpane.digest.table import Table, funnel, table
from nightpane.stats import Moved, Verdict

__all__ = ["Item", "Link", "Page", "Point", "Section", "Tone", "page"]

Tone = Literal["good", "bad", "warn", "plain", "dim"]
_SHOWN = 3
_MOVED: dict[Moved, Tone] = {
    Moved.IMPROVED: "good",
    Moved.WORSE: "bad",
    Moved.WITHIN_NOISE: "plain",
    Moved.NOT_ENOUGH_DATA: "dim",
}
_PROGRESS: dict[Verdict, Tone] = {
    Verdict.IMPROVING: "good",
    Verdict.PLATEAU: "warn",
    Verdict.STUCK: "bad",
    Verdict.UNCLEAR: "plain",
    Verdict.NOT_ENOUGH_DATA: "dim",
}
_WORDS = {"score": "score", "eval": "cases", "cost": "cost", "failures": "broken rounds"}
_CHANCE = "coincidence in time, no cause is known"


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Point:
    """A line of evidence below an item, and where to look; the text may be empty."""

    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """A word with its tone, what it says in one line, and the points below it."""

    tone: Tone
    word: str
    says: str
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A loop: its verdicts, its table, and what there is to note."""

    name: str
    link: Link | None
    verdicts: tuple[Item, ...]
    table: Table
    notes: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The digest from top to bottom. ``calm`` stands in place of regressions where there are none,
    ``steps`` say what to do when there is nothing at all."""

    title: str
    headline: str
    against: str
    fresh: str
    regressions: tuple[Item, ...]
    calm: str
    loops: tuple[Section, ...]
    remarks: tuple[str, ...]
    steps: tuple[str, ...]


def page(digest: Digest, links: Links) -> Page:
    """Return the digest's page, with links where the server has pages."""
    morning = digest.morning
    fresh = ""
    if morning.newest is not None and morning.loops and morning.is_latest:
        fresh = f"Newest event {words.age(morning.newest, morning.now)}."
    return Page(
        title=f"Night of {morning.night.label}",
        headline=words.headline(morning),
        against=_against(digest),
        fresh=fresh,
        regressions=tuple(_regression(one, digest, links) for one in digest.regressions),
        calm=_calm(digest),
        loops=tuple(_section(report, digest, links) for report in digest.loops),
        remarks=_remarks(digest),
        steps=words.next_steps(morning),
    )


def _calm(digest: Digest) -> str:
    verdicts = {move.verdict for report in digest.loops for move in report.moves}
    if not verdicts:
        return ""
    if verdicts == {Moved.NOT_ENOUGH_DATA}:
        return "Whether a score got worse cannot be told yet; nothing else did."
    also = ", where that can be told" if Moved.NOT_ENOUGH_DATA in verdicts else ""
    return f"Nothing got worse beyond noise{also}."


def _against(digest: Digest) -> str:
    verdicts = [move.verdict for report in digest.loops for move in report.moves]
    said = [f"{verdicts.count(word)} {word}" for word in Moved if word in verdicts]
    if not said:
        return ""
    return f"Against the night before: {', '.join(said) if len(verdicts) > 1 else verdicts[0]}."


def _regression(one: Regression, digest: Digest, links: Links) -> Item:
    project = None if one.project == "(none)" else one.project
    rounds = [_link("round", links.round(each)) for each in one.rounds]
    night = _link("night", links.night(digest.morning.night.date, project))
    name = words.loop_name(one.project, one.client)
    point = Point(one.evidence, _links(rounds or [night]))
    return Item("bad", _WORDS[one.kind], f"{name}: {one.says}", (point,))


def _section(report: LoopReport, digest: Digest, links: Links) -> Section:
    loop = report.loop
    project = None if loop.project == "(none)" else loop.project
    return Section(
        name=words.loop_name(loop.project, loop.client),
        link=_link("the night", links.night(digest.morning.night.date, project)),
        verdicts=tuple(
            item for move in report.moves for item in _verdicts(move, several=len(report.moves) > 1)
        ),
        table=table(report),
        notes=tuple(_notes(report, digest, links)),
    )


def _verdicts(move: ScoreMove, *, several: bool) -> Sequence[Item]:
    name = f"{words.metric_name(move.line.metric)}: " if several else ""
    progress = move.line.progress
    night, why = sentences.moved(move), sentences.moved_why(move)
    night = night if why else f"{name}{night}"  # an interval's line names its metric itself
    said = f"{name}{words.evidence(progress)}"
    return (
        Item(_MOVED[move.verdict], str(move.verdict), night, (Point(why),) if why else ()),
        Item(_PROGRESS[progress.verdict], str(progress.verdict), said),
    )


def _notes(report: LoopReport, digest: Digest, links: Links) -> Sequence[Item]:
    found: list[Item] = []
    for move in report.moves:
        if move.kept_on_noise:
            found.append(_kept_on_noise(move, links))
        if move.since is not None:
            found.append(_changes(move, move.since, digest, links))
    if report.loop.failure_modes:
        found.append(Item("dim", "reverted for", words.listed(report.loop.failure_modes)))
    found.append(Item("dim", "funnel", funnel(report.loop.counts)))
    if not report.now.cost.complete and report.now.cost.known_usd is not None:
        found.append(Item("dim", "cost", words.cost(report.now.cost)))
    return found


def _kept_on_noise(move: ScoreMove, links: Links) -> Item:
    noisy = move.kept_on_noise
    points = []
    for one in noisy[:_SHOWN]:
        name = words.plain(one.round_id, longest=40)
        link = _link(name, links.round(one.round_id))
        said = sentences.kept_line(one)
        points.append(Point(said if link else f"{name}: {said}", _links([link])))
    if len(noisy) > _SHOWN:
        points.append(Point(f"and {len(noisy) - _SHOWN:,} more"))
    kept = "round" if move.judged_kept == 1 else "rounds"
    explains = "explains" if move.noise is None or move.noise.is_repeated else "may explain"
    says = f"{len(noisy):,} of {move.judged_kept:,} kept {kept}: a gain that noise {explains}"
    return Item("warn", "kept on noise", says, tuple(points))


def _changes(move: ScoreMove, since: Round, digest: Digest, links: Links) -> Item:
    found = digest.changes_before(move)
    link = _link("first round after the move", links.round(since.round_id))
    tz = digest.morning.night.start.tzinfo
    when = f"{since.started_at.astimezone(tz):%-d %b %H:%M}"
    if digest.changes is None:
        says = "not known: the annotations could not be read"
    elif not found:
        says = f"no annotation in the 24 hours before the score moved ({when})"
    else:
        says = f"in the 24 hours before the score moved ({when}); {_CHANCE}"
    points = [Point(sentences.change_line(one, tz)) for one in found[-_SHOWN:]]
    if len(found) > _SHOWN:
        points.insert(0, Point(f"{len(found) - _SHOWN:,} earlier ones"))
    return Item("plain", "noted before", says, (*points, Point("", _links([link]))))


def _remarks(digest: Digest) -> tuple[str, ...]:
    found = [
        f"{words.loop_name(quiet.project, quiet.client)} ran {quiet.rounds:,} "
        f"{'round' if quiet.rounds == 1 else 'rounds'} the night before, and none in this one."
        for quiet in digest.morning.quiet
    ]
    if digest.changes is None:
        found.append(f"Annotations could not be read: {words.plain(digest.changes_unread or '')}.")
    return tuple(found)


def _links(links: Iterable[Link | None]) -> tuple[Link, ...]:
    return tuple(link for link in links if link is not None)


def _link(text: str, url: str | None) -> Link | None:
    return None if url is None else Link(text, url)
