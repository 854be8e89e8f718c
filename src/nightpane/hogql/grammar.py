"""Asking the grammar's process for a tree: in a limited time, a new process when it fails."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nightpane.errors import HogQLError, MissingExtraError
from nightpane.hogql.kept import KeptTrees

__all__ = ["keep_trees", "parse", "warm_up"]

_SCRIPT = Path(__file__).with_name("_grammar.py")
_LIMIT_S = 5.0
"""Of the processor's time, which the process counts itself: a busy machine reads no less."""
_PATIENCE_S = 30.0
_WAIT_S = 60.0
_CHUNK = 1 << 20
_WORTH_KEEPING_S = 0.02
_HARD = "split it with WITH, or pass long lists through values"


class _Grammar:
    """The process: one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._lock:
            self._running()

    def ask(self, how: str, text: str) -> bytes:
        """Return the answer's JSON. Raises HogQLError when it takes too long or cannot be had."""
        question = json.dumps([how, text]).encode("utf-8") + b"\n"
        if not self._lock.acquire(timeout=_WAIT_S):
            raise HogQLError("other queries are still being read: try again")
        try:
            # A process that something else has ended is no fault of the query: it is asked again.
            answer = self._exchange(question) or self._exchange(question)
        finally:
            self._lock.release()
        if answer is None:
            raise HogQLError(f"the query is nested too deeply: {_HARD}")
        return answer

    def close(self) -> None:
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            self._end()
            # -P: the script's folder holds modules with names of the standard library's.
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return process

    def _exchange(self, question: bytes) -> bytes | None:
        """Return the answer to one question, None when the process ended over it."""
        process = self._running()
        assert process.stdin is not None  # noqa: S101 (told to the type checker)
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except OSError:
            self._end()
            return None
        return self._answer(process)

    def _answer(self, process: subprocess.Popen[bytes]) -> bytes | None:
        assert process.stdout is not None  # noqa: S101 (told to the type checker)
        pipe = process.stdout.fileno()
        deadline = time.monotonic() + _PATIENCE_S
        parts: list[bytes] = []
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                self._end()
                raise _too_complex()
            part = os.read(pipe, _CHUNK)
            if not part:
                self._end()
                if process.returncode == -signal.SIGPROF:
                    raise _too_complex()
                return None
            parts.append(part)
            if part.endswith(b"\n"):
                return b"".join(parts)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        continue  # what was left to write has no reader any more
            process.wait()


def _too_complex() -> HogQLError:
    return HogQLError(f"the query is too complex to be read in {_LIMIT_S:g} s: {_HARD}")


_grammar = _Grammar()
atexit.register(_grammar.close)
_kept: KeptTrees | None = None


def parse(how: str, text: str) -> Any:
    """Return the grammar's tree for a text; ``how`` names a function of the parser.

    Raises HogQLError when the text is too complex to be read in five seconds, and MissingExtraError
    when the parser is not installed.
    """
    if _kept is not None and (answer := _kept.get(how, text)) is not None:
        return json.loads(answer)
    started = time.perf_counter()
    answer = _grammar.ask(how, text)
    took_s = time.perf_counter() - started
    tree = json.loads(answer)
    if isinstance(tree, dict) and tree.get("missing"):
        raise MissingExtraError("server")
    if _kept is not None and took_s > _WORTH_KEEPING_S and not tree.get("error"):
        _kept.put(how, text, answer)
    return tree


def keep_trees(folder: Path | None) -> None:
    """Keep the trees that took long to parse in a folder, and look there first (None: no more)."""
    global _kept
    _kept = None if folder is None else KeptTrees(folder)


def warm_up() -> None:
    """Start the grammar's process, so that the first query need not wait for it."""
    _grammar.start()
