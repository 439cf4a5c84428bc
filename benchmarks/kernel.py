"""What a market transaction costs in execution, with every rule and hook on: python -m benchmarks.kernel [--json].

Batches of 2,000 on a state in memory, without signatures, state tree and disk: kernel transfers between holders of a
register, transfers to buyers who join it, and the three steps of a negotiated transfer. Microseconds a transaction.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence

from benchmarks.execution_engine import GENESIS_HASH, NOW_MS, Memory, account, public_key
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import decode_envelopes, encode_body, encode_envelope
from chain_core.crypto.providers import provider
from chain_core.execution.account_records import ACTIVE, RECORD_PREFIX, AccountRecord, encode_record
from chain_core.execution.contract import BlockContext
from chain_core.execution.executor import BlockResult, Executor, StateReader
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.transaction import Envelope, Operation, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value
from contracts.assembly import market_contracts, market_documents, market_grants, market_parameters
from contracts.kernel.calendar import day_of
from contracts.kernel.invariants import check_state

BATCH = 2_000
HOLDERS, STAYING, OUTSIDERS = 180, 160, 20
"""Holders of each security; who of them trades with each other; who buys into its register from outside."""
SECURITIES = BATCH // (STAYING // 2) + 1
OPERATOR = 1_000_000
ACCOUNTS = SECURITIES * HOLDERS
OUTSIDE = 2_000_000
STEPS = ("order", "accept", "settle")


def genesis() -> Genesis:
    """A local market whose day of the benchmark is a trading day."""
    members = (Validator(f"v{i}", f"e{i}", bytes([i]) * 64, bytes([i + 9]) * 64) for i in range(4))
    parameters = {**DEFAULT_PARAMETERS, **market_parameters()}
    documents = market_documents(opened=(day_of(NOW_MS),))
    return Genesis("b", "local", "BJ", NOW_MS, ValidatorSet(tuple(members)), parameters, (), (), documents, b"x")


class Bench:
    """One chain in memory with securities, holders and money."""

    def __init__(self) -> None:
        contracts, hooks = market_contracts()
        self.executor = Executor(contracts, hooks=hooks, grants=market_grants())
        self.memory = Memory()
        self.memory.values.update(self.executor.genesis_writes(genesis(), GENESIS_HASH))
        self.nonce = 0
        self.height = 0
        roles = frozenset(("operator", "depository_bank"))
        for number in (OPERATOR, *range(ACCOUNTS), *range(OUTSIDE, OUTSIDE + OUTSIDERS * SECURITIES)):
            held = roles if number == OPERATOR else frozenset[str]()
            record = AccountRecord("E", held, ACTIVE, {"transaction": (public_key(number),)}, NO_ACCOUNT, "", 0)
            self.memory.values[RECORD_PREFIX + account(number)] = encode_record(record)

    def sign(self, number: int, *operations: Operation) -> bytes:
        """An encoded envelope of one account; execution compares keys, it verifies no signature."""
        self.nonce += 1
        body = TransactionBody(0, account(number), self.nonce, NOW_MS + 500_000, operations)
        return encode_envelope(encode_body(body), (Signer(public_key(number), bytes(64)),))

    def execute(self, raws: Sequence[bytes]) -> tuple[BlockResult, float]:
        """The next batch on the present state, and the microseconds of processor time a transaction."""
        envelopes = [envelope for envelope in decode_envelopes(raws) if isinstance(envelope, Envelope)]
        block = BlockContext(GENESIS_HASH, 0, self.height + 1, 0, 0, NOW_MS + 1 + self.height)
        state = self.state()
        begin = time.process_time()
        result = self.executor.execute(block, envelopes, state, self.memory)
        spent = (time.process_time() - begin) / len(envelopes) * 1e6
        if any(result.codes):
            raise SystemExit("a transaction was refused: the benchmark measures nothing")
        return result, spent

    def state(self) -> StateReader:
        """What a batch reads final state from."""
        return self.memory

    def commit(self, result: BlockResult) -> None:
        """Takes the batch's writes over."""
        self.height += 1
        for key, value in result.writes.items():
            if value is None:
                del self.memory.values[key]
            else:
                self.memory.values[key] = value

    def run(self, raws: Sequence[bytes]) -> None:
        """A batch that is part of the set-up."""
        self.commit(self.execute(raws)[0])

    def set_up(self) -> list[bytes]:
        """Registers all securities; every account is qualified and has money. Their ids."""
        everybody = [account(n) for n in range(ACCOUNTS)]
        everybody += [account(OUTSIDE + n) for n in range(OUTSIDERS * SECURITIES)]
        raws = []
        for start in range(0, len(everybody), 64):
            chunk = everybody[start : start + 64]
            proofs: list[Value] = [{"account": a, "category": 2, "expires_day": 40_000} for a in chunk]
            cash: list[Value] = [{"account": a, "amount_fen": 10**9, "reference": a.hex()} for a in chunk]
            suitable = Operation("kernel", "set_suitability", {"rows": proofs})
            raws.append(self.sign(OPERATOR, suitable, Operation("kernel", "deposit", {"rows": cash})))
        self.run(raws)
        numbers = (*range(ACCOUNTS), *range(OUTSIDE, OUTSIDE + OUTSIDERS * SECURITIES))
        self.run([self.sign(number, Operation("kernel", "accept_transfers", {"accept": True})) for number in numbers])
        return [self._listed(number) for number in range(SECURITIES)]

    def _listed(self, number: int) -> bytes:
        reference = f"BJ{number:06d}F.ESVUFR2401"
        security = derive_id(GENESIS_HASH, "security", account(OPERATOR), reference)
        listing: dict[str, Value] = {
            "reference": reference,
            "name": "b",
            "issuer": account(OPERATOR),
            "province": "BJ",
            "unit_decimals": 0,
            "declared": HOLDERS * 10**6,
            "legacy": False,
        }
        operations = [Operation("kernel", "register_security", listing)]
        holders = range(number * HOLDERS, (number + 1) * HOLDERS)
        for start in range(0, HOLDERS, 60):
            rows: list[Value] = [
                {"account": account(h), "quantity": 10**6, "acquired_day": 0} for h in holders[start : start + 60]
            ]
            operations.append(Operation("kernel", "register_holding", {"security": security, "rows": rows}))
        operations.append(Operation("kernel", "activate_security", {"security": security}))
        self.run([self.sign(OPERATOR, *operations)])
        return security


