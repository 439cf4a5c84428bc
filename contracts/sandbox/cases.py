"""A template's examples, accepted and refused, run on a market in memory (docs/spec/template-cases.md).

A case file is TOML. Values are given as people say them, and become what the declared kind asks for: names become
accounts, words become securities, holds, instances, "+24h" a time, "+30d" a day, any text a hash.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import AccountId, Integer, Kind, ListOf, Octets, Optional, Record
from chain_core.execution.codes import Code
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from contracts.kernel.records import CASH, HOLDING, KERNEL, SECURITY, decode_cash, decode_holding, decode_security
from contracts.sandbox.market import DAY_MS, MONDAY, Market, account_of
from contracts.templates.catalogue import catalogue
from contracts.templates.compiled import Compiled
from contracts.templates.contract import TEMPLATES, state_of
from contracts.templates.interface import Template

_FILE = {"template", "people", "parameters", "setup", "params", "case"}
_CASE = {
    "name",
    "params",
    "parameters",
    "setup",
    "steps",
    "refused",
    "state",
    "holdings",
    "cash",
    "securities",
    "events",
}
_HOURS, _DAYS = 3_600_000, DAY_MS
PROOF_DAYS = 300


class CaseWrong(Exception):
    """A case file that cannot be run, or a case that went otherwise than it says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: ``wrong`` is empty when it went as it says."""

    template: str
    name: str
    refused: str
    wrong: str = ""


@dataclass(slots=True)
class Story:
    """One case on a fresh market. ``names`` are ids by the words that stand for them."""

    market: Market
    template: Template
    params: Mapping[str, Any]
    names: dict[str, bytes] = field(default_factory=dict)

    # ---- values

    def value(self, kind: Kind, given: Any, where: str) -> Value:
        """What a person's words mean where a value of ``kind`` stands."""
        if isinstance(kind, Optional):
            return self.value(kind.kind, given, where)
        if isinstance(kind, ListOf) and isinstance(given, str):
            given = [_row(kind.item, word) for word in given.split(",")]
        if isinstance(kind, ListOf) and isinstance(given, list):
            return [self.value(kind.item, item, where) for item in given]
        if isinstance(kind, Record) and isinstance(given, dict):
            return {
                name: self.value(kind.fields[name], item, where) for name, item in given.items() if name in kind.fields
            }
        if isinstance(given, str):
            if isinstance(kind, AccountId):
                return account_of(given)
            if isinstance(kind, Octets) and kind.low == ACCOUNT_ID_SIZE:
                return self.names.get(given, account_of(given)) if given else bytes(ACCOUNT_ID_SIZE)
            if isinstance(kind, Octets):
                return sm3(given.encode())
            if isinstance(kind, Integer):
                return self._moment(given, where)
        return given  # type: ignore[no-any-return]

    def _moment(self, words: str, where: str) -> int:
        unit, number = words[-1:], words[:-1]
        if number.lstrip("+-").isdigit():
            if unit == "h":
                return self.market.time_ms + 1_000 + int(number) * _HOURS
            if unit == "d":
                return MONDAY + int(number)
        raise CaseWrong(f"{where}: {words!r} is no number, no time like '+24h', no day like '+30d'")

    def _arguments(self, kinds: Mapping[str, Kind], given: Mapping[str, Any], where: str) -> dict[str, Value]:
        # What the kinds do not know is passed as it stands: that it is refused may be the point.
        return {
            name: self.value(kinds[name], item, f"{where}.{name}") if name in kinds else item
            for name, item in given.items()
        }

    # ---- steps

    def step(self, step: Any) -> str:
        """Does one step. The rule or code that refused it; empty when it was done."""
        if isinstance(step, str):
            step = _parsed(step)
        if "wait_hours" in step:
            self.market.time_ms += int(step["wait_hours"]) * _HOURS
            return ""
        if "day" in step:
            self.market.time_ms = (MONDAY + int(step["day"])) * DAY_MS + 4 * _HOURS - 1_000
            return ""
        receipt = self._done(step)
        return receipt.rule or ("" if receipt.code == Code.OK else Code(receipt.code).name)

    def _done(self, step: Mapping[str, Any]) -> Receipt:
        who, what, given = step["who"], step["do"], step.get("args", {})
        contract, dot, method = what.partition(".")
        cosigners = [step["with"]] if isinstance(step.get("with"), str) else step.get("with", [])
        if dot:
            kinds = self.market.arguments_of(contract, method)
            operation = Operation(contract, method, self._arguments(kinds, given, what))
        else:
            operation = self._of_instance(who, what, given, step)
        receipt = self.market.one(who, [operation], cosigners)
        if receipt.code == Code.OK:
            self._name_what_came("" if what == "create" else step.get("as", ""))  # its word is the instance's
        return receipt

    def _of_instance(self, who: str, what: str, given: Mapping[str, Any], step: Mapping[str, Any]) -> Operation:
        if what == "create":
            reference = step.get("reference", "case")
            kinds = {name: parameter.kind for name, parameter in self.template.params.items()}
            params = self._arguments(kinds, {**self.params, **given}, "params")
            self.names[step.get("as", "instance")] = self.market.id_of("instance", who, reference)
            args: dict[str, Value] = {"template": self.template.id, "reference": reference, "params": params}
            return Operation(TEMPLATES, "create", args)
        instance = self.names.get(step.get("instance", "instance"), bytes(ACCOUNT_ID_SIZE))
        known = self.template.methods.get(what)
        args = self._arguments(known.args if known else {}, given, what)
        return Operation(TEMPLATES, "call", {"instance": instance, "method": what, "args": args})

    def _name_what_came(self, word: str) -> None:
        """Ids that a step made, by their kind, and by the step's own word."""
        for _, name, fields in self.market.events:
            for kind in ("security", "hold", "pledge", "order", "resolution", "action"):
                made = fields.get(kind)
                if isinstance(made, bytes) and name in _MAKES.get(kind, ()):
                    self.names[kind] = made
                    if word:
                        self.names[word] = made

    # ---- what was expected

    def check(self, case: Mapping[str, Any]) -> str:
        """What is otherwise than the case says; empty when nothing is."""
        raw = self.market.get(state_key(TEMPLATES, state_of(self.names.get("instance", b""))))
        state = (raw or b"").decode()
        if state != case.get("state", state):
            return f"the instance is {state or 'not there'}, not {case['state']}"
        for place, wanted in case.get("holdings", {}).items():
            wrong = self._check_holding(place, wanted)
            if wrong:
                return wrong
        for name, wanted in case.get("cash", {}).items():
            cash = decode_cash(self._kernel(CASH + account_of(name)))
            found = [cash.available, cash.held]
            if found != (wanted if isinstance(wanted, list) else [wanted, 0]):
                return f"{name} has {cash.available} fen and {cash.held} held, not {wanted}"
        for name, wanted in case.get("securities", {}).items():
            record = decode_security(self._kernel(SECURITY + self.names.get(name, b"")) or b"")
            found_fields = {key: getattr(record, key) for key in wanted}
            if found_fields != wanted:
                return f"security {name} is {found_fields}, not {wanted}"
        told = [name for _, name, _ in self.market.events]
        missing = [name for name in case.get("events", []) if name not in told]
        return f"the last step told of {told}, not of {missing}" if missing else ""

    def _check_holding(self, place: str, wanted: Any) -> str:
        """``who``, or ``who of security``: a whole holding, or a table of its parts."""
        who, _, which = place.partition(" of ")
        raw = self._kernel(HOLDING + self.names.get(which or "security", b"") + account_of(who))
        parts = {"available": 0, "pledged": 0, "frozen": 0}
        if raw is not None:
            holding = decode_holding(raw)
            parts = {name: getattr(holding, name) for name in parts}
        if isinstance(wanted, int):
            return "" if sum(parts.values()) == wanted else f"{place} holds {parts}, not {wanted}"
        found = {name: parts.get(name) for name in wanted}
        return "" if found == wanted else f"{place} holds {parts}, not {wanted}"

    def _kernel(self, key: bytes) -> bytes | None:
        return self.market.get(state_key(KERNEL, key))


