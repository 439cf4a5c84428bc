"""What a supervision rule declares, and its compiled form (docs/spec/watch.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from chain_core.codec.wire import is_identifier
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Kind, Text
from chain_core.execution.contract import RuleText
from contracts.engine.limits import ENGINE, Limits
from contracts.engine.nodes import decode_tree
from contracts.engine.program import Program
from contracts.engine.refusals import refuse
from contracts.kernel.kinds import ID
from contracts.templates.kinds import kind_of
from contracts.templates.offered import Offered, offered
from contracts.watch.view import MAX_KEY, RuleView

LIMITS = Limits(fuel=5_000, memory=262_144)
OBSERVED = (
    *("registration", "trade", "non_trade", "issue", "cancellation", "entitlement"),
    *("cash_in", "cash_out", "payment"),
)
"""What a rule can observe; the first six in the order of the kernel's kinds of movement, from 1."""

_FIELDS = {"id", "version", "engine", "title", "article", "observes", "params", "findings"}
_KEY = Text(MAX_KEY)

OPERATIONS: Mapping[str, Offered] = {
    "get": offered(RuleView.get, "", 30, {"key": _KEY}),
    "put": Offered(("key", "value"), RuleView.put, fuel=30),
    "holding": offered(RuleView.holding, "", 50, {"security": ID, "account": ID}),
    "security": offered(RuleView.security, "", 50, {"security": ID}),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is filed."""

    id: str
    version: int
    title: str
    article: str
    observes: frozenset[str]
    params: Mapping[str, Kind]
    findings: Mapping[str, RuleText]
    identity: bytes
    program: Program


@lru_cache(maxsize=64)
def compile_rule(raw: bytes) -> Rule:
    """Of the canonical bytes of a tree. Raises ``TemplateRefused``, or the codec's error for bytes that are no tree."""
    program = Program(decode_tree(raw), OPERATIONS)
    declared = program.constants.get("RULE")
    if not isinstance(declared, dict) or set(declared) != _FIELDS or declared["engine"] != ENGINE:
        _bad(f"the constant RULE has exactly {sorted(_FIELDS)}, and this engine is {ENGINE}")
    if program.parameters("judge") != ("ctx", "move", "params"):
        _bad("there is no function judge(ctx, move, params)")
    if not isinstance(declared["id"], str) or not is_identifier(declared["id"]) or "." not in declared["id"]:
        _bad("the id is an identifier with a prefix and a dot")
    if type(declared["version"]) is not int or not 0 < declared["version"] < 1 << 31:
        _bad("the version is a positive integer")
    if not isinstance(declared["observes"], list) or not set(map(str, declared["observes"])) <= set(OBSERVED):
        _bad(f"it observes some of {', '.join(OBSERVED)}")
    return Rule(
        declared["id"],
        declared["version"],
        _text(declared["title"], "title"),
        _text(declared["article"], "article"),
        frozenset(declared["observes"]),
        {name: kind_of(row, f"params.{name}") for name, row in _map(declared["params"], "params").items()},
        {name: _finding(row, name) for name, row in _map(declared["findings"], "findings").items()},
        sm3(raw),
        program,
    )


def _bad(detail: str) -> NoReturn:
    refuse("bad_declaration", 0, detail)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        _bad(f"{where} is a text of 1 to 128 characters")
    return value


def _map(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        _bad(f"{where} is a map")
    return value


def _finding(row: Any, name: str) -> RuleText:
    if not isinstance(row, dict) or set(row) != {"zh", "en"}:
        _bad(f"findings.{name} has a text zh and a text en")
    return RuleText(_text(row["zh"], name), _text(row["en"], name))
