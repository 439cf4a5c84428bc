"""The whole way between the two layers, in one process: admission, reports, a freeze that binds, its answer, end."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.packets import client_key, supervision_key
from supervisory_chain.directives import overdue, record_key
from tests.unit.crosschain.chains import Layers, account, op, registration, security
from tests.unit.crosschain.couriers import Courier


def record(layers: Layers, sequence: int) -> dict[str, Value]:
    return cast(dict[str, Value], layers.supervisory.value(record_key(layers.local.hash, sequence)))


def give(layers: Layers, to: str) -> Receipt:
    """The holder gives ten shares away; as a gift it is not a trade, yet no frozen party's shares move."""
    share = derive_id(layers.local.hash, "security", account("operator"), "S1")
    args: dict[str, Value] = {
        "security": share,
        "from": account("holder"),
        "to": account(to),
        "quantity": 10,
        "reason": "gift",
        "evidence": bytes(32),
    }
    return layers.local.one("operator", Operation("kernel", "transfer_non_trade", args))


def test_a_holder_is_frozen_and_freed_again(tmp_path: Path) -> None:
    layers = Layers.begin(tmp_path)
    supervisory, local = layers.supervisory, layers.local
    courier = Courier(layers)

    # The market registers; two different people have to want it.
    assert supervisory.one("operator", registration(local.genesis_bytes)).code == Code.OK
    assert supervisory.one("csrc-2", op("chains", "approve", chain=local.hash)).code == Code.OK
    assert supervisory.one("csrc-1", op("chains", "admit", chain=local.hash)).code == Code.OK

    # A security with one holder; what happened is reported and proven upward.
    share = derive_id(local.hash, "security", account("operator"), "S1")
    rows: Value = [{"account": account("holder"), "quantity": 100, "acquired_day": 0}]
    operations = (security("S1"), op("kernel", "register_holding", security=share, rows=rows))
    assert local.one("operator", *operations, op("kernel", "activate_security", security=share)).code == Code.OK
    assert give(layers, "issuer").code == Code.OK
    courier.up()
    tally = cast(dict[str, Value], supervisory.value(state_key("inbox", b"r" + local.hash)))
    assert (tally["reports"], tally["transactions"], tally["refusals"]) == (2, 2, 0)

    # The regulator freezes the holder; from the block that carries the directive on, his shares stay.
    frozen = layers.direct("freeze_holder", "holder", deadline_ms=600_000)
    assert record(layers, frozen)["status"] == "issued"
    assert give(layers, "issuer").code == Code.OK, "the directive is on its way"
    courier.down()
    refused = give(layers, "issuer")
    assert (refused.code, refused.rule) == (Code.REFUSED_BY_RULE, "csrc.frozen_party")

    # The answer comes back proven, with the report of the refusal.
    courier.up()
    found = record(layers, frozen)
    ack = cast(dict[str, Value], found["ack"])
    assert (found["status"], ack["code"], ack["on_time"]) == ("executed", 0, True)
    tally = cast(dict[str, Value], supervisory.value(state_key("inbox", b"r" + local.hash)))
    assert (tally["reports"], tally["transactions"], tally["refusals"]) == (4, 4, 1)

    # Freed again, by a directive that names what it ends.
    layers.direct("unfreeze_holder", "holder", lifts=frozen, deadline_ms=600_000)
    courier.down()
    assert give(layers, "buyer").code == Code.OK
    courier.up()

    # Each chain has followed the other, and nothing is open.
    assert overdue(supervisory.store.get, local.hash, supervisory.time_ms + 10**9) == []
    assert decode_position(local.store.get(supervision_key())).count == 2
    assert decode_position(supervisory.store.get(client_key(local.hash))).height == local.height
    layers.close()
