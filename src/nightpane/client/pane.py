"""``Pane``: what a loop's code holds to say what it does.

In production nothing here raises into the loop or waits for the network; what goes wrong is counted
(``health()``) and logged, at most once a minute for each kind.
"""

from __future__ import annotations

import atexit
import itertools
import os
import uuid as uuids
import weakref
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from nightpane import config
from nightpane.catalog import Event
from nightpane.client import carrier as carriers
from nightpane.client import gitsha
from nightpane.client.destination import Destination, Route, resolve
from nightpane.client.envelope import DEFAULT_AGENT, Envelope, Place
from nightpane.client.flag_source import FlagSource
from nightpane.client.handover import Handover, Tracked
from nightpane.client.health import Counters, Health, Voice
from nightpane.client.history import History, query_client
from nightpane.client.knobs import Knobs
from nightpane.client.pipeline import Pipeline
from nightpane.client.redact import KeyMask, Redactor
from nightpane.client.runs import Run
from nightpane.client.scopes import current_place, shown
from nightpane.client.sdk import QuietPosthog, context_properties, open_posthog
from nightpane.client.sender import Sender
from nightpane.client.spool.files import Files
from nightpane.client.spool.folder import SpoolFolder
from nightpane.client.spool.writer import DEFAULT_MAX_BYTES, SpoolWriter
from nightpane.client.transport import HttpTransport, Transport
from nightpane.client.worker import Worker
from nightpane.client.working import Direction, JoinedRound
from nightpane.errors import ConfigError, NightpaneError, SpoolError
from nightpane.ids import uuid7
from nightpane.query import Query

__all__ = ["Pane", "newest_pane"]

_EXIT_S = 2.0
_panes: weakref.WeakSet[Pane] = weakref.WeakSet()
_serials = itertools.count()


