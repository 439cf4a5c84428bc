"""Primaries that leave directives out, one after the other: they bind all the same (docs/spec/directives.md §6)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.values import decode_map
from chain_core.node.primary_watch import REQUEST_PATIENCE
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.transaction import Envelope, Operation
from contracts.assembly import market_documents, market_parameters
from crosschain.following import decode_position
from crosschain.packets import DIRECTIVE_CHANNEL, supervision_key
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from tests.simulation.byzantine import BorderCensor
from tests.simulation.chain import CLIENTS, START_MS, Chain, account_of, chain, private_of, public_key
from tests.simulation.ending import the_end
from tests.simulation.signatures import Tags
from tests.simulation.world import Size, World
from tests.unit.crosschain import chains as above

COURIER, OPERATOR, VICTIM = 0, 2, 3
LONGEST_MS = 1_000
PACE_MS = 300
VALID_MS = 300_000
REQUEST_MS = REQUEST_PATIENCE * LONGEST_MS
VIEW_CHANGE_MS = 2 * LONGEST_MS
"""Until q replicas have asked, and until the new primary's NEW-VIEW is entered, with a re-sending period each."""
BLOCKS = 2
"""The first block that the correct primary proposes, behind one that it may have to re-propose."""


def market(n: int) -> Chain:
    """A market's chain of the simulator's validators and clients under the tests' supervisory chain."""
    like = chain(n, order_timeout_ms=LONGEST_MS, order_timeout_max_ms=LONGEST_MS).genesis
    roles = {OPERATOR: ("operator",), VICTIM: ("operator",)}
    people = tuple(
        GenesisAccount(account_of(c), f"client {c}", roles.get(c, ()), {"transaction": (public_key(f"client {c}"),)})
        for c in range(CLIENTS)
    )
    day = START_MS // 86_400_000
    genesis = Genesis(
        "simulated-market",
        "local",
        "BJ",
        START_MS,
        like.validators,
        {**like.parameters, **market_parameters()},
        (),
        people,
        market_documents(opened=range(day - 2, day + 3)),
        encode_genesis(above.supervisory_genesis()),
    )
    assembly = local_assembly(genesis)
    return Chain(genesis, genesis_hash(encode_genesis(genesis)), Tags(private_of), assembly.executor)


def regulator(path: Path, target: Chain) -> above.Layers:
    """The supervisory chain that admitted the market: ``direct`` issues, ``update_down`` is what couriers carry."""
    made = above.Chain.begin(path, above.supervisory_genesis(), supervisory_assembly)
    document = encode_genesis(target.genesis)
    assert made.one("operator", above.registration(document)).code == 0
    assert made.one("csrc-2", above.op("chains", "approve", chain=target.genesis_hash)).code == 0
    assert made.one("csrc-1", above.op("chains", "admit", chain=target.genesis_hash)).code == 0
    return above.Layers(made, replace(made, genesis_bytes=document))


def keep_busy(world: World, nonce: int = 0) -> None:
    """The victim does business again and again."""
    if not world.promised:
        do_business(world, nonce)
        world.schedule.after(PACE_MS, lambda: keep_busy(world, nonce + 1))


def do_business(world: World, nonce: int) -> None:
    """The victim enters a security into the register."""
    call = above.security(f"S{nonce}")
    sent(world, VICTIM, nonce, replace(call, args={**call.args, "issuer": account_of(OPERATOR)}))


def sent(world: World, client: int, nonce: int, call: Operation) -> Envelope:
    """Handed in at every node, as the relayer does."""
    envelope = world.chain.transaction(client, nonce, START_MS + world.schedule.now_ms + VALID_MS, call)
    world.submitted[envelope.envelope_id] = envelope
    for node in world.nodes:
        node.submit(envelope.raw)
    return envelope


def until_it_runs(world: World, update: Envelope, faulty: int) -> int:
    """Waits for the correct primary's view, then for the update; how many blocks it took there, its own included."""
    honest = world.nodes[faulty]
    replica = honest.replica
    assert replica is not None
    bound_ms = faulty * (REQUEST_MS + VIEW_CHANGE_MS)
    begun_ms = world.schedule.now_ms
    core = replica.core
    world.until(lambda: core.state.view == faulty, bound_ms, "a view of a correct primary")
    do_business(world, 10_000)  # waits for the primary like the update
    world.until(lambda: core.state.view == faulty and not core.state.view_changing, bound_ms, "a correct primary")
    assert decode_position(honest.store.get(supervision_key())).height == 0, "the lag is in state until then"
    before = honest.store.final_height
    left_ms = bound_ms - (world.schedule.now_ms - begun_ms) + PACE_MS
    world.until(lambda: honest.store.locate(update.transaction_id) is not None, left_ms, "the update")
    assert core.state.view == faulty, "each of the censors was deposed, and nobody else"
    return honest.store.final_height - before


def ran_in_order_before_business(world: World, update: Envelope, node: int) -> None:
    """All three in the update's block, acknowledged in their order; none of the victim's business in it went on."""
    store = world.nodes[node].store
    height, _ = store.locate(update.transaction_id) or (0, 0)
    records = [decode_map(store.get(state_key("supervision", b"d" + bytes(7) + bytes((i,)))) or b"") for i in range(3)]
    assert [(row["kind"], row["height"]) for row in records] == [
        ("freeze_holder", height),
        ("rectify", height),
        ("freeze_holder", height),
    ]
    packets = [decode_packet(raw) for raw in store.outbox(height)]
    acks = [packet for packet in packets if packet.channel == DIRECTIVE_CHANNEL]
    assert [(packet.sequence, decode_map(packet.payload)["sequence"]) for packet in acks] == [(0, 0), (1, 1), (2, 2)]
    receipts = [decode_receipt(raw) for raw in store.receipts(height)]
    frozen = [receipt.rule for receipt in receipts if receipt.account == account_of(VICTIM)]
    assert frozen and set(frozen) == {"csrc.frozen_party"}
    before = [decode_receipt(raw) for at in range(1, height) for raw in store.receipts(at)]
    assert {receipt.code for receipt in before} == {0}


@pytest.mark.parametrize(("n", "faulty"), [(4, 1), (7, 2)], ids=["four", "seven, two in a row"])
def test_censored_directives_run_in_order_before_business_within_the_bound(tmp_path: Path, n: int, faulty: int) -> None:
    world = World(7, Size(n), None, byzantine={index: [BorderCensor] for index in range(faulty)}, on=market(n))
    world.begin()
    layers = regulator(tmp_path / "supervisory", world.chain)
    layers.direct("freeze_holder", "", account=account_of(VICTIM))
    layers.direct("rectify", "", account=account_of(OPERATOR))
    layers.direct("freeze_holder", "", account=account_of(CLIENTS - 1))

    keep_busy(world)  # business never stops, so that the ordering timer has nothing to say
    world.advance(2_000)
    censored_from = world.nodes[faulty].store.final_height
    update = sent(world, COURIER, 0, layers.update_down(0, 3))
    blocks = until_it_runs(world, update, faulty)
    assert blocks <= BLOCKS
    assert world.nodes[faulty].store.final_height > censored_from + 10 * faulty, "the censors made blocks meanwhile"
    ran_in_order_before_business(world, update, faulty)
    assert decode_position(world.nodes[faulty].store.get(supervision_key())).count == 3

    world.promised.add(update.envelope_id)  # ends the business
    world.until(lambda: len({node.store.final_height for node in world.nodes}) == 1, 20_000, "one height")
    the_end(world.checker)
    world.close()
    layers.close()
