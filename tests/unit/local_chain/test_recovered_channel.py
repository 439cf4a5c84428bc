"""Requests and answers after a fork of the supervisory chain: none under a header of the branch given up counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import decode_packet, encode_inclusion
from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.packets import branch_key, chosen_key, supervision_key
from crosschain.relayer import services
from tests.unit.crosschain.chains import Layers, account, op
from tests.unit.crosschain.couriers import sides
from tests.unit.local_chain.branches import branched, follow_a_and_stop, go_on


def asked(layers: Layers, number: int) -> int:
    """The branch asks the market; the height."""
    above = layers.supervisory
    assert above.one("csrc-1", op("channel", "grant", account=account("desk"), units=9)).code == Code.OK
    row: dict[str, Value] = {"service": "roll_head", "arguments": {"security": bytes([number]) * 16}}
    late = above.time_ms + 600_000
    assert above.one("desk", op("channel", "request", chain=layers.local.hash, timeout_ms=late, **row)).code == Code.OK
    return above.height


def delivery(layers: Layers, height: int) -> Operation:
    above = layers.supervisory
    rows = [row for row in above.packets(height) if decode_packet(cast(bytes, row["packet"])).channel == "service"]
    args: dict[str, Value] = {"height": height, "packets": list[Value](rows), **above.row(height)}
    return Operation("channel", "deliver", args)


def history(layers: Layers, height: int, under: int) -> bytes:
    return encode_inclusion(layers.supervisory.store.history.prove_header(height, under))


def test_the_branch_given_up_delivers_nothing(tmp_path: Path) -> None:
    with branched(tmp_path) as made:
        on_a, on_b = asked(made.a, 1), asked(made.b, 2)
        made.a.direct("freeze_holder", "buyer")
        made.b.direct("freeze_holder", "issuer")
        follow_a_and_stop(made, 0, 1)
        given_up, chosen = delivery(made.a, on_a), delivery(made.b, on_b)
        assert made.market.one("courier", given_up).rule == "header.frozen"
        top = made.b.supervisory.height
        go_on(made, made.b, top)

        def brought(operation: Operation, proof: bytes | None = None) -> str:
            args = operation.args if proof is None else {**operation.args, "history": proof}
            receipt = made.market.try_one("courier", replace(operation, args=args))
            return receipt.rule or str(receipt.code)

        assert brought(given_up) == "supervision.given_up"
        assert brought(given_up, history(made.a, on_a, top)) == "supervision.given_up"
        assert made.update(made.b, 0, 1).code == Code.OK
        assert brought(given_up) == "supervision.given_up", "nor once the branch is followed"
        assert brought(chosen) == "supervision.given_up", "without a proof"
        header = cast(bytes, chosen.args["header"])
        below = sides(made.b)[1]
        branch = made.market.store.get(branch_key())
        assert branch is not None and decode_header(branch).height == top
        assert made.market.store.get(chosen_key()) is None and made.market.store.get(supervision_key()) is not None
        assert services.history_needed(below, branch, False, header) == (on_b, decode_header(branch).history_count)
        assert services.history_needed(below, branch, False, branch) is None
        assert brought(chosen, history(made.b, on_b, top)) == str(Code.OK.value)


def test_before_a_header_of_the_branch_is_stored_higher_ones_are_proven_too(tmp_path: Path) -> None:
    with branched(tmp_path) as made:
        made.a.direct("freeze_holder", "buyer")
        made.b.direct("freeze_holder", "issuer")
        follow_a_and_stop(made, 0, 1)
        top = made.b.supervisory.height
        go_on(made, made.b, top)
        given_up, chosen = (delivery(layers, asked(layers, 1)) for layers in (made.a, made.b))
        higher = made.b.supervisory.height
        proof = history(made.b, top, higher)
        for operation, args in (
            (given_up, {}),
            (given_up, {"history": history(made.a, top, made.a.supervisory.height)}),
            (given_up, {"history": proof}),
            (chosen, {}),
            (chosen, {"history": history(made.b, top - 1, higher)}),
        ):
            receipt = made.market.try_one("courier", replace(operation, args={**operation.args, **args}))
            assert receipt.rule == "supervision.given_up"
        below, branch = sides(made.b)[1], made.market.store.get(branch_key()) or b""
        header = cast(bytes, chosen.args["header"])
        needed = services.history_needed(below, branch, True, header)
        assert needed == (top, decode_header(header).history_count)
        args = {**chosen.args, "history": proof}
        assert made.market.try_one("courier", replace(chosen, args=args)).code == Code.OK
