"""The lines that nightpane adds to a hook, and how they are put in and taken out again.

The same lines in every repository and on every machine: which Python runs is told by the
repository's own git setting, so a hooks folder that is committed or shared holds no path, and the
lines do nothing where nobody installed nightpane's hooks. POSIX shell, nothing else.
"""

from __future__ import annotations

import re

from nightpane.hooks.repository import PYTHON

__all__ = ["ASIDE", "OWN", "block", "has_block", "is_shell", "with_block", "without_block"]

# What a hook that no line can be put into is renamed to, and the head of a file all our own.
ASIDE = ".before-nightpane"
OWN = b"#!/bin/sh\n# 'nightpane hooks install' made this file.\n"

_BEGIN = b"# >>> nightpane hooks >>>"
_END = b"# <<< nightpane hooks <<<"
_BLOCK = re.compile(rb"^%s\n(?:.*\n)*?%s(?:\n|\Z)" % (_BEGIN, _END), re.MULTILINE)
_SHEBANG = re.compile(rb"#![^\n]*\n")
_SHELL = re.compile(
    rb"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?(?:\S*/)?(?:sh|bash|dash|ash|ksh|zsh)(?:\s|\Z)"
)

# A subshell, so that nothing of the hook around it changes: not its variables, not its exit code
# and not its input. Only what the next command could change is asked before git goes on: the commit
# and the branch. The background process gives up all that could keep git or a terminal waiting.
_TEXT = """{begin}
# Annotates the commit in the background. 'nightpane hooks uninstall' takes these lines out.
(
  trap '' HUP
  head=$(git rev-parse HEAD --symbolic-full-name HEAD) || exit 0
  {{
    python=$(git config --local --get {setting}) && [ -x "$python" ] || exit 0
    [ -d "$(git rev-parse --git-path rebase-merge)" ] && exit 0
    sha=${{head%%[!0-9a-f]*}}
    exec "$python" -P -m nightpane hooks run {hook} "$sha" --branch "${{head#"$sha"?}}" --quiet
  }} 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
) </dev/null >/dev/null 2>&1 || :
{chain}{end}
"""
_CHAIN = f"""# The hook that was here before, with its own exit code.
[ -x "$0{ASIDE}" ] || exit 0
exec "$0{ASIDE}" "$@"
"""


def block(hook: str, *, chained: bool = False) -> bytes:
    """Return the lines for a hook; ``chained`` ends with the hook that was set aside."""
    text = _TEXT.format(
        begin=_BEGIN.decode(),
        end=_END.decode(),
        setting=PYTHON,
        hook=hook,
        chain=_CHAIN if chained else "",
    )
    return text.encode()


def is_shell(script: bytes) -> bool:
    """Tell whether lines can be put into a hook: a shell script with its first line complete."""
    if b"\0" in script:
        return False
    if not script.startswith(b"#!"):
        # git hands a script without a first line of this kind to sh.
        return True
    first, newline, _ = script.partition(b"\n")
    return newline != b"" and not first.endswith(b"\r") and _SHELL.match(first) is not None


def has_block(script: bytes) -> bool:
    """Tell whether nightpane's lines, of whatever version, are in a hook."""
    return _BLOCK.search(script) is not None


def with_block(script: bytes, hook: str, *, chained: bool = False) -> bytes:
    """Return a shell hook with nightpane's lines: the first that run, so that no ``exit`` or
    ``exec`` further down keeps them from it, and the last command's exit code stays the hook's own.
    """
    script = without_block(script)
    shebang = _SHEBANG.match(script)
    at = shebang.end() if shebang else 0
    if script.startswith(OWN):
        at = len(OWN)
    return script[:at] + block(hook, chained=chained) + script[at:]


def without_block(script: bytes) -> bytes:
    """Return a hook without nightpane's lines; every other byte as it was."""
    return _BLOCK.sub(b"", script)
