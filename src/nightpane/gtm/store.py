"""Versions of containers in an object store: a folder, or any S3-compatible one such as R2.

What was written once is never changed: the same again is harmless, something else under the same
name is refused. Everything is read back and compared by SHA-256 after it was written. Credentials
come from the environment alone (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT, …) and are
never told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nightpane.errors import GtmError, MissingExtraError
from nightpane.gtm.container import Container

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["Run", "Store"]

_TIMEOUT = timedelta(seconds=30)
_RETRY_TIMEOUT = timedelta(seconds=60)
_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Run:
    """A run in the store: its manifest, and the numbers of the rounds whose containers it keeps;
    0 is what the run began from."""

    run_id: str
    manifest: Mapping[str, Any]
    versions: tuple[int, ...]


class Store:
    """A store below an address: a folder's path, ``s3://bucket/prefix``, or an ``https://`` address
    of R2 or S3.

    A run lies at ``runs/RUN/``: ``manifest.json``, ``rounds/0007.json`` for each round, and
    ``versions/0007.json``, the container, for the first and each kept one.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._store = _opened(address)

    # Writing

    def put_version(self, run_id: str, number: int, container: Container) -> str:
        """Keep a round's container; return its SHA-256. Raises GtmError when it cannot be kept."""
        return self._put(f"{_run(run_id)}/versions/{number:04d}.json", container.text.encode())

    def put_round(self, run_id: str, number: int, record: Mapping[str, Any]) -> None:
        """Keep what became of a round. Raises GtmError when it cannot be kept."""
        self._put(f"{_run(run_id)}/rounds/{number:04d}.json", _written(record))

    def put_manifest(self, run_id: str, manifest: Mapping[str, Any]) -> None:
        """Keep what a run came to, once it is over. Raises GtmError when it cannot be kept, or when
        another run of the name is there."""
        self._put(f"{_run(run_id)}/manifest.json", _written(manifest))

    def put_file(self, name: str, content: bytes) -> str:
        """Keep a file, such as a corpus; return its SHA-256. Raises GtmError."""
        return self._put(name, content)

    # Reading

    def runs(self) -> list[Run]:
        """Return the runs that are over, by their ids. Raises GtmError when the store does not
        answer."""
        names = self._names("runs/")
        ids = sorted({name.split("/")[1] for name in names if name.endswith("/manifest.json")})
        return [
            Run(
                run_id=one,
                manifest=self._json(f"runs/{one}/manifest.json"),
                versions=tuple(
                    int(name.rpartition("/")[2].removesuffix(".json"))
                    for name in names
                    if name.startswith(f"runs/{one}/versions/")
                ),
            )
            for one in ids
        ]

    def container(self, run_id: str, number: int) -> Container:
        """Return a round's container. Raises GtmError when it is not there."""
        name = f"{_run(run_id)}/versions/{number:04d}.json"
        return Container.parse(self._get(name).decode("utf-8"))

    def round(self, run_id: str, number: int) -> Mapping[str, Any]:
        """Return what became of a round. Raises GtmError when it is not there."""
        return self._json(f"{_run(run_id)}/rounds/{number:04d}.json")

    def rounds(self, run_id: str) -> list[Mapping[str, Any]]:
        """Return what became of each round of a run, in their order. Raises GtmError."""
        names = self._names(f"{_run(run_id)}/rounds/")
        return [self._json(name) for name in names]

    # The store

    def _put(self, name: str, content: bytes) -> str:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        wanted = hashlib.sha256(content).hexdigest()
        try:
            obstore.put(self._store, name, content, mode="create")
        except (AlreadyExistsError, PreconditionError):
            there = hashlib.sha256(self._get(name)).hexdigest()
            if there != wanted:
                raise GtmError(
                    f"{name} is in {self.address} already, with other content: what was kept once "
                    "is not changed"
                ) from None
            return wanted
        except Exception as error:
            raise self._failed(f"{name} cannot be written", error) from error
        if hashlib.sha256(self._get(name)).hexdigest() != wanted:
            raise GtmError(f"{name} was written to {self.address}, and reads otherwise")
        return wanted

    def _get(self, name: str) -> bytes:
        import obstore

        try:
            return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError as error:
            raise GtmError(f"{name} is not in {self.address}") from error
        except Exception as error:
            raise self._failed(f"{name} cannot be read", error) from error

    def _json(self, name: str) -> Mapping[str, Any]:
        try:
            found = json.loads(self._get(name))
        except ValueError as error:
            raise GtmError(f"{name} in {self.address} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise GtmError(f"{name} in {self.address} holds no JSON object")
        return found

    def _names(self, prefix: str) -> list[str]:
        import obstore

        try:
            return sorted(
                str(one["path"]) for page in obstore.list(self._store, prefix) for one in page
            )
        except Exception as error:
            raise self._failed("the store cannot be listed", error) from error

    def _failed(self, what: str, error: Exception) -> GtmError:
        # The engine's messages go on for pages; the first line says what it was.
        first = str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
        return GtmError(f"{what} in {self.address}: {first}")


def _opened(address: str) -> ObjectStore:
    try:
        from obstore.store import LocalStore, from_url
    except ImportError as error:
        raise MissingExtraError("gtm") from error
    parts = urlsplit(address)
    if not parts.scheme:
        folder = Path(address)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GtmError(f"the store {address} cannot be made: {error}") from error
        return LocalStore(folder)
    if parts.username or parts.password:
        raise GtmError("the store's address holds a secret: put it in the environment instead")
    try:
        return from_url(
            address,
            client_options={"timeout": _TIMEOUT, "allow_http": True},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT},
        )
    except Exception as error:
        raise GtmError(f"the store {address} cannot be used: {error}") from error


def _run(run_id: str) -> str:
    if not run_id.isalnum():
        raise GtmError(f"the run {run_id!r} is no run's id: letters and digits alone")
    return f"runs/{run_id}"


def _written(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
