"""Secrets that are known by their look: the formats of keys and tokens that services publish.

A rule must match what the service issues and nothing else that people write. ``may_hold_secret`` is
asked for every event and must stay quick; it may raise a false alarm, never miss one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["VALUE_RULES", "ValueRule", "look_alike"]


@dataclass(frozen=True, slots=True)
class ValueRule:
    """One kind of secret that is known by its look.

    ``hints``: one of them is in every text that matches, so that most texts are passed quickly.
    Group 1 of ``regex``, if it has one, is what is masked; otherwise the whole match.
    """

    name: str
    hints: tuple[str, ...]
    regex: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression, compiled when the first text looks as if it held a secret."""
        return _compiled(self.regex)


@functools.cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)


def _rule(name: str, hints: str, regex: str) -> ValueRule:
    return ValueRule(name, tuple(hints.split("|")), regex)


def _prefixed(
    name: str, prefixes: str, body: str = r"[A-Za-z0-9]{16}[A-Za-z0-9_-]*"
) -> Iterator[ValueRule]:
    """Yield a rule for each of the prefixes of a kind of token.

    The prefix stands first in the expression, where the engine searches for it as plain text; what
    may not stand before it is asked afterwards.
    """
    for prefix in prefixes.split("|"):
        plain = re.escape(prefix)
        yield ValueRule(name, (prefix,), rf"{plain}(?<![A-Za-z0-9]{plain}){body}")


