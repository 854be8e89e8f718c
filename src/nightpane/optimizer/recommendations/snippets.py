"""How Python speaks to each provider: what a recommendation's Before and After are made of.

Names from the data (models) enter as literals made by ``repr``, so that no name can become code.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Dialect", "dialect_of", "indented", "join", "literal"]

Api = Literal["openai", "anthropic", "gemini", "bedrock"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One provider's Python API.

    ``api`` tells which of the four shapes; ``package`` and ``client`` which class is imported and
    with what it is made; ``limit`` the parameter that bounds an answer, and ``most`` the bound
    where one must be given.
    """

    api: Api
    title: str
    package: str
    made: str
    limit: str
    base_url: str = ""
    most: int = 1024

    def client(self, *, tries: int | None = None, timeout_s: int | None = None) -> str:
        """Return the lines that import and make the client."""
        if self.api == "gemini":
            return self._genai(tries, timeout_s)
        if self.api == "bedrock":
            return self._boto(tries, timeout_s)
        given = [f'base_url="{self.base_url}"'] if self.base_url else []
        given += [] if tries is None else [f"max_retries={tries}"]
        given += [] if timeout_s is None else [f"timeout={timeout_s}"]
        return f"from {self.package} import {self.made}\n\nclient = {self.made}({', '.join(given)})"

    def _genai(self, tries: int | None, timeout_s: int | None) -> str:
        options = (
            [] if tries is None else [f"retry_options=types.HttpRetryOptions(attempts={tries + 1})"]
        )
        options += [] if timeout_s is None else [f"timeout={timeout_s * 1000}"]
        given = f"http_options=types.HttpOptions({', '.join(options)})" if options else ""
        return (
            "from google import genai\nfrom google.genai import types\n\n"
            f"client = genai.Client({given})"
        )

    def _boto(self, tries: int | None, timeout_s: int | None) -> str:
        options = (
            []
            if tries is None
            else [f'retries={{"total_max_attempts": {tries + 1}, "mode": "adaptive"}}']
        )
        options += [] if timeout_s is None else [f"read_timeout={timeout_s}"]
        if not options:
            return 'import boto3\n\nclient = boto3.client("bedrock-runtime")'
        return (
            "import boto3\nfrom botocore.config import Config\n\n"
            f'client = boto3.client(\n    "bedrock-runtime", config=Config({", ".join(options)})\n)'
        )

    def call(
        self,
        model: str,
        *,
        system: str = "SYSTEM",
        messages: str = "messages",
        limit: str = "",
        more: Sequence[str] = (),
        raw_model: bool = False,
    ) -> str:
        """Return a call as an assignment to ``response``.

        ``system``, ``messages`` and ``limit`` are Python expressions, "" for none; ``more`` further
        arguments (Gemini's go into its config). ``raw_model`` takes the model as an expression.
        """
        named = model if raw_model else literal(self.named(model))
        lines = getattr(self, f"_{self.api}")(named, system, messages, limit)
        if self.api == "gemini":
            config = [*lines[2:], *more]
            lines = lines[:2]
            lines += [_wrapped("config=types.GenerateContentConfig", config)] if config else []
        else:
            lines += more
        method = {
            "openai": "client.chat.completions.create",
            "anthropic": "client.messages.create",
            "gemini": "client.models.generate_content",
            "bedrock": "client.converse",
        }[self.api]
        return f"response = {method}(\n" + "".join(f"    {line},\n" for line in lines) + ")"

    def named(self, model: str) -> str:
        """Return a model's name without the route to it (``google/…``), which a gateway needs and
        the provider's own API does not know."""
        is_gateway = bool(self.base_url) or self.api == "bedrock"
        return model if is_gateway else model.rsplit("/", 1)[-1]

    def _openai(self, model: str, system: str, messages: str, limit: str) -> list[str]:
        first = f'{{"role": "system", "content": {system}}}, ' if system else ""
        given = f"[{first}*{messages}]" if first else messages
        lines = [f"model={model}", f"messages={given}"]
        return lines + ([f"{self.limit}={limit}"] if limit else [])

    def _anthropic(self, model: str, system: str, messages: str, limit: str) -> list[str]:
        lines = [f"model={model}", f"max_tokens={limit or self.most}"]
        return [*lines, *([f"system={system}"] if system else []), f"messages={messages}"]

    def _gemini(self, model: str, system: str, messages: str, limit: str) -> list[str]:
        lines = [f"model={model}", f"contents={messages}"]
        lines += [f"system_instruction={system}"] if system else []
        return lines + ([f"max_output_tokens={limit}"] if limit else [])

    def _bedrock(self, model: str, system: str, messages: str, limit: str) -> list[str]:
        lines = [f"modelId={model}", f"messages={messages}"]
        lines += [f'system=[{{"text": {system}}}]'] if system else []
        return lines + ([f'inferenceConfig={{"maxTokens": {limit}}}'] if limit else [])

    @property
    def text(self) -> str:
        """The expression of an answer's text."""
        return {
            "openai": "response.choices[0].message.content",
            "anthropic": "response.content[0].text",
            "gemini": "response.text",
            "bedrock": 'response["output"]["message"]["content"][0]["text"]',
        }[self.api]

    @property
    def cut(self) -> str:
        """The expression that tells that an answer ran into its limit."""
        return {
            "openai": 'response.choices[0].finish_reason == "length"',
            "anthropic": 'response.stop_reason == "max_tokens"',
            "gemini": "response.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS",
            "bedrock": 'response["stopReason"] == "max_tokens"',
        }[self.api]

    @property
    def transient(self) -> str:
        """The exceptions worth another try, as an ``except`` names them."""
        return {
            "openai": "(openai.RateLimitError, openai.InternalServerError, "
            "openai.APIConnectionError)",
            "anthropic": "(anthropic.RateLimitError, anthropic.InternalServerError, "
            "anthropic.APIConnectionError)",
            "gemini": "errors.ServerError",
            "bedrock": "(client.exceptions.ThrottlingException, "
            "client.exceptions.ServiceUnavailableException)",
        }[self.api]

    @property
    def error_import(self) -> str:
        """The import that ``transient`` needs."""
        return {
            "openai": "import openai",
            "anthropic": "import anthropic",
            "gemini": "from google.genai import errors",
            "bedrock": "",
        }[self.api]


