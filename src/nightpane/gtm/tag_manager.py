"""A container into a staging workspace of Tag Manager itself, by its API (v2).

It creates and updates in a workspace of its own name; it never publishes and never deletes. What is
there already, by name, is updated only where it differs, so doing it twice changes nothing. The
token comes from the environment (GOOGLE_OAUTH_ACCESS_TOKEN) or from Google's application default
credentials, and is never told.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from nightpane.errors import GtmError, MissingExtraError
from nightpane.gtm.container import ID_FIELDS, Container, Entity

__all__ = ["TOKEN_ENV", "Staged", "TagManager"]

TOKEN_ENV = "GOOGLE_OAUTH_ACCESS_TOKEN"  # noqa: S105 (the variable's name)
"""The environment variable of an access token with the scope to edit containers."""
_API = "https://tagmanager.googleapis.com/tagmanager/v2"
_SCOPE = "https://www.googleapis.com/auth/tagmanager.edit.containers"
# Google allows 25 requests in 100 seconds.
_INTERVAL_S = 4.0
_RETRIES = 5
_TIMEOUT_S = 60
_PLURALS = {"folder": "folders", "variable": "variables", "trigger": "triggers", "tag": "tags"}
# What belongs to a place and not to an entity.
_PLACE = frozenset(
    {"accountId", "containerId", "workspaceId", "path", "tagManagerUrl", "fingerprint"}
)
_BUILT_IN_TRIGGERS = 2147470000
_CONSTANTS = frozenset({"type", "consentStatus", "tagFiringOption"})
_QUOTA = re.compile("quota|rate.?limit", re.IGNORECASE)
_CAPITALS = re.compile(r"[A-Z0-9]+(?:_[A-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging did: the workspace's path, and the labels of what was created and updated."""

    workspace: str
    created: tuple[str, ...]
    updated: tuple[str, ...]


