"""Ending a loop by hand: one signal ends it after the round, a second one ends the round too."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from nightpane.loops.processes import end_present

__all__ = ["Asked", "asked_to_stop"]


@dataclass(slots=True)
class Asked:
    """What was asked for: ``stop`` after the round, or ``now``."""

    stop: bool = False
    now: bool = False
    _interrupts: int = field(default=0, repr=False)

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal. A second SIGINT ends the present command, a third one the process."""
        self._interrupts += number == signal.SIGINT
        self.stop = True
        if self._interrupts > 2:
            raise KeyboardInterrupt
        if self._interrupts == 2:
            self.now = True
            end_present()


@contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """Give what SIGTERM and SIGINT ask for while the block runs, in the main thread."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, asked.take) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
