"""Where a loop's flags come from: definitions polled in the background, or asked for one by one.

With a personal API key the flags' definitions are fetched every half minute by a thread of their
own and evaluated here; without one, or for a flag that only the server can evaluate, it is asked. A
read waits ``LIMIT_S`` at the most, never raises, and says where its answer comes from; a server
that does not answer is left alone for a while, and what is known last holds.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nightpane.client.health import Voice
from nightpane.config import Settings, running_servers
from nightpane.errors import NightpaneError
from nightpane.flags import Context, FlagSet, Result

__all__ = ["LIMIT_S", "Asker", "FlagSource", "Reading"]

LIMIT_S = 1.5
"""The longest a read waits."""

_POLL_S = 30.0
_AGAIN_S = 30.0
_FRESH_S = 10.0
_TIMEOUT_S = 5.0

Source = Literal["local", "remote", "last known", "default"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a flag came to. ``value`` None: there is no such flag, or nothing is known of it.

    ``source`` is ``local`` (evaluated here), ``remote`` (asked for), ``last known`` or ``default``
    (nothing is known); ``error`` is PostHog's word for why it is not fresh.
    """

    key: str
    value: bool | str | None = None
    payload: Any = None
    source: Source = "default"
    reason: str | None = None
    flag_id: int | None = None
    version: int | None = None
    has_experiment: bool | None = None
    request_id: str | None = None
    evaluated_at: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    etag: str | None


