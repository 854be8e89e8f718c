"""A chat completion piece by piece, carried on by the next model where a connection is cut.

LiteLLM stands in while a stream is opened; a stream that breaks off later is carried on here, for
only here is it known which models this request may use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from nightpane.router.refusal import Refusal
from nightpane.router.upstream import Upstream, Usage, served_by

__all__ = ["Stream"]

_GO_ON = (
    "The connection broke in the middle of your answer above. Go on exactly where it ends: repeat "
    "nothing, explain nothing."
)
_CHARS_PER_TOKEN = 4


class Stream:
    """Pieces in OpenAI's form. Made by ``Stream.open``.

    While it is read, ``model`` is who answers now; it changes when another carries on. ``usage``
    and ``cost_usd`` are known once the last piece came; what was cut off is in the cost, its tokens
    taken as a quarter of its characters. The piece with the usage has no choices.
    """

    def __init__(self, upstream: Upstream, chain: Sequence[str], params: Mapping[str, Any]) -> None:
        self._upstream = upstream
        self._chain = list(chain)
        self._params = params
        self._pieces: AsyncIterator[Any] | None = None
        self._first: Any = None
        self._text: list[str] = []
        self._is_text = True
        self._cut: list[tuple[str, Usage]] = []
        self.model = self._chain[0]
        self.usage = Usage()
        self.cost_usd: float | None = None

    @classmethod
    async def open(
        cls, upstream: Upstream, chain: Sequence[str], params: Mapping[str, Any]
    ) -> Stream:
        """Return a completion whose first piece has come.

        Raises Refusal when no model of the chain began to answer.
        """
        stream = cls(upstream, chain, params)
        await stream._begin(stream._chain, params)
        while True:
            try:
                assert stream._pieces is not None  # noqa: S101 (told to the type checker)
                stream._first = await anext(stream._pieces, None)
            except Exception as error:  # noqa: BLE001 (whatever LiteLLM raises)
                await stream._carry_on(error)
            else:
                return stream

    @property
    def was_cut(self) -> bool:
        """Whether the answer broke off and another model carried on."""
        return bool(self._cut)

    @property
    def text(self) -> str:
        """What came so far."""
        return "".join(self._text)

    @property
    def text_tokens(self) -> int:
        """The tokens that came so far, taken as a quarter of their characters."""
        return -(-sum(map(len, self._text)) // _CHARS_PER_TOKEN)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the pieces. Raises Refusal when it breaks off and nobody can carry on."""
        if self._first is not None:
            yield self._read(self._first)
        while True:
            try:
                assert self._pieces is not None  # noqa: S101 (told to the type checker)
                piece = await anext(self._pieces, None)
            except Exception as error:  # noqa: BLE001 (whatever LiteLLM raises)
                await self._carry_on(error)
                continue
            if piece is None:
                return
            yield self._read(piece)

    async def aclose(self) -> None:
        """End the call at the provider's side."""
        close = getattr(getattr(self._pieces, "_async_generator", self._pieces), "aclose", None)
        if close is not None:
            await close()

    async def _begin(self, chain: list[str], params: Mapping[str, Any]) -> None:
        self._pieces = await self._upstream.open_stream(chain[0], chain[1:], params)
        self.model = served_by(self._pieces) or chain[0]

    async def _carry_on(self, error: Exception) -> None:
        """Have the models after this one go on. Raises Refusal when there is none that can."""
        refusal = error if isinstance(error, Refusal) else self._upstream.refusal(error)
        left = self._chain[self._chain.index(self.model) + 1 :]
        if not left or not self._is_text or refusal.status == 400:
            raise refusal from None
        await self.aclose()
        self._cut.append((self.model, Usage(0, self.text_tokens)))
        said = self.text
        params = dict(self._params)
        if said:
            params["messages"] = [
                *params["messages"],
                {"role": "assistant", "content": said},
                {"role": "user", "content": _GO_ON},
            ]
        await self._begin(left, params)

    def _read(self, piece: Any) -> dict[str, Any]:
        self.model = served_by(piece) or self.model
        body: dict[str, Any] = piece.model_dump(exclude_none=True)
        if body.get("usage"):
            self._count(piece)
            body["choices"] = []
        for choice in body["choices"]:
            choice.setdefault("finish_reason", None)
            delta = choice.setdefault("delta", {})
            self._text.append(str(delta.get("content") or ""))
            more = bool(delta.get("tool_calls")) or choice.get("index", 0) > 0
            self._is_text = self._is_text and not more
        return body

    def _count(self, piece: Any) -> None:
        self.usage, self.cost_usd = self._upstream.cost(self.model, piece)
        for model, cut in self._cut:
            usage = Usage(self.usage.input_tokens, cut.output_tokens)
            cost = self._upstream.price(model, usage)
            known = cost is not None and self.cost_usd is not None
            self.cost_usd = self.cost_usd + cost if known else None  # type: ignore[operator]
