"""One supervisory chain and 35 markets, registered and admitted: made once a process, copied for each seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.providers import signing_provider
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation
from contracts.codes.regions import REGIONS
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from tests.border_simulation.chain import SimChain
from tests.simulation.signatures import RealSm2, Signatures, Tags
from tests.unit.crosschain.chains import (
    START_MS,
    account,
    local_genesis,
    op,
    private_key,
    public_key,
    registration,
    supervisory_genesis,
)

NEWCOMERS = 1
_PRIVATE: dict[bytes, bytes] = {}


@dataclass
class Setting:
    """The chains as they are before anything happened between them."""

    supervisory: SimChain
    locals: dict[str, SimChain]
    """By market code."""

    def copy(self, real: bool) -> Setting:
        signatures: Signatures = RealSm2() if real else Tags(_PRIVATE.get)
        above = self.supervisory.copy(signatures)
        return Setting(above, {code: chain.copy(signatures) for code, chain in self.locals.items()})

    @property
    def now_ms(self) -> int:
        return self.supervisory.time_ms()


@cache
def setting(markets: int) -> Setting:
    """All markets of JR/T 0326, or the first ``markets`` of them."""
    signatures = RealSm2()
    above_genesis = supervisory_genesis()
    raw = encode_genesis(above_genesis)
    above = SimChain.begin(
        "supervisory",
        above_genesis,
        supervisory_assembly(above_genesis).executor(),
        _keys("supervisory", above_genesis),
        signatures,
    )
    made: dict[str, SimChain] = {}
    now_ms = START_MS
    for code, region in list(REGIONS.items())[:markets]:
        name = region.label
        genesis = local_genesis(name, code, supervisory=raw)
        executor = local_assembly(genesis).executor()
        chain = SimChain.begin(name, genesis, executor, _keys(name, genesis), signatures)
        made[code] = chain
        now_ms += 1_000
        receipts = above.block(now_ms, above.sign("operator", now_ms, registration(encode_genesis(genesis))))
        receipts += above.block(now_ms + 1, above.sign("csrc-2", now_ms, op("chains", "approve", chain=chain.hash)))
        receipts += above.block(now_ms + 2, above.sign("csrc-1", now_ms, op("chains", "admit", chain=chain.hash)))
        receipts += chain.block(now_ms, chain.sign("operator", now_ms, _grant()))
        assert {receipt.code for receipt in receipts} == {0}, receipts
    (receipt,) = above.block(now_ms, above.sign("csrc-1", now_ms, _grant()))
    assert receipt.code == 0, receipt
    return Setting(above, made)


def _grant() -> Operation:
    """Units for requests; no request shall fail for want of them."""
    return op("channel", "grant", account=account("courier"), units=100_000)


def _keys(name: str, genesis: Genesis) -> dict[bytes, bytes]:
    """Consensus keys of the document's validators, and of one who may join."""
    names = [f"{name} consensus {i}" for i in range(genesis.validators.n)] + [f"{name}-new consensus"]
    made = {signing_provider().sm2_public_key(private_key(one)): private_key(one) for one in names}
    _PRIVATE.update(made)
    return made


def newcomer(name: str) -> dict[str, object]:
    """The fields of a validator to be."""
    return {
        "name": f"{name}-new",
        "entity": f"entity of {name}-new",
        "consensus_key": public_key(f"{name}-new consensus"),
        "transport_key": public_key(f"{name}-new transport"),
        "address": "127.0.0.1:7009",
    }
