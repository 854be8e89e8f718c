"""The rules of Token Machine's proxy: one TOML file, read strictly, named by its digest.

It says which models there are, which of them may serve a kind of task and how good they must be,
who may ask and for how many dollars. No secret is ever in it: a key is a SHA-256 or the name of an
environment variable.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.errors import ConfigError
from nightpane.router.tables import Fields

__all__ = ["AUTO", "FILE_NAME", "Grading", "Key", "Model", "Rules", "Settings", "TaskType"]
__all__ += ["parse", "read", "rule_id"]

FILE_NAME = "token-machine.toml"
AUTO = "auto"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEAST_KEY_CHARS = 16
# What the proxy itself sets, or what would carry a secret in the file.
_NOT_PARAMS = {"model", "api_key", "api_base", "base_url", "messages", "stream", "metadata"}
_SECRET = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_TOKEN_PARAMS = {"max_tokens", "max_completion_tokens"}
_SECRET_VALUE = re.compile(r"\b(?:sk|phc|phx)[-_][A-Za-z0-9_-]{12,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: ``model`` is LiteLLM's name of it. Prices None: LiteLLM's own price map is asked.

    ``max_output_tokens`` is what a call without a limit of its own is reserved for.
    """

    name: str
    model: str
    api_base: str | None
    api_key_env: str | None
    is_embedding: bool
    input_usd_per_million: float | None
    output_usd_per_million: float | None
    max_output_tokens: int
    timeout_s: float
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskType:
    """A kind of task: models that may serve it, in the order of preference while nothing is known.

    A model holds the task when the lower limit of its quality's interval is over
    ``quality_floor``. ``default`` serves while the data names no model.
    """

    name: str
    candidates: tuple[str, ...]
    quality_floor: float
    default: str
    fallbacks: tuple[str, ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Someone who may ask, known by the SHA-256 of the key. Budgets are USD, None is no limit.

    ``models`` empty: all. ``is_grader`` may grade the calls of others too.
    """

    name: str
    sha256: str
    user: str
    team: str
    agent: str | None
    models: tuple[str, ...]
    usd_per_day: float | None
    usd_total: float | None
    is_grader: bool

    @property
    def has_budget(self) -> bool:
        """Whether its dollars are limited."""
        return self.usd_per_day is not None or self.usd_total is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """Letters, best first, each from this quality per USD on; empty: by quantile of the team."""

    thresholds: tuple[tuple[str, float], ...]
    min_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for every request: see the example file for each."""

    default: str
    fallbacks: tuple[str, ...]
    project: str | None
    days: int
    min_graded: int
    confidence: float
    refresh_s: float
    max_body_bytes: int
    emit_contents: bool
    allow_remote_urls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one file; ``id`` is the first 12 hex digits of its text's SHA-256."""

    id: str
    settings: Settings
    models: Mapping[str, Model]
    task_types: Mapping[str, TaskType]
    keys: tuple[Key, ...]
    grading: Grading

    def task(self, name: str) -> TaskType | None:
        """Return the task type of a name or an alias."""
        return next(
            (one for one in self.task_types.values() if name == one.name or name in one.aliases),
            None,
        )


def rule_id(text: str) -> str:
    """Return the id of a rules file's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read(path: Path, environ: Mapping[str, str] | None = None, *, needs_keys: bool = True) -> Rules:
    """Return the rules of a file. Raises ConfigError as ``parse`` does."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist: 'nightpane token-machine init' writes an example"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return parse(text, str(path), environ, needs_keys=needs_keys)


def parse(
    text: str,
    where: str,
    environ: Mapping[str, str] | None = None,
    *,
    needs_keys: bool = True,
) -> Rules:
    """Return the rules of a file's text; ``environ`` stands in for the process's own.

    Without ``needs_keys`` a key that is not in the environment is one that nobody has. Raises
    ConfigError for a field that is missing, unknown or unusable, for a key that is not in the
    environment, and for a secret in the file.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {error}") from error
    if found := _SECRET_VALUE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(
            f"{where}, line {line} holds what looks like a key: put it in the environment and name "
            "the variable here"
        )
    environ = os.environ if environ is None else environ
    top = Fields(document, where)
    names = ("router", "models", "task_types", "keys", "grades")
    router, named, tasks, keys, grades = (top.table(name) for name in names)
    top.done()
    models = _models(named)
    settings = _settings(router, models)
    return Rules(
        id=rule_id(text),
        models=models,
        settings=settings,
        task_types=_task_types(tasks, models, settings.fallbacks),
        keys=_keys(keys, models, environ if needs_keys else None),
        grading=_grading(grades),
    )


def _models(table: Fields) -> dict[str, Model]:
    found = {name: _model(_name(table, name), table.table(name)) for name in table.names()}
    if not found:
        raise ConfigError(f"{table.where}: there is no model; add [models.NAME]")
    return found


def _model(name: str, fields: Fields) -> Model:
    if name == AUTO:
        raise ConfigError(f"{fields.where}: {AUTO!r} means that the proxy chooses; rename it")
    model = Model(
        name=name,
        model=fields.must("model"),
        api_base=fields.text("api_base"),
        api_key_env=_env(fields, "api_key_env"),
        is_embedding=fields.flag("embedding", False),
        input_usd_per_million=fields.number("input_usd_per_million", None),
        output_usd_per_million=fields.number("output_usd_per_million", None),
        max_output_tokens=fields.count("max_output_tokens", 4096),
        timeout_s=fields.sure("timeout_s", 120.0, low=0.1, high=3600.0),
        params=_params(fields.table("params")),
    )
    fields.done()
    one_price = (model.input_usd_per_million is None) != (model.output_usd_per_million is None)
    if one_price and not model.is_embedding:
        raise ConfigError(f"{fields.where} has one price of two: give input and output")
    return model


def _params(fields: Fields) -> dict[str, Any]:
    params = fields.rest()
    for name in params:
        if name in _NOT_PARAMS or (_SECRET.search(name) and name not in _TOKEN_PARAMS):
            raise ConfigError(
                f"{fields.where}.{name} cannot be set here: an address is api_base, a secret the "
                "variable that api_key_env names"
            )
    return params


def _settings(fields: Fields, models: Mapping[str, Model]) -> Settings:
    settings = Settings(
        default=_model_named(fields, "default", models),
        fallbacks=_models_named(fields, "fallbacks", models),
        project=fields.text("project"),
        days=fields.count("days", 30, high=3650),
        min_graded=fields.count("min_graded", 20, low=5),
        confidence=fields.sure("confidence", 0.95, low=0.5, high=0.9999),
        refresh_s=fields.sure("refresh_s", 300.0, low=0.1),
        max_body_bytes=fields.count("max_body_bytes", 4 * 1024 * 1024),
        emit_contents=fields.flag("emit_contents", False),
        allow_remote_urls=fields.flag("allow_remote_urls", False),
    )
    fields.done()
    return settings


def _task_types(
    table: Fields, models: Mapping[str, Model], fallbacks: tuple[str, ...]
) -> dict[str, TaskType]:
    found: dict[str, TaskType] = {}
    taken: dict[str, str] = dict.fromkeys((AUTO, *models), "a model")
    for name in table.names():
        task = _task(_name(table, name), table.table(name), models, fallbacks)
        for word in (task.name, *task.aliases):
            if word in taken:
                raise ConfigError(f"{table.where}.{name}: {word!r} is the name of {taken[word]}")
            taken[word] = f"task type {name!r}"
        found[name] = task
    return found


def _task(
    name: str, fields: Fields, models: Mapping[str, Model], fallbacks: tuple[str, ...]
) -> TaskType:
    candidates = _models_named(fields, "candidates", models)
    if not candidates:
        raise ConfigError(f"{fields.where}.candidates is missing: name at least one model")
    default = fields.text("default") or candidates[0]
    task = TaskType(
        name=name,
        candidates=candidates,
        quality_floor=fields.sure("quality_floor", 0.0, high=1.0),
        default=default,
        fallbacks=_models_named(fields, "fallbacks", models) or fallbacks,
        aliases=fields.texts("aliases"),
    )
    if default not in candidates:
        raise fields.wrong("default", f"one of the candidates: {', '.join(candidates)}")
    fields.done()
    return task


def _keys(
    table: Fields, models: Mapping[str, Model], environ: Mapping[str, str] | None
) -> tuple[Key, ...]:
    keys = [_key(_name(table, name), table.table(name), models, environ) for name in table.names()]
    if not keys:
        raise ConfigError(f"{table.where}: nobody may ask; add [keys.NAME]")
    seen: dict[str, str] = {}
    for key in keys:
        if key.sha256 and (other := seen.get(key.sha256)):
            raise ConfigError(f"{table.where}.{key.name} has the same key as {other}")
        seen[key.sha256] = key.name
    return tuple(keys)


def _key(
    name: str, fields: Fields, models: Mapping[str, Model], environ: Mapping[str, str] | None
) -> Key:
    key = Key(
        name=name,
        sha256=_digest(fields, environ),
        user=fields.text("user") or name,
        team=fields.text("team") or "team",
        agent=fields.text("agent"),
        models=_models_named(fields, "models", models),
        usd_per_day=fields.number("usd_per_day", None),
        usd_total=fields.number("usd_total", None),
        is_grader=fields.flag("grader", False),
    )
    fields.done()
    return key


def _digest(fields: Fields, environ: Mapping[str, str] | None) -> str:
    """Return a key's SHA-256, empty where there is no environment to look it up in."""
    given, name = fields.text("sha256"), _env(fields, "env")
    if (given is None) == (name is None):
        raise ConfigError(f"{fields.where} needs env (a variable's name) or sha256: one of them")
    if given is not None:
        if not _SHA256.fullmatch(given):
            raise ConfigError(f"{fields.where}.sha256 is not 64 hex digits in lower case")
        return given
    if environ is None:
        return ""
    value = environ.get(str(name), "")
    if len(value) < _LEAST_KEY_CHARS:
        raise ConfigError(
            f"{fields.where}.env: the environment variable {name} is not set, or shorter than "
            f"{_LEAST_KEY_CHARS} characters; python -c 'import secrets; "
            "print(secrets.token_urlsafe(32))' makes a key"
        )
    return hashlib.sha256(value.encode()).hexdigest()


def _grading(fields: Fields) -> Grading:
    letters = fields.table("thresholds")
    thresholds = [(name, letters.sure(name, 0.0)) for name in letters.names()]
    thresholds.sort(key=lambda one: -one[1])
    grading = Grading(thresholds=tuple(thresholds), min_calls=fields.count("min_calls", 20, low=5))
    fields.done()
    return grading


def _name(table: Fields, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{table.where}: {name!r} cannot be a name: letters, digits and . _ : / - only, at "
            "most 100"
        )
    return name


def _env(fields: Fields, name: str) -> str | None:
    value = fields.text(name)
    if value is not None and not _ENV.fullmatch(value):
        # Not shown: it may be the secret itself.
        raise ConfigError(f"{fields.where}.{name} is no name of an environment variable")
    return value


def _model_named(fields: Fields, name: str, models: Mapping[str, Model]) -> str:
    value = fields.must(name)
    if value not in models:
        raise fields.wrong(name, f"one of the models: {', '.join(models)}")
    return value


def _models_named(fields: Fields, name: str, models: Mapping[str, Model]) -> tuple[str, ...]:
    values = fields.texts(name)
    for value in values:
        if value not in models:
            raise fields.wrong(name, f"names of models: {', '.join(models)}; not {value!r}")
    return values