VALUE_RULES: tuple[ValueRule, ...] = (
    _rule(
        "private_key",
        "-----BEGIN",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:(?!-----BEGIN)[\s\S]){0,20000}?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
        r"|[A-Za-z0-9+/=\s\\]*)",
    ),
    _rule("anthropic_key", "sk-ant-", r"\bsk-ant-[A-Za-z0-9_-]{16,}"),
    _rule("provider_key", "sk-", r"sk-(?<![A-Za-z0-9_-]sk-)(?!ant-)[A-Za-z0-9][A-Za-z0-9_-]{18,}"),
    *_prefixed("posthog_key", "phx_|phs_|pha_|phr_"),
    *_prefixed("github_token", "ghp_|gho_|ghu_|ghs_|ghr_", r"[A-Za-z0-9]{30,}"),
    *_prefixed("github_token", "github_pat_", r"[A-Za-z0-9]{16}[A-Za-z0-9_]{14,}"),
    *_prefixed(
        "gitlab_token",
        "glpat-|glptt-|gldt-|glrt-|glft-|gloas-|glsoat-|glcbt-|glagent-",
        r"[A-Za-z0-9_.-]{20,}",
    ),
    _rule("aws_key", "AKIA|ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _rule("aws_key", "ABSK", r"\bABSK[A-Za-z0-9+/]{40,}=*"),
    _rule("google_key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}"),
    _rule("google_token", "ya29.", r"\bya29\.[A-Za-z0-9_-]{20,}"),
    _rule("google_token", "1//0", r"(?<![A-Za-z0-9/])1//0[A-Za-z0-9_-]{30,}"),
    _rule("google_secret", "GOCSPX-", r"\bGOCSPX-[A-Za-z0-9_-]{20,}"),
    _rule("slack_token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _rule("slack_token", "xapp-", r"\bxapp-[0-9]-[A-Z0-9]+-[A-Za-z0-9-]{16,}"),
    _rule("webhook", "slack.com/services/", r"\bslack\.com/services/([A-Z0-9]+/[A-Za-z0-9/]{16,})"),
    _rule("webhook", "com/api/webhooks/", r"com/api/webhooks/([0-9]+/[A-Za-z0-9_-]{30,})"),
    _rule("stripe_key", "k_live_|k_test_", r"\b[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    *_prefixed("stripe_key", "whsec_", r"[A-Za-z0-9]{16}[A-Za-z0-9+/=]*"),
    *_prefixed("huggingface_token", "hf_", r"[A-Za-z0-9]{30,}"),
    *_prefixed(
        "provider_key",
        "gsk_|r8_|xai-|pplx-|fw_|nvapi-|csk-|pcsk_|tvly-|fc-|jina_|e2b_|rpa_|sk_|lsv2_pt_|lsv2_sk_",
    ),
    *_prefixed(
        "access_token",
        "ntn_|secret_|lin_api_|dop_v1_|doo_v1_|dor_v1_|dckr_pat_|HRKU-|nfp_|fo1_|sbp_|sb_secret_"
        "|pscale_tkn_|pscale_pw_|pscale_oauth_|PMAK-|NRAK-|NRJS-|glsa_|glc_|sntrys_|sntryu_"
        "|shpat_|shpss_|shpca_|shppa_|sq0atp-|sq0csp-|figd_|tskey-auth-|tskey-api-|rubygems_"
        "|npm_|wandb_v1_|key-|AGE-SECRET-KEY-1|ATATT3x|ATCTT3x",
    ),
    *_prefixed("access_token", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    _rule("pypi_token", "pypi-", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    *_prefixed("access_token", "dapi|SK", r"[0-9a-f]{32}\b"),
    _rule("access_token", "SG.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _rule("access_token", "hvs.|hvb.|hvr.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    _rule("access_token", "dp.", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{20,}"),
    _rule("access_token", "dt0", r"\bdt0[a-z][0-9]{2}\.[A-Z0-9]{16,}\.[A-Z0-9]{32,}"),
    _rule("access_token", ".atlasv1.", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}"),
    *_prefixed("access_token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _rule("access_token", "-us", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    # Bots of Telegram and Discord: the part before is the bot's number.
    _rule("access_token", ":", r":(?<=[0-9]{8}:)[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    _rule(
        "access_token",
        ".",
        r"\.(?:(?<=[MNO][A-Za-z0-9_-]{23}\.)|(?<=[MNO][A-Za-z0-9_-]{25}\.))"
        r"[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
    ),
    _rule("jwt", "eyJ", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    _rule(
        "bearer",
        "earer |EARER |asic |ASIC ",
        r"\b(?:[Bb]earer|BEARER|[Bb]asic|BASIC) ([A-Za-z0-9._~+/-]{20,}=*)",
    ),
    _rule("url_password", "://", r"://[^\s/:@\"'<>]*:([^\s/@\"'<>]+)@"),
    _rule("url_password", "://", r"://([A-Za-z0-9_-]{16,})@"),
    _rule("curl_password", "-u ", r"(?<!\S)-u [\"']?[^\s:\"'\\/]+:([^\s\"'\\]{4,})"),
)

# One pass over an event's texts: every rule's match contains a match of this. Each branch begins
# with a rare character, so that the engine skips from one to the next.
_HINT = re.compile(
    r"-(?:----BEGIN|u |us[0-9]|(?=[A-Za-z0-9_.-])(?:(?=[A-Za-z0-9]{16})|(?<=sk-)|(?<=pypi-)"
    r"|(?<=GOCSPX-)|(?<=xox[abeoprs]-)|(?<=xapp-)|(?<=pat-)|(?<=ptt-)|(?<=gl[drf]t-)|(?<=gloas-)"
    r"|(?<=glsoat-)|(?<=cbt-)|(?<=glagent-)))"
    r"|_(?=[A-Za-z0-9]{16})"
    r"|:(?://[^\s/@\"'<>]*@|(?<=[0-9]:)(?=[A-Za-z0-9_-]{35}))"
    r"|\.(?=[A-Za-z0-9_-])(?:com/api/webhooks/|(?=[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27})|(?<=slack\.)com/services"
    r"|(?=[A-Za-z0-9_-]{16})(?:(?<=ya29\.)|(?<=SG\.)|(?<=hv[sbr]\.)|(?<=dt0[a-z]\d\d\.))"
    r"|(?=[0-9a-f]{32})|(?<=dp\.)|atlasv1\.)"
    r"|/(?<=[a-z]/)api/webhooks/|/(?<=1/)/0"
    r"|J(?<=eyJ)|A(?:(?<=AKIA)|(?<=ASIA)|Iza|BSK|TATT3x|TCTT3x)|K(?<=SK)(?=[0-9a-f]{16})"
    r"|Y-1|p(?<=dap)i(?=[0-9a-f]{16})"
    r"|b(?:earer |asic )|B(?:earer |asic |EARER |ASIC )"
)


def look_alike(text: str) -> bool:
    """Tell quickly whether any rule could match in a text (often enough a false alarm)."""
    return _HINT.search(text) is not None
