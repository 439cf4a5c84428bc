"""Article 8: business runs in contracts made from templates on file."""

import pytest

from chain_core.codec.signed import derive_id
from contracts.templates.contract import state_of
from contracts.templates.filings import record_key
from contracts.templates.halts import TEMPLATES
from tests.guideline.house import House, of
from tests.unit.crosschain.chains import account

PLEDGE = of(TEMPLATES, record_key("csrc.pledge", 1))


def test_a_template_and_the_newest_contract_are_shown(house: House) -> None:
    assert any(one.place.transaction for one in house.holds(8).evidence)


def test_a_common_template_that_was_changed_is_seen(house: House) -> None:
    house.bj.forge(PLEDGE, tree_sm3=bytes(32))
    house.fails(8, "BJ's common template csrc.pledge is not the one released")


def test_an_own_template_that_nobody_approved_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualchain.guideline.article_08.catalogue", lambda: ())
    house.bj.forge(PLEDGE, filer=account("operator"), approver=bytes(16))
    house.fails(8, "own template csrc.pledge was not approved by another")


def test_a_contract_without_a_state_is_seen(house: House) -> None:
    instance = derive_id(house.market, "instance", account("operator"), "S1")
    house.bj.put(of(TEMPLATES, state_of(instance)), None)
    house.fails(8, "S1 has no state")
