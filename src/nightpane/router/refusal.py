"""The one way a request to the proxy is refused: OpenAI's error body, which its clients know."""

from __future__ import annotations

from collections.abc import Mapping

from nightpane.errors import NightpaneError

__all__ = ["Refusal"]

# The client's own retries would only repeat these.
_FINAL = {"x-should-retry": "false"}


class Refusal(NightpaneError):  # noqa: N818 (an answer, not a fault)
    """A request is refused: HTTP status, OpenAI's type and code, and a text for a person.

    ``is_final`` tells OpenAI's clients not to try again by themselves.
    """

    def __init__(
        self,
        status: int,
        type: str,  # noqa: A002 (OpenAI's field name)
        code: str,
        message: str,
        *,
        param: str | None = None,
        is_final: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.headers = {**(headers or {}), **(_FINAL if is_final else {})}

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return OpenAI's error body."""
        return {
            "error": {
                "message": str(self),
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }
