"""Versions in an object store: a folder, and S3's protocol over a loopback port."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
from tests.gtm.making import shop

from nightpane.errors import GtmError
from nightpane.gtm.mutations import apply
from nightpane.gtm.store import Store

pytest.importorskip("obstore")


class _S3(BaseHTTPRequestHandler):
    """As much of S3 as a store asks for: PUT that does not overwrite, GET, and the listing."""

    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, bytes]] = {}

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "AWS4-HMAC-SHA256 Credential=a/" not in self.headers["Authorization"]:
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif self.headers["If-None-Match"] == "*" and self.path in self.objects:
            self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.objects[self.path] = body
            self.answer(200, ETag=_etag(body))

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = parse_qs(query)
        if "list-type" in asked:
            self.answer(200, self.listing(path.strip("/"), asked["prefix"][0]))
        elif path in self.objects:
            body = self.objects[path]
            when = "Thu, 01 Jan 2026 00:00:00 GMT"
            self.answer(200, body, ETag=_etag(body), Last_Modified=when)
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def listing(self, bucket: str, prefix: str) -> bytes:
        found = sorted(path.removeprefix(f"/{bucket}/") for path in self.objects)
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            "<ETag>x</ETag><Size>1</Size></Contents>"
            for key in found
            if key.startswith(prefix)
        )
        head = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
        return f"{head}<IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()

    def log_message(self, *_: Any) -> None:
        return


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A server that speaks S3, on a loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _S3)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "store")
    monkeypatch.setenv("AWS_ENDPOINT", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return f"s3://versions/{tmp_path.name}"


def test_what_is_kept_once_stays(address: str) -> None:
    store, seed = Store(address), shop()
    other = apply(seed, [{"op": "add_folder", "name": "Meta"}])
    digest = store.put_version("RUN1", 0, seed)
    assert store.put_version("RUN1", 0, seed) == digest
    with pytest.raises(GtmError, match=r"runs/RUN1/versions/0000.json is in .* already"):
        store.put_version("RUN1", 0, other)
    store.put_version("RUN1", 7, other)
    store.put_round("RUN1", 7, {"action": "improved", "round": 7})
    # A run is told when it is over.
    assert store.runs() == []
    store.put_manifest("RUN1", {"run_id": "RUN1", "rounds": 7})
    (run,) = store.runs()
    assert (run.run_id, run.versions, run.manifest["rounds"]) == ("RUN1", (0, 7), 7)
    with pytest.raises(GtmError, match="already, with other content"):
        store.put_manifest("RUN1", {"run_id": "RUN1", "rounds": 8})
    assert Store(address).container("RUN1", 7).document == other.document
    assert store.rounds("RUN1") == [{"action": "improved", "round": 7}]
    with pytest.raises(GtmError, match=r"versions/0003.json is not in"):
        store.container("RUN1", 3)


def test_a_store_that_does_not_answer_is_told_without_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setattr("nightpane.gtm.store._RETRIES", 0)
    store = Store("s3://versions/x")
    with pytest.raises(GtmError, match="cannot be written in s3://versions/x") as found:
        store.put_round("RUN1", 1, {})
    assert "hidden-secret" not in str(found.value)


def test_what_is_damaged_is_told(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.put_manifest("RUN1", {"run_id": "RUN1"})
    (tmp_path / "runs" / "RUN1" / "manifest.json").write_text("{", "utf-8")
    with pytest.raises(GtmError, match="is no JSON"):
        store.runs()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://key:secret@r2.cloudflarestorage.com/b", "holds a secret"),
        ("ftp://somewhere/x", "cannot be used"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, says: str) -> None:
    with pytest.raises(GtmError, match=says):
        Store(address)


def test_a_name_cannot_leave_the_store(tmp_path: Path) -> None:
    store: Any = Store(str(tmp_path / "s"))
    with pytest.raises(GtmError, match="is no run's id"):
        store.put_round("../../x", 1, {})
