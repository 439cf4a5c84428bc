"""Arguments of the desk's steps as options of the command line: documents are files, days are dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Boolean, Choice, Integer, Kind, ListOf, Octets, Optional
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value

_FIRST_DAY = date(1970, 1, 1)
CHAINS_NAMED = ("chain", "late")
"""Arguments that name a chain: by region code or genesis hash."""
_HELP = {
    "document": "The document behind this step 依据文件: a file; its SM3 goes on the chain.",
    "service": "The service 服务 that a notice of a service is about, 32 hexadecimal digits.",
    "plan": "The plan 方案: a file; its SM3 goes on the chain.",
    "data_plan": "The plan for the data 数据迁移方案: a file; its SM3 goes on the chain.",
    "subject": "What it is about 事项, in a few words.",
    "effective_day": "When it takes effect 生效日, for example 2026-12-31 (UTC+8).",
    "deadline_day": "By when 期限, for example 2026-12-31 (UTC+8).",
    "compatible": "Nothing has to be changed by others 兼容.",
    "component": "Which component 组件, for example the node software.",
    "versions": "A version concerned 涉及版本.",
    "version": "The version 版本.",
    "advisory": "Number of the advisory 公告编号.",
    "name": "Id of the template 模板编号, for example bj.block-transfer.",
    "tree": "SM3 of its canonical tree, as `dualchain template lint` shows it.",
    "source": "SM3 of its source, as `dualchain template lint` shows it.",
    "severity": "1 slight 轻微, 2, 3 grave 严重.",
}
"""What an option says of itself, in the words of its argument."""
_HASHES = {"definition": "The coming definition's hash 新定义的摘要, as `dualchain registry lint` prints it."}
"""The same, of hashes whose file is not what is hashed."""
_FILES = ("document", "plan", "data_plan")
"""Hashes of files that are at hand."""


def option_of(name: str, kind: Kind) -> tuple[Any, object]:
    """(annotation for typer, default) of the option that stands for an argument; ``...``: it must be given."""
    plain = kind.kind if isinstance(kind, Optional) else kind
    flag, text = f"--{name.replace('_', '-')}", (_HELP | _HASHES).get(name, f"{name.replace('_', ' ').capitalize()}.")
    if isinstance(plain, Boolean):
        return Annotated[bool, typer.Option(flag, help=text)], False
    missing: object = None if isinstance(kind, Optional) else ...
    hint: Any = str
    if plain is HASH and name in _FILES:
        file = typer.Option(flag, exists=True, dir_okay=False, readable=True, help=text)
        return Annotated[Path | None if missing is None else Path, file], missing
    if isinstance(plain, Choice):
        text += f" One of: {', '.join(sorted(plain.texts))}."
    if isinstance(plain, Integer) and not name.endswith("_day"):
        hint = int
    if isinstance(plain, ListOf):
        return Annotated[list[str], typer.Option(flag, help=f"{text} Repeat for more.")], missing
    return Annotated[hint | None if missing is None else hint, typer.Option(flag, help=text)], missing


def read_option(name: str, kind: Kind, given: Any) -> Value | None:
    """The argument that an option gives, None when it was left out. Raises MalformedBytes."""
    plain = kind.kind if isinstance(kind, Optional) else kind
    read: Value = given
    if given is None:
        return None
    if isinstance(given, Path):
        return sm3(given.read_bytes())
    if name in CHAINS_NAMED:
        return None
    if name.endswith("_day"):
        return day_number(given, f"--{name.replace('_', '-')}")
    if isinstance(plain, Octets):
        read = _digest(given, name)
    if isinstance(plain, ListOf):
        read = list(given)
    if not plain.admits(read):
        raise MalformedBytes(f"{given!r} is none that may be given", where=f"--{name}", next_step="see --help")
    return read


def _digest(given: str, name: str) -> bytes:
    try:
        return bytes.fromhex(given)
    except ValueError as error:
        raise MalformedBytes(
            f"{given!r} is no hash", where=f"--{name}", next_step="give it in hexadecimal digits"
        ) from error


def day_number(text: str, where: str) -> int:
    """The UTC+8 day of ``2026-12-31``. Raises MalformedBytes."""
    try:
        return (date.fromisoformat(text) - _FIRST_DAY).days
    except ValueError as error:
        raise MalformedBytes(f"{text!r} is no day", where=where, next_step="write 2026-12-31") from error


def day_text(day: int) -> str:
    """A UTC+8 day as it is written; its number when no calendar reaches that far."""
    try:
        return (_FIRST_DAY + timedelta(days=day)).isoformat()
    except OverflowError:
        return str(day)


def shown_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record's fields, days as dates."""
    return {name: day_text(value) if name.endswith("_day") else value for name, value in fields.items()}
