"""The page's files: templates, styles, ES modules and the vendored chart library; no build step.

Holds files only: what is on the page comes from the query API, and all of it is set as text.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["STATIC", "VENDORED", "files", "template", "version"]

STATIC = Path(__file__).parent / "static"
VENDORED = "echarts-6.1.0"


@cache
def files() -> dict[str, bytes]:
    """Return the content of each static file, by its path with ``/``. Read once a process."""
    found = (path for path in sorted(STATIC.rglob("*")) if path.is_file())
    return {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in found}


@cache
def version() -> str:
    """Return what is in the files' address, so that it changes with any of them."""
    digest = hashlib.sha256()
    for path, content in files().items():
        digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


@cache
def template(name: str) -> bytes:
    """Return a page's HTML, such as ``index.html``, with the version in its files' addresses."""
    text = STATIC.with_name(name).read_text("utf-8")
    return text.replace("/pane/static/", f"/pane/static/{version()}/").encode()
