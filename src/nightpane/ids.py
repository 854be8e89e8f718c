"""ULIDs, UUIDv7s and the deterministic ids of importers.

ULIDs follow https://github.com/ulid/spec (48 bits of milliseconds, 80 bits of randomness,
Crockford base 32, monotonic within one millisecond); UUIDv7 follows RFC 9562, section 5.7.
Nothing here touches the disk or the network.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable

__all__ = [
    "IdGenerator",
    "deterministic_ulid",
    "deterministic_uuid",
    "is_ulid",
    "new_ulid",
    "session_id_from_ulid",
    "ulid_hex",
    "ulid_ms",
    "uuid7",
]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DECODE = {char: value for value, char in enumerate(_ALPHABET)}
_RANDOM_BITS = 80
_RANDOM_MAX = (1 << _RANDOM_BITS) - 1
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://nightpane.dev/ids")


class IdGenerator:
    """Makes ids that sort in the order they were made, within one process and across forks.

    ``clock_ns`` gives nanoseconds since the epoch, ``random_bytes`` the given number of bytes; both
    can be replaced to make ids reproducible. A clock that steps back does not break the order.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int] = time.time_ns,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bytes = random_bytes
        self._lock = threading.RLock()  # a signal handler may ask while an id is made
        self._last = 0
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # The parent may have held the lock, and both would count on from the same value.
        self._lock = threading.RLock()
        self._last = 0

    def next_bits(self) -> int:
        """Return 128 bits: 48 of milliseconds, 80 random, larger than every value before."""
        ms = self._clock_ns() // 1_000_000
        with self._lock:
            if ms > self._last >> _RANDOM_BITS:
                # The top random bit stays free so that counting on never runs over.
                random = int.from_bytes(self._random_bytes(10), "big") & (_RANDOM_MAX >> 1)
                self._last = (ms << _RANDOM_BITS) | random
            else:
                # A random step, so that ids made in one millisecond cannot be guessed.
                self._last += 1 + int.from_bytes(self._random_bytes(3), "big")
            return self._last

    def ulid(self) -> str:
        """Return a new ULID, 26 characters."""
        return _encode(self.next_bits())

    def uuid7(self) -> uuid.UUID:
        """Return a new UUIDv7."""
        return _as_uuid7(self.next_bits())


_generator = IdGenerator()


def new_ulid() -> str:
    """Return a new ULID of this process's generator."""
    return _generator.ulid()


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7 of this process's generator."""
    return _generator.uuid7()


def is_ulid(text: object) -> bool:
    """Tell whether ``text`` has the form of a ULID (upper or lower case)."""
    return (
        isinstance(text, str)
        and len(text) == 26
        and text[0] in "01234567"
        and all(char in _DECODE for char in text.upper())
    )


def ulid_ms(ulid: str) -> int:
    """Return the milliseconds since the epoch that a ULID carries.

    Raises ValueError when it is none.
    """
    return _decode(ulid) >> _RANDOM_BITS


def ulid_hex(ulid: str) -> str:
    """Return a ULID's 128 bits as 32 hex digits, the form of an OpenTelemetry trace id.

    Raises ValueError when it is none.
    """
    return f"{_decode(ulid):032x}"


def session_id_from_ulid(ulid: str) -> str:
    """Return the UUIDv7 text with a ULID's time and bits: a round's ``$session_id``.

    Six bits give way to UUIDv7's version and variant. Raises ValueError when it is no ULID.
    """
    return str(_as_uuid7(_decode(ulid)))


def deterministic_uuid(*parts: str) -> str:
    """Return the same UUID text (version 5) for the same parts, on every machine."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def deterministic_ulid(ms: int, *parts: str) -> str:
    """Return a ULID of the given time whose random bits are drawn from the parts."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return _encode((ms << _RANDOM_BITS) | int.from_bytes(digest[:10], "big"))


def _encode(bits: int) -> str:
    return "".join(_ALPHABET[(bits >> shift) & 31] for shift in range(125, -1, -5))


def _decode(ulid: str) -> int:
    if not is_ulid(ulid):
        raise ValueError(f"not a ULID: {ulid!r} (26 characters of Crockford base 32 are expected)")
    bits = 0
    for char in ulid.upper():
        bits = bits << 5 | _DECODE[char]
    return bits


def _as_uuid7(bits: int) -> uuid.UUID:
    bits &= ~(0xF << 76) & ~(0x3 << 62)
    return uuid.UUID(int=bits | 0x7 << 76 | 0x2 << 62)
