"""The two threads behind a pane: one puts the spool on the disk itself, one delivers it.

They are daemons, started with the first event. Two, because a server that does not answer must not
keep events from the disk.
"""

from __future__ import annotations

import logging
import threading
import time

from nightpane.client.health import Voice
from nightpane.client.sender import Sender
from nightpane.client.spool.writer import SpoolWriter
from nightpane.client.transport import HttpTransport, Transport
from nightpane.errors import SpoolError

__all__ = ["Worker"]

_SYNC_S = 0.25
_LINGER_S = 0.2
_IDLE_S = 5.0
_JOIN_S = 0.5


class Worker:
    """Drives ``writer.sync()`` and ``sender.step()`` in the background."""

    def __init__(
        self, writer: SpoolWriter, sender: Sender, transport: Transport, voice: Voice
    ) -> None:
        self._writer = writer
        self._sender = sender
        self._transport = transport
        self._voice = voice
        self._start_lock = threading.Lock()
        self._step_lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._reset()

    def _reset(self) -> None:
        self._dirty = threading.Event()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._urgent = threading.Event()
        self._stepped = threading.Condition()

    def notify(self) -> None:
        """Tell that something was written. Never waits."""
        if not self._threads:
            self._start()
        if not self._dirty.is_set():
            self._dirty.set()
            self._wake.set()

    def flush(self, timeout_s: float, *, insist: bool = True) -> bool:
        """Wait until everything written here is delivered; False when the time is over.

        Without ``insist``, an attempt that fails ends the wait.
        """
        deadline = time.monotonic() + timeout_s
        self._sync()
        if not self._is_pending():
            return True
        if not self._threads and not self._start():
            return self._flush_here(deadline)
        self._sender.hurry()
        self._urgent.set()
        self._wake.set()
        try:
            with self._stepped:
                while self._is_pending():
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._threads:
                        return False
                    if not insist and self._sender.is_held_up():
                        return False
                    self._stepped.wait(min(left, 0.5))
        finally:
            self._urgent.clear()
        return True

    def end(self, timeout_s: float) -> bool:
        """Deliver for at most ``timeout_s``, end the threads, let go of the segments.

        Returns whether everything is delivered; the rest stays on disk for the next process.
        """
        delivered = self.flush(timeout_s, insist=False)
        threads, self._threads = self._threads, []
        for event in (self._ended, self._urgent, self._wake, self._dirty):
            event.set()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        self._sync()
        try:
            self._writer.close()
        except SpoolError as error:
            self._voice.say("sync", str(error))
        if not any(thread.is_alive() for thread in threads):
            # One step without a request, so that delivered segments are marked as such.
            with self._step_lock:
                self._sender.step(lambda: False)
            if isinstance(self._transport, HttpTransport):
                self._transport.close()
        return delivered

    def after_fork(self) -> None:
        """Begin anew in a child, where no thread came along."""
        self._threads = []
        self._start_lock, self._step_lock = threading.Lock(), threading.RLock()
        self._reset()

    def _start(self) -> bool:
        with self._start_lock:
            if self._threads:
                return True
            self._reset()
            self._dirty.set()  # what starts the threads is an event, and others follow it
            args = (self._dirty, self._wake, self._ended)
            threads = [
                threading.Thread(target=target, args=args, name=name, daemon=True)
                for target, name in (
                    (self._sync_loop, "nightpane-sync"),
                    (self._send_loop, "nightpane-send"),
                )
            ]
            try:
                for thread in threads:
                    thread.start()
            except RuntimeError as error:
                # At the interpreter's end: the event is on disk, the next process delivers it.
                self._ended.set()
                self._voice.say("threads", f"no delivery thread: {error}", level=logging.WARNING)
                return False
            self._threads = threads
            return True

    def _is_pending(self) -> bool:
        active = self._writer.active
        offset = self._sender.acked_offset(active.stem) if active is not None else 0
        return self._writer.undelivered(offset)

    def _sync_loop(
        self, dirty: threading.Event, _wake: threading.Event, ended: threading.Event
    ) -> None:
        while not ended.is_set():
            if dirty.wait(_IDLE_S):
                ended.wait(_SYNC_S)
                dirty.clear()
                self._sync()
            self._transport.abort_overdue()

    def _send_loop(
        self, dirty: threading.Event, wake: threading.Event, ended: threading.Event
    ) -> None:
        due: float | None = 0.0
        urgent = self._urgent
        while not ended.is_set():
            wake.wait(_IDLE_S if due is None else min(due, _IDLE_S))
            wake.clear()
            if dirty.is_set():
                # Events come in company: one request for all of them.
                urgent.wait(_LINGER_S)
            due = self._step(ended)

    def _step(self, ended: threading.Event) -> float | None:
        with self._step_lock:
            due = self._sender.step(lambda: not ended.is_set())
        with self._stepped:
            self._stepped.notify_all()
        return due

    def _flush_here(self, deadline: float) -> bool:
        while self._is_pending() and time.monotonic() < deadline:
            self._sender.hurry()
            with self._step_lock:
                if self._sender.step(lambda: time.monotonic() < deadline) is not None:
                    break
        return not self._is_pending()

    def _sync(self) -> None:
        try:
            self._writer.sync()
        except SpoolError as error:
            self._voice.say("sync", str(error))
