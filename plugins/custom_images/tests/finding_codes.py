"""Every code that a finding of the plugin can have, and how grave: read from its source."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import mirror_custom_images

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "custom-images-"
"""What every code begins with."""
_ROOT = Path(mirror_custom_images.__file__).parent
_MAKERS = {"Finding", "Rule", "finding", "_finding", "problem", "_note", "error", "warning", "note"}
_TABLES = {"harms.py": "_SAID", "windows.py": "_UNREADABLE"}
"""Codes that are the keys of a dictionary, by file."""
_GRAVE = {"error", "warning", "note"}
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def codes() -> dict[str, set[str]]:
    """Return codes with the severities that are beside them: none where those are computed."""
    found: dict[str, set[str]] = {}
    for file in sorted(_ROOT.rglob("*.py")):
        module = ast.parse(file.read_text())
        for code, severities in (*_of_calls(module, file), *_of_table(module, file)):
            found.setdefault(code, set()).update(severities)
    return found


def computed() -> list[str]:
    """Return the places where a code is not written out, as `file:function`."""
    return sorted(
        f"{file.name}:{function.name}"
        for file in _ROOT.rglob("*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef) and function.name not in _MAKERS
        for call in ast.walk(function)
        if _is_maker(call) and not _code(call, file)
    )


def _of_calls(module: ast.Module, file: Path) -> Iterator[tuple[str, set[str]]]:
    for call in ast.walk(module):
        if _is_maker(call) and (code := _code(call, file)):
            yield code, _severities(call)


def _of_table(module: ast.Module, file: Path) -> Iterator[tuple[str, set[str]]]:
    for each in module.body:
        if isinstance(each, ast.Assign) and _name(each.targets[0]) == _TABLES.get(file.name):
            for key, value in zip(each.value.keys, each.value.values, strict=True):
                yield PREFIX + _kind(file) + key.value, _named(value) or {"error"}


def _is_maker(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) in _MAKERS


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def _code(call: ast.Call, file: Path) -> str:
    words = [each.value for each in call.args[:3] if isinstance(each, ast.Constant)]
    for word in words:
        if str(word).startswith(PREFIX):
            return word
    word = next((word for word in words if _CODE.fullmatch(str(word))), "")
    return word and PREFIX + _kind(file) + word


def _kind(file: Path) -> str:
    kinds = (each for each in ("esxi", "windows") if file.name.startswith(each))
    return "".join(f"{each}-" for each in kinds) if file.parent.name == "checks" else ""


def _severities(call: ast.Call) -> set[str]:
    name = _name(call.func).removeprefix("_")
    if name in _GRAVE:
        return {name}
    return _named(call) or ({"warning"} if name == "Rule" else set())


def _named(node: ast.AST) -> set[str]:
    return {
        each.attr.lower() for each in ast.walk(node) if isinstance(each, ast.Attribute)
    } & _GRAVE
