"""Reading what a client sends without being led astray: bounded in time and size at every layer.

A body is cut off at its limit while it arrives and, when compressed, while it inflates, so that a
small bomb never becomes a large one in memory.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from nightpane.errors import MissingExtraError
from nightpane.server.errors import CaptureRefusal

__all__ = ["MIB", "decode_payload", "inflate", "read_body"]

MIB = 1024 * 1024
_GZIP = b"\x1f\x8b\x08"
_CHUNK = 256 * 1024
_ZSTD_SLICE = 256
_JSON_STARTS = b'{["'


async def read_body(request: Request, limit_bytes: int, timeout_s: float) -> bytes:
    """Return the request's body.

    Raises CaptureRefusal: 413 when it is larger than the limit, 408 when it does not come in time.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit_bytes:
                    raise _too_large(limit_bytes)
                chunks.append(chunk)
    except TimeoutError as error:
        raise CaptureRefusal(408, "body read timed out", tag="timeout") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def inflate(raw: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Return the decompressed body (gzip, deflate as zlib, br, zstd).

    Raises CaptureRefusal: 413 when it grows beyond the limit, 400 when it is broken, 415 for an
    encoding that is not known.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _pieces(raw, encoding):
            size += len(piece)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            pieces.append(piece)
    except _broken_errors() as error:
        raise CaptureRefusal(
            400, f"failed to decode request: invalid {encoding}", tag="request_decoding_error"
        ) from error
    return b"".join(pieces)


def decode_payload(
    raw: bytes, *, limit_bytes: int, compression: str = "", data: str | None = None
) -> bytes:
    """Return the JSON text a v0 body holds, whatever it is wrapped in.

    Told by content, as PostHog does: gzip by its magic bytes, ``data=`` forms, base64; layers are
    taken off one by one. Raises CaptureRefusal as ``inflate`` does, and 400 for what is none of it.
    """
    if not raw and data is not None:
        raw = data.replace(" ", "+").encode() if data.lstrip()[:1] not in "{[" else data.encode()
    for _ in range(4):
        if raw[:3] == _GZIP:
            raw = inflate(raw, "gzip", limit_bytes)
            continue
        head = raw.lstrip()[:1]
        if not head or head in _JSON_STARTS:
            return raw
        if raw.startswith((b"data=", b"compression=")):
            raw, compression = _from_form(raw, compression)
            continue
        if compression == "lz64":
            raise _undecodable("lz64 compression is not supported: use gzip or none")
        raw = _from_base64(raw)
    return raw


def _from_form(raw: bytes, compression: str) -> tuple[bytes, str]:
    try:
        form = parse_qs(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=16)
        data = form["data"][0]
    except (ValueError, KeyError) as error:
        raise _undecodable("form has no field 'data'") from error
    if data.lstrip()[:1] not in ("{", "["):
        data = data.replace(" ", "+")
    return data.encode("latin-1"), form.get("compression", [compression])[0]


def _from_base64(raw: bytes) -> bytes:
    packed = b"".join(raw.split()).replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise _undecodable("neither JSON, gzip nor base64") from error


def _undecodable(why: str) -> CaptureRefusal:
    return CaptureRefusal(400, f"failed to decode request: {why}", tag="request_decoding_error")


def _too_large(limit_bytes: int) -> CaptureRefusal:
    return CaptureRefusal(
        413, f"request body is larger than {limit_bytes} bytes", tag="payload_too_large"
    )


def _pieces(raw: bytes, encoding: str) -> Iterator[bytes]:
    if encoding in ("gzip", "deflate"):
        return _zlib_pieces(raw, 31 if encoding == "gzip" else 15)
    if encoding == "br":
        return _brotli_pieces(raw)
    if encoding == "zstd":
        return _zstd_pieces(raw)
    raise CaptureRefusal(
        415,
        f"content encoding {encoding!r} is not supported: use gzip, deflate, br or zstd",
        tag="unsupported_content_encoding",
    )


def _zlib_pieces(raw: bytes, wbits: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits)
    rest = raw
    while not inflater.eof:
        piece = inflater.decompress(rest, _CHUNK)
        rest = inflater.unconsumed_tail
        if not piece and not rest and not inflater.eof:
            raise zlib.error("cut short")
        yield piece


def _brotli_pieces(raw: bytes) -> Iterator[bytes]:
    import brotli

    inflater = brotli.Decompressor()
    yield inflater.process(raw, output_buffer_limit=_CHUNK)
    while not inflater.is_finished():
        piece = inflater.process(b"", output_buffer_limit=_CHUNK)
        if not piece and not inflater.is_finished():
            raise zlib.error("cut short")
        yield piece


def _zstd_pieces(raw: bytes) -> Iterator[bytes]:
    import zstandard

    inflater = zstandard.ZstdDecompressor(max_window_size=32 * MIB).decompressobj()
    # It inflates all it is given at once, a block of 128 KB from as little as 4 bytes.
    for at in range(0, len(raw), _ZSTD_SLICE):
        yield inflater.decompress(raw[at : at + _ZSTD_SLICE])
        if inflater.eof:
            return
    raise zlib.error("cut short")


def _broken_errors() -> tuple[type[Exception], ...]:
    try:
        import brotli
        import zstandard
    except ImportError as error:
        raise MissingExtraError("server") from error
    errors: tuple[Any, ...] = (zlib.error, brotli.error, zstandard.ZstdError)
    return errors