def _row(kind: Kind, word: str) -> Any:
    """An item of a list written in a line: "account:quantity" for a record of these, the word itself for others."""
    if not isinstance(kind, Record):
        return word
    name, _, quantity = word.partition(":")
    row = {"account": name, "quantity": int(quantity), "acquired_day": 0}
    return {field: value for field, value in row.items() if field in kind.fields}


_MAKES: Mapping[str, Sequence[str]] = {
    "security": ("security_registered",),
    "hold": ("held",),
    "pledge": ("pledged",),
    "order": ("order_placed",),
    "resolution": ("resolved",),
    "action": ("action_announced",),
}


def _parsed(line: str) -> dict[str, Any]:
    """ "<who> <what> [<name>=<value> ...] [with <cosigner> ...]", "wait <hours>", "day <days from the beginning>"."""
    words, _, cosigners = line.partition(" with ")
    who, what, *rest = words.split()
    if who == "wait":
        return {"wait_hours": int(what)}
    if who == "day":
        return {"day": int(what)}
    args: dict[str, Any] = {}
    for word in rest:
        name, _, value = word.partition("=")
        whole = value.isdigit() or value in ("true", "false")
        args[name] = {"true": True, "false": False}.get(value, int(value) if whole and value.isdigit() else value)
    return {"who": who, "do": what, "args": args, "with": cosigners.split()}


