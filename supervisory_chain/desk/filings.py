"""Filing of templates with the regulator: arguments and what the table does not say (desk.md §4; art. 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.arguments import HASH, Integer, Kind, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from supervisory_chain.desk.records import DESK, Guard, Matter

COMMON_PREFIX = "csrc."
"""Of the regulator's own templates, which nobody files: they come with the release."""
_NAME = Text(64, 3, re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+"))
MAX_VERSION = (1 << 32) - 1

_HASHES: Mapping[str, Kind] = {"tree": HASH, "source": HASH}
FILING_ARGUMENTS: Mapping[str, Mapping[str, Kind]] = {
    "file_template": {
        "chain": HASH,
        "subject": Text(256),
        "name": _NAME,
        "version": Integer(1, MAX_VERSION),
        **_HASHES,
        "document": HASH,
    },
    "refile": _HASHES,
}
FILING_RULES: Mapping[str, RuleText] = {
    "desk.common_template": RuleText("{0} 为证监会通用模板，无需备案", "{0} is the regulator's own: nobody files it"),
    "desk.filed_already": RuleText("该版本已备案，编号 {0}", "this version is filed already, with the number {0}"),
}


def filing_key(chain: bytes, name: str, version: int) -> bytes:
    """Full state key of the number of a template's filing."""
    return state_key(DESK, _place(chain, name, version))


def _filed(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """A version of a market's own template, once."""
    name, version = cast(str, moved.fields["name"]), cast(int, moved.fields["version"])
    if name.startswith(COMMON_PREFIX):
        ctx.refuse("desk.common_template", name)
    at = _place(moved.chain, name, version)
    raw = ctx.get(at)
    if raw is not None:
        ctx.refuse("desk.filed_already", decode_value(raw, "filing"))
    ctx.put(at, encode_value(number))
    return moved


def _over(ctx: CallContext, number: int, before: Matter, moved: Matter) -> Matter:
    """What was withdrawn may be filed anew; what was revoked stays."""
    ctx.delete(_place(moved.chain, cast(str, moved.fields["name"]), cast(int, moved.fields["version"])))
    return moved


FILING_GUARDS: Mapping[str, Guard] = {"file_template": _filed, "withdraw_filing": _over}


def _place(chain: bytes, name: str, version: int) -> bytes:
    return b"t" + chain + version.to_bytes(4, "big") + name.encode("ascii")
