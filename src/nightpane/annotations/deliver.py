"""Makes annotations, and delivers those that wait.

At most one of each on the server, as far as the server can tell: what a request may have carried is
looked for before it is sent again. A waiting annotation goes nowhere but where it was meant for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from nightpane import config
from nightpane.annotations.annotation import Annotation
from nightpane.annotations.folder import Folder, Kept, destination
from nightpane.config import Settings
from nightpane.errors import ApiError, ConfigError
from nightpane.management import Resource
from nightpane.query import QueryClient

__all__ = ["Annotated", "Flushed", "annotate", "flush", "latest"]

_TIMEOUT_S = 10.0
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")
# The server understood the request and will never take it.
_REFUSED = (400, 413, 422)


_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a delivery did: counts, and the last reason why something waits or was refused."""

    delivered: int = 0
    waiting: int = 0
    refused: int = 0
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Annotated:
    """What became of a new annotation, and of those that waited before it.

    ``state`` is ``delivered``, ``kept`` (on disk, for later) or ``refused`` (by the server, for
    good).
    """

    annotation: Annotation
    state: Literal["delivered", "kept", "refused"]
    flushed: Flushed


def annotate(
    text: str,
    *,
    at: datetime | None = None,
    scope: str = "project",
    settings: Settings | None = None,
    from_git: bool = False,
) -> Annotated:
    """Put an annotation on disk; deliver it, and the ones that wait, if a server answers.

    ``at`` None is now. What is kept is delivered by the next ``annotate``, ``flush``, morning or
    commit hook. Waits at most 10 s for each request. Raises ConfigError for an unusable argument,
    SpoolError when the annotation cannot be kept on disk.
    """
    settings = settings or config.load()
    annotation = Annotation.of(text, at=at, scope=scope, from_git=from_git)
    folder = Folder(settings.spool_dir)
    name = folder.add(Kept(annotation, *destination(settings)))
    flushed = flush(settings, first=name)
    suffix = dict(folder.names("json", "tried", "refused")).get(name)
    state: Literal["delivered", "kept", "refused"] = "delivered"
    if suffix is not None:
        state = "refused" if suffix == "refused" else "kept"
    return Annotated(annotation, state, flushed)


def flush(
    settings: Settings, *, timeout_s: float = _TIMEOUT_S, first: str | None = None
) -> Flushed:
    """Deliver every waiting annotation that belongs to the configured host, the oldest first.

    ``first`` names one that goes before. ``timeout_s`` limits each request. Never raises for a
    fault of network or disk: it is told.
    """
    folder = Folder(settings.spool_dir)
    try:
        folder.tidy()
        names = sorted(folder.names("json", "tried"), key=lambda one: (one[0] != first, one))
        return _Delivery(folder, settings, timeout_s).run(names) if names else Flushed()
    except OSError as error:
        return Flushed(why=f"{folder.path} cannot be read: {error}")


def latest(client: QueryClient, count: int = 20) -> list[dict[str, Any]]:
    """Return the project's latest annotations, the newest first. Raises as ``Resource`` does."""
    documents = Resource(client, "annotations").list(most=_LISTED)
    documents.sort(key=lambda one: str(one.get("date_marker") or ""), reverse=True)
    return documents[:count]


class _Delivery:
    """One pass over the waiting annotations. It ends at the first server that does not answer."""

    def __init__(self, folder: Folder, settings: Settings, timeout_s: float) -> None:
        self._folder = folder
        self._settings = settings
        self._timeout_s = timeout_s
        self._resource: Resource | None = None
        self._why: str | None = None

    def run(self, names: list[tuple[str, str]]) -> Flushed:
        delivered = refused = 0
        for name, suffix in names:
            with self._folder.lease(name, suffix) as is_held:
                kept = self._folder.read(name, suffix) if is_held else None
                if kept is None:
                    continue
                outcome = self._deliver(name, suffix, kept)
            delivered += outcome == "delivered"
            refused += outcome == "refused"
            if outcome == "stop":
                break
        waiting = len(self._folder.names("json", "tried"))
        return Flushed(delivered, waiting, refused, self._why if waiting or refused else None)

    def _deliver(self, name: str, suffix: str, kept: Kept) -> str:
        if not kept.is_for(self._settings):
            self._why = f"it is kept for {kept.host}, which the settings do not point to now"
            return "waits"
        try:
            resource = self._server()
            if suffix == "json":
                self._folder.mark_tried(name)
            elif kept.annotation.is_in(_similar(resource, kept.annotation)):
                self._folder.remove(name, "tried")
                return "delivered"
            resource.create(kept.annotation.document())
        except (ApiError, ConfigError) as error:
            self._why = str(error)
            if isinstance(error, ApiError) and error.status in _REFUSED:
                self._folder.refuse(name, replace(kept, reason=str(error)))
                return "refused"
            return "stop"
        self._folder.remove(name, "tried")
        return "delivered"

    def _server(self) -> Resource:
        if self._resource is None:
            client = QueryClient.from_settings(self._settings, timeout_s=self._timeout_s, retries=0)
            self._resource = Resource(client, "annotations")
        return self._resource


def _similar(resource: Resource, annotation: Annotation) -> list[dict[str, Any]]:
    """Return the server's annotations among which this one is, if it is there.

    One plain word narrows the search; a server that does not search gives all.
    """
    words = _ASCII_WORD.findall(annotation.content)
    longest = max(words, key=len, default="")
    return resource.list(search=longest) if longest else resource.list()
