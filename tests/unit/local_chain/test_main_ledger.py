"""A sub-ledger follows ledger 0 by certified headers and proven values, and by nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.execution.epochs import NOTICE
from chain_core.execution.sub_ledgers import sub_ledgers
from chain_core.node.ledger_files import open_sub_ledger
from chain_core.types.transaction import Operation, Receipt
from local_chain.assembly import local_assembly
from local_chain.main_ledger import VALUES
from tests.unit.crosschain.chains import Chain, local_genesis, op
from tests.unit.crosschain.changing import closing_row, newcomer, propose


def decided(chain: Chain, kind: str, **content: Any) -> None:
    """Proposed, approved and in force."""
    args = {"kind": kind, "content": content, "effective_height": 0}
    assert chain.one("governor-1", Operation("governance", "propose", args)).code == Code.OK
    number = chain.value(state_key("governance", b"last"))
    assert chain.one("governor-2", op("governance", "approve", proposal=number)).code == Code.OK
    for _ in range(chain.executor.parameters(chain.store)["governance_delay"]):
        chain.block(after_ms=10)


@pytest.fixture
def main(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain.begin(tmp_path / "main", local_genesis(), local_assembly)
    yield chain
    chain.store.close()


@pytest.fixture
def below(main: Chain, tmp_path: Path) -> Iterator[Chain]:
    """Ledger 1, which begins when ledger 0 decides it."""
    decided(main, "ledger", name="bonds")
    (named,) = sub_ledgers(main.store)
    assembly = local_assembly(main.genesis)
    store = open_sub_ledger(tmp_path, assembly, main.genesis, main.hash, main.store, named)
    yield Chain(main.genesis_bytes, assembly.of_ledger(1).executor(), store, main.keys, main.time_ms + 1_000_000)
    store.close()


def brought(main: Chain, **changes: Any) -> Operation:
    """``follow`` with the latest header of ledger 0."""
    proven = {name: main.prove(key) for name, key in VALUES.items()}
    values = {name: {"value": item.value or b"", "proof": item.proof} for name, item in proven.items()}
    last = closing_row(main, main.height)
    if main.executor.epoch_at(main.store, main.height) == main.executor.epoch_at(main.store, main.height + 1):
        del last["next_set"]
    return op("main-ledger", "follow", **last, values=values | changes)


def block_size(chain: Chain) -> int:
    return chain.executor.parameters(chain.store)["max_block_transactions"]


def names(chain: Chain, height: int) -> list[str]:
    return [v.name for v in chain.executor.epoch_at(chain.store, height).validators.validators]


def rule(receipt: Receipt) -> str:
    assert receipt.code == Code.REFUSED_BY_RULE, receipt
    return receipt.rule


def test_parameters_hold_from_the_next_block_on(main: Chain, below: Chain) -> None:
    decided(main, "parameters", set={"max_block_transactions": 500})

    assert block_size(below) == 2_000
    assert below.one("courier", brought(main)).code == Code.OK
    assert block_size(below) == 500
    assert ("main-ledger", "followed") in below.events()


def test_newer_validators_are_scheduled_under_an_epoch_of_this_ledger(main: Chain, below: Chain) -> None:
    propose(main, "add_validator", **newcomer(main, "fifth"))
    assert below.one("courier", brought(main)).code == Code.OK
    barrier = below.height + NOTICE

    assert names(below, barrier - 1) == names(main, 1) and len(names(below, barrier)) == 5
    while below.height < barrier:
        below.block(after_ms=10)
    epoch = below.executor.epoch_at(below.store, barrier)
    assert (epoch.epoch, epoch.start, epoch.addresses) == (1, barrier, {"fifth": "127.0.0.1:7009"})


def test_epochs_of_ledger_0_are_walked_one_by_one_and_the_newest_counts_here(main: Chain, below: Chain) -> None:
    first = propose(main, "add_validator", **newcomer(main, "fifth"))
    main.block()
    second = propose(main, "add_validator", **newcomer(main, "sixth"))
    main.block()

    assert rule(below.try_one("courier", brought(main))) == "header.epoch"
    rows = [closing_row(main, barrier - 1) for barrier in (first, second)]
    steps = [Operation("main-ledger", "follow_epoch", row) for row in rows]
    assert rule(below.try_one("courier", steps[1])) == "header.epoch", "none is left out"
    assert below.one("courier", *steps, brought(main)).code == Code.OK

    assert names(below, below.height + NOTICE)[-2:] == ["fifth", "sixth"]
    assert below.executor.epoch_at(below.store, below.height + NOTICE).epoch == 1


def test_what_comes_while_a_change_is_scheduled_waits_for_the_next_call(main: Chain, below: Chain) -> None:
    propose(main, "add_validator", **newcomer(main, "fifth"))
    assert below.one("courier", brought(main)).code == Code.OK
    barrier = below.height + NOTICE
    main.block()
    propose(main, "add_validator", **newcomer(main, "sixth"))

    assert below.one("courier", brought(main)).code == Code.OK
    assert len(names(below, barrier)) == 5
    while below.height < barrier:
        below.block(after_ms=10)
    assert below.executor.barrier(below.store) is None
    main.block()
    assert below.one("courier", brought(main)).code == Code.OK
    assert len(names(below, below.height + NOTICE)) == 6


def test_a_change_that_was_taken_back_meanwhile_makes_no_epoch(main: Chain, below: Chain) -> None:
    """Two sets with one hash: no header could say that an epoch ends."""
    rows = []
    for change in (("add_validator", newcomer(main, "fifth")), ("remove_validator", {"name": "fifth"})):
        barrier = propose(main, change[0], **change[1])
        main.block()
        rows.append(closing_row(main, barrier - 1))
    steps = [Operation("main-ledger", "follow_epoch", row) for row in rows]

    assert below.one("courier", *steps, brought(main)).code == Code.OK

    assert below.executor.barrier(below.store) is None
    main.block()
    assert below.one("courier", brought(main)).code == Code.OK


def test_an_older_header_is_refused(main: Chain, below: Chain) -> None:
    older = brought(main)
    assert rule(below.one("courier", older)) == "header.height", "it sprang from this one"
    main.block()
    later = brought(main)
    assert below.one("courier", later).code == Code.OK
    assert rule(below.one("courier", later)) == "header.height"


def test_what_is_not_proven_changes_nothing(main: Chain, below: Chain) -> None:
    main.block()
    forged = {"value": main.store.get(VALUES["flags"]), "proof": main.prove(VALUES["parameters"]).proof}
    assert rule(below.one("courier", brought(main, parameters=forged))) == "main-ledger.proof"
    hidden = {"value": b"", "proof": main.prove(VALUES["validators"]).proof}
    assert rule(below.one("courier", brought(main, validators=hidden))) == "main-ledger.proof"

    header, certificate = below.certified(below.height)
    args = dict(brought(main).args)
    own = args | {"header": header, "certificate": certificate}
    assert rule(below.one("courier", Operation("main-ledger", "follow", own))) == "header.ledger"
    good = args["certificate"]
    assert isinstance(good, bytes)
    bad = args | {"certificate": good[:-1] + bytes((good[-1] ^ 1,))}
    assert rule(below.one("courier", Operation("main-ledger", "follow", bad))) == "header.signatures"
    assert block_size(below) == 2_000 and below.executor.barrier(below.store) is None


def test_ledger_0_has_no_such_contract(main: Chain) -> None:
    assert main.one("courier", op("main-ledger", "follow")).code == Code.UNKNOWN_CONTRACT
