"""On a successor, a reference that stands for something of the predecessor makes nothing new (successor.md §3)."""

from __future__ import annotations

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.line import PREDECESSOR_KEY
from chain_core.types.transaction import Operation
from tests.unit.contracts.market import Market, account, listing, op
from tests.unit.execution.world import GENESIS_HASH

A, B = "investor-0", "investor-1"


def test_who_repeats_himself_on_the_successor_is_told_what_there_is() -> None:
    market = Market.open()
    market.qualified(A, B)
    security = market.listed({A: 100}, "S-1")
    expires = market.time_ms + 600_000
    bound = {"security": security, "quantity": 10}
    trade = {"counterparty": account(B), "price_fen": 500, "expires_ms": expires}
    terms = {"buyer": account(B), "price_fen": 500, "expires_ms": expires, **bound}
    made: dict[str, tuple[str, str, str, Operation]] = {
        "kernel.security_exists": ("operator", "security", "S-1", listing(100, "S-1")),
        "kernel.pledge_exists": (A, "pledge", "P-1", op("pledge", reference="P-1", pledgee=account(B), **bound)),
        "kernel.hold_exists": (A, "hold", "H-1", op("hold", reference="H-1", **bound, **trade)),
        "templates.exists": (
            A,
            "instance",
            "T-1",
            op("create", "templates", template="csrc.negotiated-transfer", reference="T-1", params=terms),
        ),
    }
    for who, _, _, call in list(made.values())[1:]:
        market.ok(who, call)
    before = market.holding(security, A)

    market.chain = sm3(b"the successor")
    market.state[PREDECESSOR_KEY] = encode_value({"genesis_hash": GENESIS_HASH, "earlier": []})
    for rule, (who, kind, reference, call) in made.items():
        receipt = market.one(who, call)
        assert (receipt.rule, receipt.parameters) == (rule, (0, market.id_of(kind, who, reference)))
    assert market.holding(security, A) == before
    market.ok(A, op("pledge", reference="P-2", pledgee=account(B), **bound))