_OPENAI = Dialect("openai", "OpenAI", "openai", "OpenAI", "max_completion_tokens")
_ANTHROPIC = Dialect("anthropic", "Anthropic", "anthropic", "Anthropic", "max_tokens")
_GEMINI = Dialect("gemini", "Gemini", "google", "genai", "max_output_tokens")
_BEDROCK = Dialect("bedrock", "Bedrock", "boto3", "client", "maxTokens")


def _compatible(title: str, base_url: str) -> Dialect:
    return Dialect("openai", title, "openai", "OpenAI", "max_tokens", base_url)


_DIALECTS = {
    "anthropic": _ANTHROPIC,
    "openai": _OPENAI,
    "azure": Dialect("openai", "Azure OpenAI", "openai", "AzureOpenAI", "max_completion_tokens"),
    "azure_ai": Dialect("openai", "Azure OpenAI", "openai", "AzureOpenAI", "max_completion_tokens"),
    "gemini": _GEMINI,
    "google": _GEMINI,
    "vertex_ai": _GEMINI,
    "bedrock": _BEDROCK,
    "aws": _BEDROCK,
    "gcp": _GEMINI,
    "az": Dialect("openai", "Azure OpenAI", "openai", "AzureOpenAI", "max_completion_tokens"),
    "deepseek": _compatible("DeepSeek", "https://api.deepseek.com"),
    "groq": _compatible("Groq", "https://api.groq.com/openai/v1"),
    "mistral": _compatible("Mistral", "https://api.mistral.ai/v1"),
    "cohere": _compatible("Cohere", "https://api.cohere.ai/compatibility/v1"),
    "openrouter": _compatible("OpenRouter", "https://openrouter.ai/api/v1"),
}
_VERTEX_CLAUDE = Dialect(
    "anthropic", "Claude on Vertex AI", "anthropic", "AnthropicVertex", "max_tokens"
)


def _wrapped(call: str, arguments: Sequence[str]) -> str:
    """A call as an argument of another, on one line where it fits."""
    line = f"{call}({', '.join(arguments)})"
    if len(line) <= 80:
        return line
    return f"{call}(\n" + "".join(f"        {one},\n" for one in arguments) + "    )"


def dialect_of(provider: str, family: str, model: str) -> Dialect:
    """Return how Python speaks to a provider.

    By the calls' own ``$ai_provider`` where it is known, else by the price map's provider of the
    model, else as OpenAI, whose interface nearly every gateway has.
    """
    own = provider.lower().replace("-", "_").split(".")[0]
    for name in (own, family):
        if name.startswith("vertex") and "claude" in model.lower():
            return _VERTEX_CLAUDE
        for known, dialect in _DIALECTS.items():
            if name == known or name.startswith(f"{known}_"):
                return dialect
    return _ANTHROPIC if model.lower().startswith("claude") else _OPENAI


def literal(text: str) -> str:
    """Return a Python literal of any text."""
    quoted = repr(text)
    return quoted if '"' in quoted or "\\" in quoted else f'"{quoted[1:-1]}"'


def indented(text: str, by: int = 4) -> str:
    """Return code further to the right."""
    return textwrap.indent(text, " " * by)


def join(*blocks: str) -> str:
    """Return blocks of code, spaced as Python is: two blank lines around definitions."""
    text = ""
    for block in filter(None, (textwrap.dedent(one).strip("\n") for one in blocks)):
        apart = block.startswith(("def ", "class ")) or text.rsplit("\n\n", 1)[-1].startswith(
            "def "
        )
        text += ("\n\n\n" if apart else "\n\n") + block if text else block
    return text + "\n"
