from __future__ import annotations

import hashlib
import re

from nightpane.ui import STATIC, VENDORED


def test_vendored_files_are_what_the_note_says() -> None:
    note = (STATIC / "vendor" / "VERSIONS.md").read_text("utf-8")
    found = re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", note, re.MULTILINE)
    assert found
    for name, digest in found:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


def test_the_vendored_library_carries_its_licences() -> None:
    folder = STATIC / "vendor" / VENDORED
    names = {path.name for path in folder.iterdir()}
    assert {"LICENSE", "NOTICE", "LICENSE-d3", "LICENSE-zrender"} <= names


def test_no_file_of_the_page_names_a_foreign_address() -> None:
    own = [path for path in STATIC.parent.rglob("*.*") if "vendor" not in path.parts]
    for path in own:
        if path.suffix in (".js", ".css", ".html"):
            assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", path.read_text("utf-8")), path