class Asker:
    """Asks over HTTP. Tests have their own."""

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        """Return the answer. Raises OSError or ValueError when there is none to be read."""
        import requests  # imported late: a loop without flags never needs it

        with requests.Session() as session:
            # Not even from ~/.netrc: the keys are all that identifies us.
            session.auth = lambda request: request
            answer = session.request(
                method,
                url,
                json=body,
                headers=dict(headers),
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
            content = answer.json() if answer.status_code == 200 else None
            return Answer(answer.status_code, content, answer.headers.get("ETag"))


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    api_key: str
    personal_api_key: str | None


@dataclass(frozen=True, slots=True)
class _Whom:
    distinct_id: str
    device_id: str | None


class FlagSource:
    """A pane's flags. Does nothing, and starts no thread, before the first read."""

    def __init__(
        self,
        settings: Settings,
        properties: Mapping[str, str],
        voice: Voice,
        *,
        asker: Asker | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._properties = properties
        self._voice = voice
        self._asker = asker or Asker()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._tried = threading.Event()
        self._poller: threading.Thread | None = None
        self._flags: FlagSet | None = None
        self._etag: str | None = None
        self._patient_until = 0.0
        self._silent_until = 0.0
        self._why = "timeout"
        self._last: dict[str, Reading] = {}
        self._asked: dict[_Whom, tuple[float, dict[str, Reading]]] = {}

    def read(
        self, keys: Collection[str], distinct_id: str, device_id: str | None = None
    ) -> dict[str, Reading]:
        """Return what the flags come to for an agent, and a device id where flags go by that."""
        try:
            return self._read(keys, _Whom(distinct_id, device_id))
        except Exception as error:  # noqa: BLE001 (flags must not harm the loop)
            self._voice.say("flags", f"flags cannot be read: {error!r}")
            return {key: self._remembered(key, "unknown_error") for key in keys}

    def close(self) -> None:
        """Stop polling; a later read starts it again."""
        with self._lock:
            poller, self._poller = self._poller, None
        if poller is not None:
            self._wake.set()

    def after_fork(self) -> None:
        """Begin anew in a child, with what the parent knew."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._tried = threading.Event()
        self._poller = None

    def _read(self, keys: Collection[str], whom: _Whom) -> dict[str, Reading]:
        address = _address(self._settings)
        if address is None:
            return {key: self._remembered(key, None) for key in keys}
        deadline = self._monotonic() + LIMIT_S
        flags = self._definitions(address, deadline)
        found: dict[str, Reading] = {}
        if flags is not None:
            found = self._evaluate(flags, keys, whom)
        open_keys = [key for key in keys if key not in found]
        if open_keys:
            found |= self._remote(address, open_keys, whom, deadline)
        self._last |= {key: reading for key, reading in found.items() if reading.value is not None}
        return {key: found.get(key) or self._remembered(key, self._why) for key in keys}

    def _remembered(self, key: str, error: str | None) -> Reading:
        last = self._last.get(key)
        if last is None:
            return Reading(key, error=error)
        return replace(last, source="last known", error=error)

    def _definitions(self, address: _Address, deadline: float) -> FlagSet | None:
        """Return the definitions, waiting for the first ones only, and for those once."""
        if address.personal_api_key is None:
            return None
        with self._lock:
            if self._poller is None or not self._poller.is_alive():
                self._wake = threading.Event()
                self._poller = threading.Thread(
                    target=self._poll, args=(self._wake,), name="nightpane-flags", daemon=True
                )
                self._poller.start()
                self._patient_until = deadline
        self._tried.wait(max(0.0, self._patient_until - self._monotonic()))
        return self._flags

    def _poll(self, wake: threading.Event) -> None:
        while not wake.is_set():
            try:
                self._fetch()
            except Exception as error:  # noqa: BLE001 (whatever the network does)
                self._voice.say("flags", f"the flags' definitions cannot be read: {error!r}")
            self._tried.set()
            wake.wait(_POLL_S)

    def _fetch(self) -> None:
        address = _address(self._settings)
        if address is None or address.personal_api_key is None:
            return
        headers = {"Authorization": f"Bearer {address.personal_api_key}"}
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        url = f"{address.host}/flags/definitions?token={address.api_key}&send_cohorts"
        answer = self._asker.ask("GET", url, headers)
        if answer.status == 200 and isinstance(answer.body, dict):
            self._flags, self._etag = FlagSet.from_definitions(answer.body), answer.etag
        elif answer.status in (401, 402, 403):
            # Not for this key: the server is asked for each read instead.
            self._flags = self._etag = None
            self._voice.once(
                "flags-key",
                f"{address.host} does not give flags' definitions to POSTHOG_PERSONAL_API_KEY "
                f"({answer.status}): it is asked for each round instead",
            )
        elif answer.status != 304:
            raise NightpaneError(f"{address.host} answered {answer.status}")

    def _evaluate(self, flags: FlagSet, keys: Collection[str], whom: _Whom) -> dict[str, Reading]:
        """Return what can be told here; a flag there is none of is told as well."""
        context = Context(
            whom.distinct_id, self._properties, device_id=whom.device_id, complete=False
        )
        found: dict[str, Reading] = {}
        results = flags.evaluate(context, keys)
        for key in keys:
            result = results.get(key)
            if result is None:
                found[key] = Reading(key)
            elif result.value is not None:
                found[key] = _local(flags, key, result)
        return found

    def _remote(
        self, address: _Address, keys: list[str], whom: _Whom, deadline: float
    ) -> dict[str, Reading]:
        """Return the server's answer, {} when it does not come in time."""
        asked_at, found = self._asked.get(whom, (-_FRESH_S, {}))
        if self._monotonic() - asked_at < _FRESH_S and all(key in found for key in keys):
            return {key: found[key] for key in keys}
        if self._monotonic() < self._silent_until:
            return {}
        done = threading.Event()
        answers: dict[str, Reading] = {}

        def work() -> None:
            try:
                answers.update(self._ask(address, keys, whom))
            except Exception as error:  # noqa: BLE001 (whatever the network does)
                self._silent_until = self._monotonic() + _AGAIN_S
                self._why = "connection_error"
                self._voice.say("flags", f"{address.host} cannot be asked for flags: {error!r}")
            finally:
                done.set()

        threading.Thread(target=work, name="nightpane-flags-ask", daemon=True).start()
        if not done.wait(max(0.0, deadline - self._monotonic())):
            # The answer may still come, and is remembered; nobody waits for the next one so soon.
            self._silent_until = self._monotonic() + _AGAIN_S
            self._why = "timeout"
            return {}
        if answers:
            self._asked = {whom: (self._monotonic(), answers)}
        return answers

    def _ask(self, address: _Address, keys: list[str], whom: _Whom) -> dict[str, Reading]:
        body = {
            "api_key": address.api_key,
            "distinct_id": whom.distinct_id,
            "device_id": whom.device_id,
            "person_properties": {"distinct_id": whom.distinct_id, **self._properties},
            "flag_keys_to_evaluate": keys,
            "geoip_disable": True,
        }
        answer = self._asker.ask("POST", f"{address.host}/flags/?v=2", {}, body)
        records = answer.body.get("flags") if isinstance(answer.body, dict) else None
        if answer.status != 200 or not isinstance(records, dict):
            raise NightpaneError(f"/flags/ answered {answer.status}")
        found: dict[str, Reading] = {}
        for key in keys:
            record = records.get(key)
            if record is None:
                found[key] = Reading(key)
            elif not record.get("failed"):
                found[key] = _remote(key, record, answer.body)
        self._last |= {key: reading for key, reading in found.items() if reading.value is not None}
        return found


def _address(settings: Settings) -> _Address | None:
    """Return who answers for these settings now; a local server may have moved since."""
    if settings.sources.get("host", "local server") == "local server":
        for server in running_servers(settings.state_dir):
            if settings.api_key in (None, server.api_key):
                return _Address(server.host, server.api_key, server.personal_api_key)
    if settings.host is None or settings.api_key is None:
        return None
    return _Address(settings.host, settings.api_key, settings.personal_api_key)


def _local(flags: FlagSet, key: str, result: Result) -> Reading:
    flag = flags.flags[key]
    return Reading(
        key,
        result.value,
        _decoded(flags.payload(key, result.value)),
        "local",
        result.description,
        flag.get("id"),
        flag.get("version"),
        flag.get("has_experiment"),
    )


def _remote(key: str, record: Mapping[str, Any], body: Mapping[str, Any]) -> Reading:
    about = record.get("metadata") or {}
    variant = record.get("variant")
    return Reading(
        key,
        variant if isinstance(variant, str) else bool(record.get("enabled")),
        _decoded(about.get("payload")),
        "remote",
        (record.get("reason") or {}).get("description"),
        about.get("id"),
        about.get("version"),
        about.get("has_experiment"),
        body.get("requestId"),
        body.get("evaluatedAt"),
    )


def _decoded(payload: Any) -> Any:
    """Return a payload's value: PostHog keeps them as JSON text."""
    if not isinstance(payload, str):
        return payload
    try:
        return json.loads(payload)
    except ValueError:
        return None
