"""The examples beside each template (contracts/templates/cases): what its reviewer reads is what runs."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation
from contracts.templates.catalogue import CASES as DIRECTORY
from contracts.templates.catalogue import catalogue
from contracts.templates.contract import TEMPLATES, state_of
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

FILES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(DIRECTORY.glob("*.toml"))}
CASES = [
    pytest.param(file, case, id=f"{name}: {case['name']}") for name, file in FILES.items() for case in file["case"]
]

PEOPLE = ("seller", "buyer", "other", "stranger", "a", "b", "c", "d", "e", "f")


def test_every_template_has_examples_of_both_kinds() -> None:
    assert set(FILES) == {shipped.compiled.template.id for shipped in catalogue()}
    for name, file in FILES.items():
        assert file["template"] == name
        refused = [case for case in file["case"] if "refused" in case]
        assert refused and len(refused) < len(file["case"])


class Story:
    """One case on a fresh market."""

    def __init__(self, file: Mapping[str, Any], case: Mapping[str, Any]) -> None:
        setup = file.get("setup", {})
        cap = {} if setup else {"holder_cap": 4}
        self.market = Market.open(PEOPLE, parameters=cap)
        self.template = file["template"]
        self.params = {**file["params"], **case.get("params", {})}
        self.instance = b""
        self.reference = "case"
        self.security = self.market.listed(setup["holdings"]) if setup else self._future_security()
        if setup:
            self.market.qualified(*(name for name in PEOPLE if name not in setup["unqualified"]))
        for name, amount in setup.get("money_fen", {}).items():
            self.market.funded(name, amount)
        for line in case.get("setup", ()):
            who, _, quantity, _, whom = line.split()
            self.market.ok(who, transfer(self.security, whom, int(quantity)))

    def _future_security(self) -> bytes:
        return self.market.id_of("security", "operator", self.params["reference"])

    def call(self, who: str, method: str, words: list[str]) -> Operation:
        if method == "create":
            self.instance = self.market.id_of("instance", who, self.reference)
            return op("create", TEMPLATES, template=self.template, reference=self.reference, params=self._parameters())
        args: dict[str, Any] = {}
        if method == "add_rows":
            pairs = (word.split("=") for word in words)
            args["rows"] = [{"account": account(n), "quantity": int(q), "acquired_day": 0} for n, q in pairs]
        elif method == "remove_rows":
            args["accounts"] = [account(word) for word in words]
        return op("call", TEMPLATES, instance=self.instance, method=method, args=args)

    def _parameters(self) -> dict[str, Any]:
        params = dict(self.params)
        for name in ("buyer", "issuer"):
            if name in params:
                params[name] = account(params[name])
        if "valid_hours" in params:
            params["security"] = self.security
            params["expires_ms"] = self.market.time_ms + 1_000 + params.pop("valid_hours") * 3_600_000
        return params

    def step(self, line: str) -> str:
        """The rule or code that refused the step; empty when it was done."""
        line, _, cosigner = line.partition(" with ")
        who, what, *words = line.split()
        if who == "wait":
            self.market.time_ms += int(what) * 3_600_000
            return ""
        if who == "freeze":
            who, operation = "relayer", op("freeze_holder", "border", account=account(what), directive="D")
        else:
            operation = self.call(who, what, words)
        receipt = self.market.one(who, operation, cosigners=(cosigner,) if cosigner else ())
        return receipt.rule or ("" if receipt.code == Code.OK else Code(receipt.code).name)

    @property
    def state(self) -> str:
        return (self.market.state.get(state_key(TEMPLATES, state_of(self.instance))) or b"").decode()


@pytest.mark.parametrize(("file", "case"), CASES)
def test_case(file: Mapping[str, Any], case: Mapping[str, Any]) -> None:
    story = Story(file, case)
    *before, last = case["steps"]
    for line in before:
        assert story.step(line) == "", line
    kept = dict(story.market.state)
    assert story.step(last) == case.get("refused", "")
    if "refused" in case:
        assert story.market.state == kept
    assert story.state == case.get("state", "")
    for name, quantity in case.get("holdings", {}).items():
        assert story.market.holding(story.security, name).total == quantity, name
    for name, amount in case.get("money_fen", {}).items():
        cash = story.market.cash(name)
        assert (cash.available, cash.held) == (amount, 0), name


def test_the_days_of_the_cases() -> None:
    """ "wait 120" from Monday ends on a Saturday."""
    assert (MONDAY + 5 + 3) % 7 == 5
