"""Two hundred secrets, none of them real: made by a fixed seed in the shapes services issue."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["SECRETS", "Secret"]

_WORD = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_UPPER = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Secret:
    """A text that holds a secret, and the secret itself, which must be found nowhere."""

    kind: str
    text: str
    bare: str


# Prefix, alphabet and length of what stands alone.
_TOKENS: list[tuple[str, str, int]] = [
    ("sk-proj-", _WORD + "_-", 120),
    ("sk-ant-api03-", _WORD + "_-", 93),
    ("sk-ant-admin01-", _WORD + "_-", 93),
    ("sk-or-v1-", _HEX, 64),
    ("sk-lf-", _HEX, 36),
    ("sk-", _WORD, 48),
    ("sk-svcacct-", _WORD + "_-", 80),
    ("phx_", _WORD, 43),
    ("phs_", _WORD, 43),
    ("ghp_", _WORD, 36),
    ("gho_", _WORD, 36),
    ("ghu_", _WORD, 36),
    ("ghs_", _WORD, 36),
    ("ghr_", _WORD, 36),
    ("glpat-", _WORD + "_", 20),
    ("glptt-", _HEX, 40),
    ("gldt-", _WORD, 20),
    ("glrt-", _WORD, 20),
    ("glcbt-", _WORD, 24),
    ("AKIA", _UPPER, 16),
    ("ASIA", _UPPER, 16),
    ("ABSK", _WORD, 132),
    ("AIza", _WORD + "_-", 35),
    ("ya29.", _WORD + "_-", 120),
    ("1//0", _WORD + "_-", 60),
    ("GOCSPX-", _WORD + "_-", 28),
    ("sk_live_", _WORD, 24),
    ("sk_test_", _WORD, 24),
    ("rk_live_", _WORD, 24),
    ("whsec_", _WORD, 32),
    ("hf_", string.ascii_letters, 34),
    ("gsk_", _WORD, 52),
    ("r8_", _WORD, 37),
    ("xai-", _WORD, 80),
    ("pplx-", _WORD, 48),
    ("fw_", _WORD, 24),
    ("nvapi-", _WORD, 64),
    ("csk-", _WORD, 48),
    ("pcsk_", _WORD, 64),
    ("tvly-", _WORD, 32),
    ("fc-", _HEX, 32),
    ("jina_", _WORD, 60),
    ("e2b_", _HEX, 40),
    ("rpa_", _UPPER, 44),
    ("sk_", _HEX, 48),
    ("lsv2_pt_", _HEX, 32),
    ("lsv2_sk_", _HEX, 32),
    ("ntn_", _WORD, 46),
    ("secret_", _WORD, 43),
    ("lin_api_", _WORD, 40),
    ("dop_v1_", _HEX, 64),
    ("dckr_pat_", _WORD, 27),
    ("nfp_", _WORD, 36),
    ("sbp_", _HEX, 40),
    ("pscale_tkn_", _WORD, 43),
    ("pscale_pw_", _WORD, 43),
    ("NRAK-", _UPPER, 27),
    ("glsa_", _WORD, 32),
    ("glc_", _WORD, 80),
    ("sntrys_", _WORD, 80),
    ("shpat_", _HEX, 32),
    ("sq0atp-", _WORD, 22),
    ("figd_", _WORD, 40),
    ("tskey-auth-", _WORD, 34),
    ("rubygems_", _HEX, 48),
    ("npm_", _WORD, 36),
    ("pypi-AgEIcHlwaS5vcmc", _WORD, 80),
    ("dapi", _HEX, 32),
    ("hvs.", _WORD + "_-", 90),
    ("dp.pt.", _WORD, 43),
    ("ATATT3x", _WORD, 180),
    ("AGE-SECRET-KEY-1", _UPPER, 58),
    ("PMAK-", _HEX, 24),
    ("SK", _HEX, 32),
    ("key-", _HEX, 32),
    ("xapp-1-A0", _UPPER, 10),
]


def _pick(chance: random.Random, letters: str, length: int) -> str:
    """Return a word of these letters, with a digit in it as a real one has."""
    word = "".join(chance.choice(letters) for _ in range(length))
    # The first sixteen without signs, as services issue them.
    head = "".join(chance.choice(_WORD if "_" in letters else letters) for _ in range(16))
    return (head + word)[: length - 1] + (chance.choice("23456789") if "2" in letters else word[0])


def _tokens(chance: random.Random) -> Iterator[Secret]:
    for prefix, letters, length in _TOKENS:
        token = prefix + _pick(chance, letters, length)
        if prefix == "xapp-1-A0":
            token += "-" + _pick(chance, string.digits, 13) + "-" + _pick(chance, _HEX, 64)
        yield Secret(prefix, f"I set it to {token} yesterday.", token)


def _shaped(chance: random.Random) -> Iterator[Secret]:
    def word(length: int, letters: str = _WORD) -> str:
        return _pick(chance, letters, length)

    whole = {
        "slack bot": f"xoxb-{word(12, string.digits)}-{word(12, string.digits)}-{word(24)}",
        "slack user": f"xoxp-{word(12, string.digits)}-{word(24)}",
        "github fine": f"github_pat_{word(22)}_{word(59)}",
        "jwt": f"eyJ{word(20)}.eyJ{word(40)}.{word(43)}",
        "sendgrid": f"SG.{word(22)}.{word(43)}",
        "mailchimp": f"{word(32, _HEX)}-us14",
        "airtable": f"pat{word(14)}.{word(64, _HEX)}",
        "terraform": f"{word(14)}.atlasv1.{word(67)}",
        "dynatrace": f"dt0c01.{word(24, _UPPER)}.{word(64, _UPPER)}",
    }
    for kind, secret in whole.items():
        yield Secret(kind, f"see {secret}, please", secret)
    for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "PGP "):
        body = "\n".join(word(64) for _ in range(6))
        block = " BLOCK" if kind == "PGP " else ""
        head, foot = f"{kind}PRIVATE KEY{block}-----", f"{kind}PRIVATE KEY{block}-----"
        yield Secret(
            f"private key {kind}", f"-----BEGIN {head}\n{body}\n-----END {foot}", body[:64]
        )
    bot = word(35)
    yield Secret("telegram", f"bot {word(9, string.digits)}:{bot} runs", bot)
    tail = f"{word(6)}.{word(38)}"
    yield Secret("discord", f"login M{word(23)}.{tail} now", tail)
    for host in ("https://hooks.slack.com/services/", "https://discord.com/api/webhooks/"):
        path = f"T{word(9, _UPPER)}/B{word(9, _UPPER)}/{word(24)}"
        path = path if "slack" in host else f"{word(18, string.digits)}/{word(68)}"
        yield Secret(host, f"post to {host}{path} then", path)
    for scheme in ("postgres", "postgresql+asyncpg", "mysql", "mongodb+srv", "redis", "amqp"):
        password = word(14)
        yield Secret(scheme, f"{scheme}://admin:{password}@db.example.com:5432/runs", password)
    password = word(12)
    yield Secret("redis without user", f"redis://:{password}@cache:6379/0", password)
    password = word(16)
    yield Secret("https", f"git clone https://bot:{password}@git.example.com/x.git", password)
    token = word(40)
    yield Secret("https token", f"git clone https://{token}@git.example.com/x.git", token)
    password = word(11)
    yield Secret("curl", f"curl -u deploy:{password} https://ci.example.com", password)


_NAMES = (
    *("api_key", "API_KEY", "apiKey", "x-api-key", "password", "passwd", "pwd", "secret"),
    *("client_secret", "secret_key", "aws_secret_access_key", "private_key", "access_key"),
    *("account_key", "passphrase", "signing_key", "db_password", "OPENAI_API_KEY", "credential"),
)
_FORMS: tuple[tuple[str, str], ...] = (
    ("env", "{name}={secret}\n"),
    ("json", '{{"{name}": "{secret}", "n": 1}}'),
    ("json in json", '"{{\\"{name}\\": \\"{secret}\\"}}"'),
    ("yaml", "  {name}: {secret}\n"),
    ("python", "connect({name}='{secret}')"),
)


def _named(chance: random.Random) -> Iterator[Secret]:
    for name in ("access_token", "refresh_token", "auth_token", "session_token", "token"):
        secret = _pick(chance, _WORD, 32)
        yield Secret(name, f'{{"{name}": "{secret}"}}', secret)
    forms: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("bearer", lambda s: f"Authorization: Bearer {s}"),
        ("lower bearer", lambda s: f"authorization: bearer {s}"),
        ("basic", lambda s: f"Authorization: Basic {s}=="),
        ("token header", lambda s: f"Authorization: token {s}"),
        ("proxy", lambda s: f"Proxy-Authorization: Basic {s}"),
        ("headers", lambda s: f"{{'authorization': 'Key {s}', 'accept': '*/*'}}"),
        ("raw header", lambda s: f"> authorization: {s}\r\n> accept: */*"),
        ("cookie", lambda s: f"Cookie: session={s}; theme=dark"),
        ("set-cookie", lambda s: f"Set-Cookie: sid={s}; HttpOnly; Secure"),
        ("cookie in json", lambda s: f'{{"cookie": "sid={s}; a=b"}}'),
        ("flag", lambda s: f"deploy --token {s} --force"),
        ("password flag", lambda s: f"mysqldump --password {s} db"),
        ("key flag", lambda s: f"run --api-key={s}"),
        ("ado", lambda s: f"Server=db;User Id=sa;Password={s};Encrypt=true"),
        ("azure", lambda s: f"AccountName=a;AccountKey={s}==;EndpointSuffix=core.windows.net"),
        ("service bus", lambda s: f"Endpoint=sb://x/;SharedAccessKey={s}="),
        ("sas", lambda s: f"https://x.blob.core.windows.net/c?sv=2024&sig={s}%3D"),
        ("query", lambda s: f"https://maps.example.com/x?key={s}&v=1"),
        ("query password", lambda s: f"GET /login?user=me&password={s}&next=/"),
        ("presigned", lambda s: f"https://b.s3.amazonaws.com/o?X-Amz-Signature={s}"),
    )
    for kind, make in forms:
        secret = _pick(chance, _WORD, 32)
        yield Secret(kind, make(secret), secret)
    for at, name in enumerate(_NAMES * len(_FORMS)):
        kind, form = _FORMS[at % len(_FORMS)]
        secret = _pick(chance, _WORD, 12 + at % 9)
        yield Secret(f"{name} {kind}", form.format(name=name, secret=secret), secret)


def _all() -> tuple[Secret, ...]:
    chance = random.Random(20)
    found = [*_tokens(chance), *_shaped(chance), *_named(chance)]
    return tuple(found[:200])


SECRETS = _all()
