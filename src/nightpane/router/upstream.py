"""Calls of models through LiteLLM's Router: a deployment a model, the next in the chain stands in.

LiteLLM is kept from talking: prices come from the installed package, nothing is reported anywhere,
and its log, which would quote prompts, is off.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.client.redact import mask_text
from nightpane.errors import ConfigError, MissingExtraError
from nightpane.router.refusal import Refusal
from nightpane.router.rules import Model, Rules

__all__ = ["Answer", "Upstream", "Usage", "served_by", "unpriced"]

_PER_MILLION = 1e-6
# The names of LiteLLM's exceptions before the provider's own words.
_INNER = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception)(?::| -) )+")


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a call; None where nobody said."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer in OpenAI's form, the model it came from, and what it cost, if known."""

    body: dict[str, Any]
    model: str
    usage: Usage
    cost_usd: float | None


class Upstream:
    """The models of a rules file, ready to be called. LiteLLM's import takes seconds.

    Raises MissingExtraError without LiteLLM, ConfigError when a model's key is not in the
    environment or LiteLLM does not know its provider.
    """

    def __init__(self, rules: Rules, environ: Mapping[str, str] | None = None) -> None:
        self._litellm = _quiet_litellm()
        self._models = rules.models
        environ = os.environ if environ is None else environ
        self._secrets = [
            environ[model.api_key_env]
            for model in rules.models.values()
            if model.api_key_env is not None and model.api_key_env in environ
        ]
        deployments = [_deployment(model, environ) for model in rules.models.values()]
        try:
            self._router = self._litellm.Router(
                model_list=deployments, num_retries=0, disable_cooldowns=True
            )
        except Exception as error:  # noqa: BLE001 (LiteLLM raises many kinds)
            raise ConfigError(f"LiteLLM refuses the models: {self._masked(error)}") from None
        self.prices = {name: self._price(model) for name, model in rules.models.items()}

    def price(self, name: str, usage: Usage) -> float | None:
        """Return what tokens of a model cost in USD, None when its price is not known."""
        prices = self.prices[name]
        if prices is None or usage.input_tokens is None:
            return None
        return usage.input_tokens * prices[0] + (usage.output_tokens or 0) * prices[1]

    async def complete(
        self, model: str, fallbacks: Sequence[str], params: Mapping[str, Any]
    ) -> Answer:
        """Return a chat completion. Raises Refusal when no model of the chain answered."""
        try:
            response = await self._router.acompletion(
                **params, **_chain(model, fallbacks), drop_params=True
            )
        except Exception as error:  # noqa: BLE001 (LiteLLM raises many kinds)
            raise self.refusal(error) from None
        return self._answer(response, model)

    async def embed(
        self, model: str, fallbacks: Sequence[str], params: Mapping[str, Any]
    ) -> Answer:
        """Return embeddings. Raises Refusal when no model of the chain answered."""
        try:
            response = await self._router.aembedding(
                **params, **_chain(model, fallbacks), drop_params=True
            )
        except Exception as error:  # noqa: BLE001 (LiteLLM raises many kinds)
            raise self.refusal(error) from None
        return self._answer(response, model)

    async def open_stream(
        self, model: str, fallbacks: Sequence[str], params: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        """Return LiteLLM's pieces of a chat completion that is under way.

        Raises Refusal when no model of the chain began to answer.
        """
        options = {**(params.get("stream_options") or {}), "include_usage": True}
        asked = {**params, "stream": True, "stream_options": options}
        try:
            pieces: AsyncIterator[Any] = await self._router.acompletion(
                **asked, **_chain(model, fallbacks), drop_params=True
            )
        except Exception as error:  # noqa: BLE001 (LiteLLM raises many kinds)
            raise self.refusal(error) from None
        return pieces

    def cost(self, name: str, response: Any) -> tuple[Usage, float | None]:
        """Return tokens and cost in USD of LiteLLM's response, or of a stream's last piece."""
        used = getattr(response, "usage", None)
        if used is None:
            return Usage(), None
        usage = Usage(used.prompt_tokens, used.completion_tokens)
        model = self._models[name]
        if model.input_usd_per_million is not None or self.prices[name] is None:
            return usage, self.price(name, usage)
        # LiteLLM's own sum knows cached tokens and tiers.
        parts = self._litellm.cost_per_token(model=model.model, usage_object=used)
        return usage, float(sum(parts))

    def _answer(self, response: Any, asked: str) -> Answer:
        name = served_by(response) or asked
        usage, cost_usd = self.cost(name, response)
        return Answer(response.model_dump(exclude_none=True), name, usage, cost_usd)

    def _price(self, model: Model) -> tuple[float, float] | None:
        if model.input_usd_per_million is not None:
            output = model.output_usd_per_million or 0.0
            return model.input_usd_per_million * _PER_MILLION, output * _PER_MILLION
        known = self._litellm.model_cost
        found = known.get(model.model) or known.get(model.model.partition("/")[2]) or {}
        if found.get("input_cost_per_token") is None:
            return None
        return float(found["input_cost_per_token"]), float(found.get("output_cost_per_token") or 0)

    def _masked(self, error: Exception) -> str:
        text = str(getattr(error, "message", None) or error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return mask_text(text, [])[:500]

    def refusal(self, error: Exception) -> Refusal:
        """Return the answer for what LiteLLM raised, without its secrets or its inner workings."""
        status = getattr(error, "status_code", None)
        status = int(status) if isinstance(status, int | str) and str(status).isdigit() else 500
        kind = type(error).__name__
        text = self._masked(error).split(". Received Model Group", 1)[0].split("\n", 1)[0]
        text = _INNER.sub("", text)
        if "Timeout" in kind or status in (408, 504):
            return Refusal(504, "api_error", "upstream_timeout", "no model answered in time")
        if status in (401, 403):
            return Refusal(
                502,
                "api_error",
                "upstream_auth",
                "the provider refused the proxy's own key",
                is_final=True,
            )
        if not hasattr(error, "status_code"):
            # No provider was asked: LiteLLM could make nothing of the request.
            return Refusal(400, "invalid_request_error", "not_sendable", text)
        if status == 429:
            return Refusal(429, "rate_limit_error", "upstream_rate_limit", text)
        if status in (400, 413, 422):
            return Refusal(400, "invalid_request_error", "upstream_refused", text)
        return Refusal(502, "api_error", "upstream_error", text)


def unpriced(rules: Rules, upstream: Upstream) -> list[str]:
    """Return what is wrong with prices: a budget cannot be kept for a model without one."""
    return [
        f"keys.{key.name} has a budget and may use {name!r}, whose price is not known: set its "
        "input_usd_per_million and output_usd_per_million (0 for a model of your own)"
        for key in rules.keys
        if key.has_budget
        for name in key.models or rules.models
        if upstream.prices[name] is None
    ]


def _quiet_litellm() -> Any:
    # Otherwise LiteLLM asks the network for prices as it is imported.
    if "litellm" not in sys.modules:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ModuleNotFoundError as error:
        raise MissingExtraError("token-machine") from error
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # Its other transport takes a connection that was cut for the end of the answer.
    litellm.disable_aiohttp_transport = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return litellm


def _deployment(model: Model, environ: Mapping[str, str]) -> dict[str, Any]:
    params: dict[str, Any] = {**model.params, "model": model.model, "timeout": model.timeout_s}
    params["stream_timeout"] = model.timeout_s
    if model.api_base is not None:
        params["api_base"] = model.api_base
    if model.api_key_env is not None:
        if not environ.get(model.api_key_env):
            raise ConfigError(
                f"model {model.name!r}: the environment variable {model.api_key_env} is not set"
            )
        params["api_key"] = environ[model.api_key_env]
    elif model.api_base is not None:
        # A server of one's own; without this the client would send the key of another provider.
        params["api_key"] = "none"
    return {
        "model_name": model.name,
        "litellm_params": params,
        "model_info": {"id": model.name},
    }


def _chain(model: str, fallbacks: Sequence[str]) -> dict[str, Any]:
    stand_ins = [{model: list(fallbacks)}]
    return {"model": model, "fallbacks": stand_ins, "max_fallbacks": len(fallbacks)}


def served_by(response: Any) -> str | None:
    """Return the model that a response or a piece of one came from."""
    name = (getattr(response, "_hidden_params", None) or {}).get("model_id")
    return name if isinstance(name, str) else None