class Pane:
    """Tracks one loop's events into the spool, from where they are delivered in the background.

    Every argument left out comes from the environment, ``.env``, ``nightpane.toml`` or the running
    local server (see ``nightpane.config``). Raises ConfigError when no project is named.

    ``redact`` holds callables (event dict to event dict, None to drop it) and patterns of property
    names to mask. ``historical_migration`` marks what is sent as an import of the past.
    ``max_spool_bytes`` limits the whole spool folder. ``exit_s`` limits how long the process's end
    waits for delivery. ``query`` answers what the pane asks about its past, by default the API of
    the settings. ``files`` and ``transport`` stand in for disk and network in tests.
    """

    def __init__(
        self,
        project: str | None = None,
        client: str | None = None,
        *,
        api_key: str | None = None,
        host: str | None = None,
        spool_dir: str | Path | None = None,
        strict: bool | None = None,
        privacy_mode: bool | None = None,
        redact: Iterable[Redactor | str] = (),
        max_spool_bytes: int = DEFAULT_MAX_BYTES,
        historical_migration: bool = False,
        git_sha: str | None = None,
        close_on_sigterm: bool = True,
        exit_s: float = _EXIT_S,
        query: Query | None = None,
        files: Files | None = None,
        transport: Transport | None = None,
    ) -> None:
        settings = config.load(
            project=project,
            client=client,
            api_key=api_key,
            host=host,
            spool_dir=spool_dir,
            strict=strict,
            privacy_mode=privacy_mode,
        )
        if settings.project is None:
            raise ConfigError(
                "project is not set: pass Pane(project=…) or set AUTORESEARCH_PROJECT, "
                "for example to autoresearch"
            )
        self.project: str = settings.project
        self.client = settings.client
        self.strict = settings.strict
        self.close_on_sigterm = close_on_sigterm
        self.exit_s = exit_s
        self._settings = settings
        self._counters = Counters()
        self._voice = Voice()
        self._folder = SpoolFolder(settings.spool_dir, files)
        destination = Destination.from_settings(settings, historical_migration=historical_migration)
        self._writer = SpoolWriter(self._folder, destination, max_bytes=max_spool_bytes)
        transport = transport or HttpTransport()
        self._sender = Sender(
            self._folder,
            self._writer,
            transport,
            self._resolve,
            counters=self._counters,
            voice=self._voice,
        )
        self._worker = Worker(self._writer, self._sender, transport, self._voice)
        envelope = Envelope(
            self.project, self.client, git_sha or gitsha.short_sha(gitsha.code_folder())
        )
        self._distinct_id = f"{self.project}:{self.client}"[:200]
        self._query = query
        self._history = History(self.query, self.flush, self._voice)
        self._flag_source = FlagSource(
            settings, {"project": self.project, "client": self.client}, self._voice
        )
        patterns = [one for one in redact if isinstance(one, str)]
        self._mask = KeyMask(patterns, private=settings.privacy_mode)
        self.posthog: QuietPosthog = open_posthog(
            Pipeline(
                envelope=envelope,
                mask=self._mask,
                redactors=[one for one in redact if not isinstance(one, str)],
                append=self._append,
                place=lambda: current_place(self),
                counters=self._counters,
                voice=self._voice,
                strict=self.strict,
            ),
            api_key=settings.api_key,
            host=settings.host,
            privacy_mode=settings.privacy_mode,
        )
        self._serial = next(_serials)
        _panes.add(self)

    def track(
        self,
        event: str,
        /,
        *,
        agent: str | None = None,
        round_id: str | None = None,
        timestamp: datetime | str | float | None = None,
        uuid: str | uuids.UUID | None = None,
        **props: Any,
    ) -> str | None:
        """Keep one event; return its uuid once it outlives this process, None when it was lost.

        Inside a round, run, round and agent are the round's unless given; elsewhere ``agent`` is
        required. ``timestamp`` (a naive one is UTC, a number is seconds since the epoch) and
        ``uuid`` are for importers.

        Raises nothing, unless the pane is strict: then CatalogError for an event that does not fit
        the catalogue and SpoolError for one that cannot be written.
        """
        place = current_place(self)
        return self._track(
            event,
            props,
            place=place,
            agent=agent,
            round_id=round_id,
            timestamp=timestamp,
            uuid=uuid,
        )

    def emit(
        self,
        event: Event,
        /,
        *,
        agent: str | None = None,
        round_id: str | None = None,
        timestamp: datetime | str | float | None = None,
        uuid: str | uuids.UUID | None = None,
        **extra: Any,
    ) -> str | None:
        """Keep one event of the catalogue; otherwise as ``track``."""
        return self._track(
            event.event,
            {**event.given(), **extra},
            place=current_place(self),
            agent=agent,
            round_id=round_id,
            timestamp=timestamp,
            uuid=uuid,
        )

    def run(
        self,
        *,
        agent: str | None = None,
        run_id: str | None = None,
        metric: str | None = None,
        direction: Direction | None = None,
        baseline_score: float | None = None,
        knobs: type[Knobs] | bool = False,
    ) -> Run:
        """Return a new run, to be entered with ``with`` or ``async with``.

        ``agent`` is the role that closes the run (orchestrator). ``metric`` and ``direction`` are
        the rounds' unless they say otherwise; ``baseline_score`` is the best score known before.
        With ``knobs`` (True, or a class of them) each round reads them as it begins and its events
        carry them; without, a round reads them when it is first asked for one.
        """
        return Run(
            self,
            agent=agent,
            run_id=run_id,
            metric=metric,
            direction=direction,
            baseline_score=baseline_score,
            knobs=knobs,
        )

    def join(
        self, carrier: Mapping[str, str] | str | None = None, *, agent: str | None = None
    ) -> JoinedRound:
        """Return the round that a carrier names, to be entered with ``with``; its owner closes it.

        ``carrier`` is what ``round.carrier()`` returned, an HTTP request's headers or the header's
        value; by default this process's environment variable ``BAGGAGE``. ``agent`` is the role
        that acts here, else the carrier's. What names no round is logged, and joins none.
        """
        named = carriers.read(carrier)
        if not named:
            self._voice.once("join", "there is no round to join: the carrier names none")
        return JoinedRound(self, carriers.joined_place(named, agent))

    def is_on(self, flag: str, *, agent: str | None = None) -> bool:
        """Return whether a feature flag is on for an agent now; False when nothing is known."""
        value = self._flag_source.read([flag], self._agent_id(agent))[flag].value
        return bool(value) and value != "control"

    def query(self) -> Query:
        """Return who answers what the pane asks about its past.

        Raises UnreachableError when there is no host to ask, ConfigError when there is no key.
        """
        return query_client(self._settings) if self._query is None else self._query

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Put all events on the disk itself and deliver them; False when the time is over first."""
        return self._worker.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Deliver for at most ``timeout_s`` (``exit_s``), then leave the rest to the next process.

        Returns whether everything is delivered. A later ``track()`` opens the pane again.
        """
        self._flag_source.close()
        return self._worker.end(self.exit_s if timeout_s is None else timeout_s)

    def health(self) -> Health:
        """Return what this process has done so far, in counts."""
        counters = self._counters
        return Health(
            written=counters["written"],
            delivered=counters["delivered"],
            not_written=counters.starting("not_written."),
            set_aside=counters["set_aside"],
            lost_frames=counters["lost_frames"],
            invalid=counters["invalid"],
            truncated=counters["truncated"],
            redacted=counters["redacted"],
            redaction_failures=counters["redaction_failures"],
            dropped_by_redactor=counters["dropped_by_redactor"],
            pending_bytes=self._pending_bytes(),
            retries=counters["retries"],
            last_error=counters.last_error,
            spool_dir=self._folder.path,
        )

    def _pending_bytes(self) -> int | None:
        active, pending = self._writer.active, 0
        try:
            names = self._folder.names("seg")
        except OSError:
            # A health check answers on a broken disk too.
            return None
        for name in names:
            if active is not None and name.stem == active.stem:
                pending += active.end - max(active.start, self._sender.acked_offset(name.stem))
            else:
                pending += max(0, name.size_bytes - self._folder.read_ack(name.stem).offset)
        return pending

    def __enter__(self) -> Pane:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Pane(project={self.project!r}, client={self.client!r})"

    def _append(self, payload: bytes) -> None:
        self._writer.append(payload)
        self._worker.notify()

    def _emit(
        self,
        event: Event,
        place: Place | None,
        agent: str | None,
        extra: Mapping[str, Any],
        *,
        timestamp: float | None = None,
    ) -> str | None:
        # Long texts are cut behind the redaction: half of a secret would pass it.
        props = {**event.given(), **extra}
        return self._track(event.event, props, place=place, agent=agent, timestamp=timestamp)

    def _track(
        self,
        event: str,
        props: Mapping[str, Any],
        *,
        place: Place | None,
        agent: str | None = None,
        round_id: str | None = None,
        timestamp: Any = None,
        uuid: Any = None,
        distinct_id: str | None = None,
    ) -> str | None:
        notes: list[str] = []
        when = None if timestamp is None else _when(timestamp, notes)
        handover = Handover(
            uuid=str(uuid7()) if uuid is None else _uuid_text(uuid, notes),
            place=place,
            agent=_text(agent, "agent", notes),
            round_id=_text(round_id, "round_id", notes),
            ts=None if when is None else when.timestamp(),
            notes=notes,
            has_distinct_id=distinct_id is not None,
        )
        if agent is None and (place is None or place.agent is None):
            notes.append("agent is missing; it is required outside of a run")
        message = {
            "event": event,
            "distinct_id": distinct_id or self._distinct_id,
            "uuid": handover.uuid,
            "timestamp": (when or datetime.now(UTC)).isoformat(timespec="microseconds"),
            "properties": {**context_properties(), **props},
        }
        if not self.posthog.disabled and self.posthog.before_send is not None:
            try:
                self.posthog.before_send(Tracked(handover, message))
            except Exception as error:  # noqa: BLE001 (somebody else's hook around ours)
                handover.error = NightpaneError(f"a hook before nightpane's raised {error!r}")
        return self._outcome(handover)

    def _outcome(self, handover: Handover) -> str | None:
        if handover.written:
            return handover.uuid
        if handover.dropped:
            return None
        if not handover.taken:
            # Switched off by hand: pane.posthog.disabled, or another hook in our place.
            self._counters.add("not_written.disabled")
            self._voice.say("disabled", "an event was not kept: pane.posthog is switched off")
        if self.strict and handover.error is not None:
            raise handover.error
        return None

    def _agent_id(self, agent: str | None) -> str:
        """Return an agent's distinct id: what flags are evaluated for."""
        return f"{self.project}:{self.client}:{agent or DEFAULT_AGENT}"[:200]

    def _say_misuse(self, what: str) -> None:
        if self.strict:
            raise NightpaneError(what)
        self._voice.say(f"misuse {what}", what)

    def _resolve(self, destination: Destination) -> Route | None:
        return resolve(destination, self._settings, self._settings.state_dir)

    def _after_fork(self) -> None:
        self._writer.after_fork()
        self._sender.after_fork()
        self._worker.after_fork()
        self._counters.after_fork()
        self._flag_source.after_fork()

    def _at_exit(self) -> None:
        try:
            self.close()
        except SpoolError as error:
            self._voice.say("exit", str(error))