def pairs(count: int) -> list[tuple[int, int, int]]:
    """(security, seller, buyer) for ``count`` trades: of each register one half sells, the other buys."""
    half = STAYING // 2
    places = [(n // half, n % half) for n in range(count)]
    return [(s, s * HOLDERS + p, s * HOLDERS + half + p) for s, p in places]


def timed(bench: Bench, raws: Sequence[bytes], rounds: int) -> list[float]:
    """Microseconds a transaction of the same batch on the same state, ``rounds`` times after a first one; commits it
    once.
    """
    spent = []
    for _ in range(rounds):
        spent.append(bench.execute(raws)[1])
    bench.run(raws)
    return spent


def transfers(
    bench: Bench, securities: Sequence[bytes], rounds: int, *, joining: bool = True
) -> dict[str, list[float]]:
    """Kernel transfers between holders; and to buyers who join a register of 180."""
    inside = [bench.sign(seller, transfer(securities[s], account(buyer), 3)) for s, seller, buyer in pairs(BATCH)]
    count = OUTSIDERS * (SECURITIES - 1)
    entering = [
        bench.sign(
            (n // OUTSIDERS) * HOLDERS + n % OUTSIDERS,
            transfer(securities[n // OUTSIDERS], account(OUTSIDE + n), 3),
        )
        for n in range(count if joining else 0)
    ]
    bench.run(inside)
    again = [bench.sign(seller, transfer(securities[s], account(buyer), 3)) for s, seller, buyer in pairs(BATCH)]
    found = {"transfer": timed(bench, again, rounds)}
    if entering:
        found["transfer_joining"] = timed(bench, entering, rounds)
    return found


def transfer(security: bytes, to: bytes, quantity: int) -> Operation:
    """One kernel transfer."""
    return Operation("kernel", "transfer", {"security": security, "to": to, "quantity": quantity})


def negotiated(bench: Bench, securities: Sequence[bytes], rounds: int) -> Mapping[str, list[float]]:
    """The three steps of negotiated transfers, each a batch of its own."""
    trades = pairs(BATCH)
    orders, calls = [], []
    for number, (s, seller, buyer) in enumerate(trades):
        params: dict[str, Value] = {
            "security": securities[s],
            "quantity": 5,
            "buyer": account(buyer),
            "price_fen": 1_000,
            "expires_ms": NOW_MS + 400_000,
        }
        reference = f"order-{number}"
        args: dict[str, Value] = {"template": "csrc.negotiated-transfer", "reference": reference, "params": params}
        orders.append(bench.sign(seller, Operation("templates", "create", args)))
        calls.append((buyer, derive_id(GENESIS_HASH, "instance", account(seller), reference)))
    found = {"order": timed(bench, orders, rounds)}
    for step in STEPS[1:]:
        raws = [
            bench.sign(buyer, Operation("templates", "call", {"instance": instance, "method": step, "args": {}}))
            for buyer, instance in calls
        ]
        found[step] = timed(bench, raws, rounds)
    return found


def measure(rounds: int) -> dict[str, object]:
    """All figures, and that the invariants hold afterwards."""
    bench = Bench()
    securities = bench.set_up()
    spent = {**transfers(bench, securities, rounds), **negotiated(bench, securities, rounds)}
    counts = check_state(bench.memory.values.items())
    return {
        "us_median": {name: round(statistics.median(values), 2) for name, values in spent.items()},
        "us_best": {name: round(min(values), 2) for name, values in spent.items()},
        "batch": BATCH,
        "rounds": rounds,
        "securities": counts["securities"],
        "holdings": counts["holdings"],
        "provider": provider().name,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout")
    options = parser.parse_args()
    report = measure(max(1, options.rounds))
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        for name, value in report.items():
            sys.stdout.write(f"{name}: {value}\n")


if __name__ == "__main__":
    main()