def read_cases(raw: bytes) -> dict[str, Any]:
    """A case file. Raises ``CaseWrong`` for one that is none."""
    try:
        found = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CaseWrong(f"the case file is no TOML: {error}") from error
    unknown = set(found) - _FILE
    if unknown or not isinstance(found.get("template"), str) or not isinstance(found.get("case"), list):
        raise CaseWrong(f"a case file has template and [[case]]; unknown here: {sorted(unknown)}")
    for case in found["case"]:
        if not {"name", "steps"} <= set(case) <= _CASE or not case["steps"]:
            raise CaseWrong(f"case {case.get('name')!r}: name and steps, and of {sorted(_CASE)}")
    return found


def run_cases(file: Mapping[str, Any], compiled: Compiled, tree: bytes) -> list[Outcome]:
    """Every case on a market of its own. ``tree`` is the template's, which need not be in this build."""
    return [_run(file, case, compiled, tree) for case in file["case"]]


def begin(file: Mapping[str, Any], case: Mapping[str, Any], compiled: Compiled, tree: bytes) -> Story:
    """The market of a case after its setup. Raises ``CaseWrong`` when a step of the setup is refused."""
    people = [*file.get("people", []), *(["issuer"] if "issuer" not in file.get("people", []) else [])]
    parameters = {**file.get("parameters", {}), **case.get("parameters", {})}
    shipped = any(one.tree == tree for one in catalogue())
    market = Market(
        people, parameters=parameters, templates=() if shipped else (compiled,), trees=() if shipped else (tree,)
    )
    story = Story(market, compiled.template, {**file.get("params", {}), **case.get("params", {})})
    setup = file.get("setup", {})
    _prepare(story, setup, people)
    for line in [*setup.get("steps", []), *case.get("setup", [])]:
        refused = story.step(line)
        if refused:
            raise CaseWrong(f"setup {line!r} was refused: {refused}")
    return story


def _prepare(story: Story, setup: Mapping[str, Any], people: Sequence[str]) -> None:
    """Proofs for all but the unqualified, a listed security with its holders, money."""
    unqualified = setup.get("unqualified", [])
    rows = [
        {"account": name, "category": 2, "expires_day": f"+{PROOF_DAYS}d"} for name in people if name not in unqualified
    ]
    steps: list[dict[str, Any]] = [{"who": "operator", "do": "kernel.set_suitability", "args": {"rows": rows}}]
    holdings = setup.get("holdings", {})
    if holdings:
        steps += listed("BJ000001F.ESVUFR2401", holdings, setup.get("instrument", 1))
    for name, amount in setup.get("cash", {}).items():
        row = {"account": name, "amount_fen": amount, "reference": f"in-{name}"}
        steps.append({"who": "bank", "do": "kernel.deposit", "args": {"rows": [row]}})
    for step in steps:
        refused = story.step(step)
        if refused:
            raise CaseWrong(f"the setup's {step['do']} was refused: {refused}")


def listed(reference: str, holdings: Mapping[str, int], instrument: int) -> list[dict[str, Any]]:
    """The steps that bring a security with these holders to life."""
    listing = {
        "reference": reference,
        "name": "示例股份",
        "issuer": "issuer",
        "province": "BJ",
        "unit_decimals": 0,
        "declared": sum(holdings.values()),
        "legacy": False,
        "instrument": instrument,
    }
    rows = [{"account": name, "quantity": quantity, "acquired_day": 0} for name, quantity in holdings.items()]
    return [
        {"who": "operator", "do": "kernel.register_security", "args": listing},
        {"who": "operator", "do": "kernel.register_holding", "args": {"security": "security", "rows": rows}},
        {"who": "operator", "do": "kernel.activate_security", "args": {"security": "security"}},
    ]


def _run(file: Mapping[str, Any], case: Mapping[str, Any], compiled: Compiled, tree: bytes) -> Outcome:
    name, wanted = str(case["name"]), case.get("refused", "")
    try:
        story = begin(file, case, compiled, tree)
        *before, last = case["steps"]
        for line in before:
            refused = story.step(line)
            if refused:
                return Outcome(file["template"], name, wanted, f"step {line!r} was refused: {refused}")
        kept = dict(story.market.state)
        refused = story.step(last)
        if refused != wanted:
            said = f"refused by {refused}" if refused else "accepted"
            return Outcome(file["template"], name, wanted, f"the last step was {said}, not {wanted or 'accepted'}")
        if wanted and story.market.state != kept:
            return Outcome(file["template"], name, wanted, "the refused step changed the state")
        return Outcome(file["template"], name, wanted, story.check(case))
    except CaseWrong as wrong:
        return Outcome(file["template"], name, wanted, str(wrong))