def newest_pane() -> Pane | None:
    """Return the pane of this process that was made last, None when there is none."""
    return max(_panes, key=lambda pane: pane._serial, default=None)


def _when(timestamp: Any, notes: list[str]) -> datetime | None:
    try:
        if isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
            return datetime.fromtimestamp(timestamp, UTC)
        when = timestamp
        if isinstance(timestamp, str):
            when = datetime.fromisoformat(timestamp)
        if isinstance(when, datetime):
            return when.replace(tzinfo=UTC) if when.utcoffset() is None else when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    notes.append(f"timestamp {shown(timestamp)} cannot be read: sent with the time of now")
    return None


def _uuid_text(uuid: Any, notes: list[str]) -> str:
    try:
        return str(uuid if isinstance(uuid, uuids.UUID) else uuids.UUID(str(uuid)))
    except Exception:  # noqa: BLE001 (a user's object may not even print)
        notes.append(f"uuid {shown(uuid)} is none: sent with a new one")
        return str(uuid7())


def _text(value: Any, name: str, notes: list[str]) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    text = shown(value)
    notes.append(f"{name} is {text}; expected a text")
    return text


def _after_fork_in_child() -> None:
    for pane in list(_panes):
        pane._after_fork()


def _at_exit() -> None:
    for pane in list(_panes):
        pane._at_exit()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
