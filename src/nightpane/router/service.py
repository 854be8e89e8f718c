"""What the proxy works with: rules, models, evidence and ledger, kept up to date while it runs.

A rules file that is changed takes effect within seconds; one that is wrong is told of and passed
over. When nothing answers for the data, the last evidence stays in force.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from nightpane.errors import ConfigError, NightpaneError
from nightpane.router import rules as rule_files
from nightpane.router.asked import Asked
from nightpane.router.ledger import Ledger
from nightpane.router.refusal import Refusal
from nightpane.router.report import Learned, tell
from nightpane.router.routing import Route, choose
from nightpane.router.rules import Key, Rules
from nightpane.router.upstream import Upstream, Usage, unpriced
from nightpane.router.versions import Versions
from nightpane.token_machine import TokenMachine

__all__ = ["Service"]

log = logging.getLogger("nightpane")

_LOOK_S = 1.0


class Service:
    """The proxy's state. ``learn`` asks the data; None where there is none to ask.

    Raises ConfigError for rules that cannot be served: see ``rules.read`` and ``Upstream``.
    """

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        machine: TokenMachine,
        *,
        learn: Callable[[Rules], Learned] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.ledger = ledger
        self.machine = machine
        self._learn = learn
        self._environ = environ
        self.rules, self.upstream = self._load()
        self.learned = Learned({}, {})
        self._learned_at: float | None = None
        self._problems: dict[str, str] = {}
        self._stamp = self._file_stamp()

    def key(self, authorization: str | None) -> Key:
        """Return who asks. Compares with every key, in the same time whichever it is.

        Raises Refusal (401) for a key that is missing or unknown.
        """
        scheme, _, given = (authorization or "").partition(" ")
        digest = hashlib.sha256(given.strip().encode("utf-8", "replace")).hexdigest()
        found = [key for key in self.rules.keys if hmac.compare_digest(digest, key.sha256)]
        if scheme.lower() != "bearer" or not found:
            raise Refusal(
                401,
                "invalid_request_error",
                "invalid_api_key",
                "a key of this proxy is needed: Authorization: Bearer KEY",
                is_final=True,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found[0]

    def route(self, key: Key, asked: Asked) -> Route:
        """Return where a request goes. Raises Refusal as ``choose`` does."""
        return choose(
            self.rules,
            self.learned.evidence,
            key,
            asked=asked.model,
            task_type=asked.task_type,
            is_embedding=asked.is_embedding,
        )

    def worst_usd(self, route: Route, asked: Asked) -> float:
        """Return what a request may cost with the dearest model it may go to."""
        costs = [
            self.upstream.price(
                name, Usage(asked.input_tokens, asked.most_output_tokens(self.rules.models[name]))
            )
            for name in (route.model, *route.fallbacks)
        ]
        return max(cost or 0.0 for cost in costs)

    @property
    def problem(self) -> str | None:
        """What is wrong with rules or data now, None when nothing is."""
        return "; ".join(self._problems.values()) or None

    async def watch(self) -> None:
        """Keep rules and evidence fresh, until cancelled. What fails is told, and tried again."""
        while True:
            await self._try("rules", "the changed rules are not used", self._look_at_rules)
            await self._try("data", "the data was not read", self._look_at_data)
            await asyncio.sleep(min(_LOOK_S, self.rules.settings.refresh_s))

    async def _try(self, name: str, failed: str, look: Callable[[], Awaitable[bool]]) -> None:
        try:
            if await look():
                self._problems.pop(name, None)
        except Exception as error:  # noqa: BLE001 (routing goes on with what is known)
            self._problems[name] = f"{failed}: {error}"
            log.warning("token machine: %s", self._problems[name])

    async def _look_at_rules(self) -> bool:
        """Take the file's rules when it has changed; tell whether it had."""
        stamp = self._file_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self.rules, self.upstream = await asyncio.to_thread(self._load)
        self._learned_at = None
        log.warning("token machine: rules %s are in force", self.rules.id)
        return True

    async def _look_at_data(self) -> bool:
        """Ask the data when it is time to; tell whether it was."""
        now, every_s = time.monotonic(), self.rules.settings.refresh_s
        is_fresh = self._learned_at is not None and now - self._learned_at < every_s
        if self._learn is None or is_fresh:
            return False
        self._learned_at = now
        self.learned = await asyncio.to_thread(self._learn, self.rules)
        for one, is_over in zip(self.learned.reports, (True, False), strict=False):
            tell(one, self.machine, self.ledger, is_over=is_over)
        return True

    def _load(self) -> tuple[Rules, Upstream]:
        rules = rule_files.read(self.path, self._environ)
        try:
            Versions(self.path).remember()
        except NightpaneError as error:
            log.warning("token machine: this version of the rules is not kept: %s", error)
        upstream = Upstream(rules, self._environ)
        if problems := unpriced(rules, upstream):
            raise ConfigError(f"{self.path}: {problems[0]}")
        return rules, upstream

    def _file_stamp(self) -> tuple[int, int] | None:
        try:
            about = self.path.stat()
        except OSError:
            return None
        return about.st_mtime_ns, about.st_size
