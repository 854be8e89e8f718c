"""Whether a score was measured, or could have been written by the one who proposed the change.

The rule is about files: what the scoring command names and loads must be protected, and nothing
that may be edited may run in its process. It is no sandbox. Code that runs as the same user can
reach into other processes; against that, only another user or a container helps.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from nightpane.loops.globs import matches
from nightpane.loops.workspace import Workspace

__all__ = ["forget_bytecode", "planted", "why_reported"]

_MOST_FILES = 500
_LOADERS = frozenset(
    [
        "import_module",
        "__import__",
        "run_path",
        "run_module",
        "exec",
        "eval",
        "compile",
        "spec_from_file_location",
        "SourceFileLoader",
    ]
)
# What an interpreter, a build or a test runner loads by itself when it finds it.
_CODE = frozenset(
    [
        ".py",
        ".pyc",
        ".pth",
        ".pyd",
        ".so",
        ".dll",
        ".dylib",
        ".sh",
        ".bash",
        ".js",
        ".cjs",
        ".mjs",
        ".ts",
        ".rb",
        ".pl",
        ".lua",
        ".toml",
        ".cfg",
        ".ini",
        ".env",
        ".mk",
        ".r",
        ".jl",
    ]
)


def why_reported(workspace: Workspace, command: str) -> str:
    """Return why a score of the command is only reported; "" when it is measured.

    It is measured when the command names a protected file or folder of the repository and nothing
    that may be edited, and no file it loads from the repository loads what may be edited into its
    own process. Python is read for that; in any other language, naming such a file counts.
    """
    named = set(_named(workspace.root, command))
    editable = [name for name in workspace.tracked() if workspace.may_edit(name)]
    for name in sorted(named):
        if found := _below(name, editable):
            return f"the command runs {found}, which a proposal may edit"
    protected = [name for name in workspace.protected_files if _below_any(name, named)]
    if not protected:
        return "the command names no protected file of the repository"
    for name, found in _loads(workspace.root, protected, editable):
        return f"{name} loads {found}, which a proposal may edit, into the process that scores"
    return ""


def planted(workspace: Workspace, since_ns: int) -> str:
    """Return a file of code that git does not see and that is newer than a time; "" for none.

    A change time cannot be set back. What git sees is no concern here: it is taken back.
    """
    for name in workspace.ignored():
        path = workspace.root / name
        if "__pycache__/" in name or not _is_code(path):
            continue
        if os.lstat(path).st_ctime_ns > since_ns:
            return name
    return next((name for name in workspace.made() if _is_code(workspace.root / name)), "")


def forget_bytecode(workspace: Workspace) -> None:
    """Remove what Python has compiled from the tracked files: it could be of another source."""
    for name in workspace.tracked("*.py"):
        path = workspace.root / name
        for made in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            made.unlink(missing_ok=True)


def _is_code(path: Path) -> bool:
    if not path.is_file():
        return False
    return path.suffix.lower() in _CODE or path.name == "Makefile" or os.access(path, os.X_OK)


def _named(root: Path, command: str) -> Iterator[str]:
    """Give the files and folders of the repository that a command's words name."""
    words = _words(command)
    for before, word in zip(["", *words], words, strict=False):
        for part in {word, *word.split("=")}:
            module, _, attribute = part.partition(":")
            is_module = before == "-m" or attribute[:1].isalpha() or "." in part
            for path in (part, module, *(_module_files(module) if is_module else ())):
                if (found := _inside(root, path)) is not None:
                    yield found
        if " " in word.strip() and word != command:
            yield from _named(root, word)


def _words(command: str) -> list[str]:
    try:
        found = shlex.shlex(command, posix=True, punctuation_chars=True)
        found.whitespace_split = True
        return list(found)
    except ValueError:
        return command.split()


def _module_files(name: str) -> tuple[str, ...]:
    """Return the files that a Python module's name may stand for."""
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        return ()
    path = name.replace(".", "/")
    return f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py"


def _inside(root: Path, text: str) -> str | None:
    """Return a path's name below the root; None when it is not there, or not below it."""
    if not text or "\0" in text or len(text) > 1000:
        return None
    path = Path(os.path.normpath(root / text))
    if path.exists() and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return None


def _below(name: str, files: list[str]) -> str | None:
    return next((one for one in files if matches(one, [name])), None)


def _below_any(name: str, folders: set[str]) -> bool:
    return any(matches(name, [folder]) for folder in folders)


def _loads(root: Path, names: list[str], editable: list[str]) -> Iterator[tuple[str, str]]:
    """Give each file that the named ones load, and what it loads that may be edited."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting and len(seen) < _MOST_FILES:
        name = waiting.pop()
        if name in seen or not (root / name).is_file():
            continue
        seen.add(name)
        text = (root / name).read_text("utf-8", "replace")
        tree = _parsed(text) if name.endswith(".py") else None
        if tree is None:
            # A program in another language, or data that a proposal's file happens to be named in.
            words = set(re.findall(r"[\w./-]+", text)) if _is_code(root / name) else set()
            for found in editable:
                if found in words or f"./{found}" in words:
                    yield name, found
            continue
        for path in _loaded(root, name, tree):
            if path in editable:
                yield name, path
            waiting.append(path)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _loaded(root: Path, name: str, tree: ast.Module) -> Iterator[str]:
    """Give the repository's files that a Python file imports or loads by name."""
    folder = Path(name).parent
    for node in ast.walk(tree):
        for said, level in _said(node):
            bases = [folder, Path()] if not level else [_up(folder, level)]
            paths = [said, *_module_files(said)] if "/" not in said else [said]
            for base in bases:
                for path in paths:
                    found = _inside(root, str(base / path))
                    if found is not None and (root / found).is_file():
                        yield found


def _said(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Give the modules and files that a statement loads, with the level of a relative import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from ((part, 0) for part in _packages(alias.name))
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        yield from ((part, node.level) for part in _packages(module))
        for alias in node.names:
            yield f"{module}.{alias.name}".strip("."), node.level
    elif isinstance(node, ast.Call) and _called(node.func) in _LOADERS:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value, 0


def _packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        if module:
            yield ".".join(parts[:end])


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _up(folder: Path, level: int) -> Path:
    for _ in range(level - 1):
        folder = folder.parent
    return folder