class TagManager:
    """Tag Manager's API. ``base`` is its address, ``token`` an access token, by default as the
    environment gives it; ``pause`` waits so many seconds, between requests and before another try.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        base: str = _API,
        interval_s: float = _INTERVAL_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = base.rstrip("/")
        self._token = token or _token()
        self._interval_s = interval_s
        self._pause = pause
        self._last = float("-inf")

    def stage(
        self, container: Container, parent: str, name: str, *, renamed_from: Container | None = None
    ) -> Staged:
        """Bring the workspace ``name`` of ``parent`` (``accounts/1/containers/2``) to what the
        container holds: folders, variables, triggers and tags. What else is there stays. An entity
        that had another name in ``renamed_from`` is found by that name, and renamed.

        Raises GtmError when the API refuses or does not answer; staging again goes on from there.
        """
        workspace = self._workspace(parent, name)
        ids: dict[str, dict[str, str]] = {kind: {} for kind in _PLURALS}
        before = _names(renamed_from)
        created: list[str] = []
        updated: list[str] = []
        for kind in _PLURALS:
            there = {str(one["name"]): one for one in self._list(f"{workspace}/{_PLURALS[kind]}",
                                                                 kind)}  # fmt: skip
            for entity in container.entities(kind):
                wanted = _wanted(entity, ids)
                found = there.get(entity.name) or there.get(before.get((kind, entity.id), ""))
                if found is None:
                    found = self._call("POST", f"{workspace}/{_PLURALS[kind]}", wanted)
                    created.append(entity.label)
                elif _differs(wanted, found):
                    path = f"{found['path']}?fingerprint={quote(str(found['fingerprint']))}"
                    found = self._call("PUT", path, {**_own(found), **wanted})
                    updated.append(entity.label)
                ids[kind][entity.id] = str(found[ID_FIELDS[kind]])
        return Staged(workspace, tuple(created), tuple(updated))

    def _workspace(self, parent: str, name: str) -> str:
        for one in self._list(f"{parent}/workspaces", "workspace"):
            if one.get("name") == name:
                return str(one["path"])
        body = {"name": name, "description": "Staged by nightpane; look at it before publishing."}
        return str(self._call("POST", f"{parent}/workspaces", body)["path"])

    def _list(self, path: str, kind: str) -> Iterator[Mapping[str, Any]]:
        page = ""
        while True:
            found = self._call("GET", f"{path}?pageToken={quote(page)}" if page else path)
            yield from found.get(kind, ())
            page = str(found.get("nextPageToken") or "")
            if not page:
                return

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        for attempt in range(_RETRIES + 1):
            self._wait()
            try:
                answer = requests.request(
                    method,
                    f"{self._base}/{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {self._token}"},
                    timeout=_TIMEOUT_S,
                )
            except requests.RequestException as error:
                raise GtmError(
                    f"Tag Manager does not answer at {self._base}: {type(error).__name__}"
                ) from error
            if answer.ok:
                return answer.json()
            if not _is_passing(answer) or attempt == _RETRIES:
                raise GtmError(
                    f"Tag Manager refused {method} {path.partition('?')[0]} with "
                    f"{answer.status_code}: {_said(answer)}"
                )
            self._pause(_delay(answer, attempt))
        raise AssertionError("the loop returns or raises")

    def _wait(self) -> None:
        """Keep to the quota."""
        due = self._last + self._interval_s - time.monotonic()
        if due > 0:
            self._pause(due)
        self._last = time.monotonic()


def _token() -> str:
    if found := os.environ.get(TOKEN_ENV):
        return found
    try:
        import google.auth
        import google.auth.exceptions
        import google.auth.transport.requests
    except ImportError as error:
        raise MissingExtraError("gtm") from error
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        credentials.refresh(google.auth.transport.requests.Request())  # type: ignore[no-untyped-call]
    except google.auth.exceptions.GoogleAuthError as error:
        raise GtmError(
            f"no credentials for Tag Manager: set {TOKEN_ENV}, or run 'gcloud auth "
            f"application-default login --scopes={_SCOPE}'"
        ) from error
    return str(credentials.token)


def _wanted(entity: Entity, ids: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return an entity as the API takes it, its references to others by their ids there."""
    wanted = {
        name: value
        for name, value in entity.document.items()
        if name not in _PLACE and name != ID_FIELDS[entity.kind]
    }
    if entity.folder_id is not None:
        wanted["parentFolderId"] = ids["folder"].get(entity.folder_id, entity.folder_id)
    for field in ("firingTriggerId", "blockingTriggerId"):
        if field in wanted:
            wanted[field] = [_trigger(one, ids) for one in wanted[field]]
    spelt: dict[str, Any] = _as_api(wanted)
    return spelt


def _as_api(value: Any) -> Any:
    """Return a value with its constants as the API spells them: exports have ``CUSTOM_EVENT``
    where the API has ``customEvent``."""
    if isinstance(value, Mapping):
        return {
            name: _camel(one) if name in _CONSTANTS else _as_api(one) for name, one in value.items()
        }
    return [_as_api(one) for one in value] if isinstance(value, list) else value


def _camel(value: Any) -> Any:
    if not isinstance(value, str) or not _CAPITALS.fullmatch(value):
        return value
    first, *rest = value.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def _trigger(one: str, ids: Mapping[str, Mapping[str, str]]) -> str:
    if one.isdecimal() and int(one) >= _BUILT_IN_TRIGGERS:
        return one
    return ids["trigger"].get(one, one)


def _own(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in _PLACE}


def _differs(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return any(_as_api(found.get(name)) != value for name, value in wanted.items())


def _names(container: Container | None) -> dict[tuple[str, str], str]:
    """Return the names of a container's entities by kind and id."""
    kinds = _PLURALS if container is not None else ()
    return {(kind, one.id): one.name for kind in kinds for one in container.entities(kind)}  # type: ignore[union-attr]


def _is_passing(answer: requests.Response) -> bool:
    """Return whether a refusal may pass: Google answers an exceeded quota with 403 as well."""
    if answer.status_code == 403:
        return bool(_QUOTA.search(answer.text))
    return answer.status_code in (429, 500, 502, 503, 504)


def _said(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return answer.reason or "no reason given"


def _delay(answer: requests.Response, attempt: int) -> float:
    given = answer.headers.get("Retry-After", "")
    return float(given) if given.isdecimal() else min(2.0**attempt, 60.0)
