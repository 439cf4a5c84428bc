"""What execution costs a transaction, without signatures, hooks, state tree and disk.

`python -m benchmarks.execution_engine`: a toy ledger moves an amount between two balances: two reads, two writes, one
event, 2,000 transactions a batch, on a state in memory. With --json, stdout is one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from struct import Struct

from chain_core.codec.seen import decode_seen, state_key
from chain_core.codec.transaction import decode_envelopes, encode_body, encode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.execution.account_records import ACTIVE, RECORD_PREFIX, AccountRecord, encode_record
from chain_core.execution.arguments import ACCOUNT, Integer
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, BlockContext, Contract, Method
from chain_core.execution.executor import Executor
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.transaction import Envelope, Operation, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value

TRANSACTIONS = 2_000
GENESIS_HASH = sm3(b"benchmark")
NOW_MS = 1_790_000_000_000
_BALANCE = Struct(">QQQ")


class Ledger(Contract):
    """Balances of (available, pledged, frozen), as the kernel packs them."""

    name = "ledger"

    def __init__(self) -> None:
        self.methods = {"transfer": Method(self.transfer, {"to": ACCOUNT, "amount": Integer(1)})}

    def transfer(self, ctx: CallContext, args: Arguments) -> None:
        """Moves ``amount`` from the caller to ``to``."""
        source, to, amount = ctx.principal, args["to"], args["amount"]
        assert isinstance(to, bytes) and isinstance(amount, int)
        available, pledged, frozen = _BALANCE.unpack(ctx.get(source) or bytes(24))
        if available < amount:
            ctx.refuse("ledger.short", available, amount)
        there = _BALANCE.unpack(ctx.get(to) or bytes(24))
        ctx.put(source, _BALANCE.pack(available - amount, pledged, frozen))
        ctx.put(to, _BALANCE.pack(there[0] + amount, there[1], there[2]))
        ctx.emit("moved", source=source, to=to, amount=amount)


class Memory:
    """Final state and seen tree as dictionaries."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.entries: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """State by full key."""
        return self.values.get(key)

    def seen(self, key: bytes) -> bytes | None:
        """Seen entry by key."""
        return self.entries.get(key)

    def seen_expired(self, before_ms: int, limit: int) -> list[bytes]:
        """Keys of windows that ended before, the first ones."""
        ends = sorted((decode_seen(raw).valid_until_ms, key) for key, raw in self.entries.items())
        return [key for until, key in ends if until < before_ms][:limit]


def account(number: int) -> bytes:
    """The id of a benchmark account."""
    return sm3(number.to_bytes(4, "big"))[:16]


def public_key(number: int) -> bytes:
    """A key's bytes: execution compares keys, it verifies nothing."""
    return sm3(b"key" + number.to_bytes(4, "big")) * 2


def genesis() -> Genesis:
    """The least document an executor starts from."""
    members = (Validator(f"v{i}", f"e{i}", bytes([i]) * 64, bytes([i + 9]) * 64) for i in range(4))
    return Genesis(
        "benchmark", "supervisory", "", NOW_MS, ValidatorSet(tuple(members)), dict(DEFAULT_PARAMETERS), (), ()
    )


def transfers(count: int, accounts: int) -> list[Envelope]:
    """One transfer by each of the first ``count`` accounts, decoded as ingress decodes them."""
    raws = []
    for number in range(count):
        args: dict[str, Value] = {"to": account((number * 7 + 1) % accounts), "amount": 3}
        body = TransactionBody(0, account(number), 1, NOW_MS + 60_000, (Operation("ledger", "transfer", args),))
        raws.append(encode_envelope(encode_body(body), (Signer(public_key(number), bytes(64)),)))
    return [envelope for envelope in decode_envelopes(raws) if isinstance(envelope, Envelope)]


def measure(rounds: int, accounts: int) -> dict[str, object]:
    """Runs the batch ``rounds`` times on the same state and reports microseconds a transaction."""
    executor, memory = Executor((Ledger(),)), Memory()
    memory.values.update(executor.genesis_writes(genesis(), GENESIS_HASH))
    for number in range(accounts):
        record = AccountRecord("E", frozenset(), ACTIVE, {"transaction": (public_key(number),)}, NO_ACCOUNT, "", 0)
        memory.values[RECORD_PREFIX + account(number)] = encode_record(record)
        memory.values[state_key("ledger", account(number))] = _BALANCE.pack(1_000_000, 0, 0)
    envelopes = transfers(TRANSACTIONS, accounts)
    block = BlockContext(GENESIS_HASH, 0, 1, 0, 0, NOW_MS + 1)
    spent = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        result = executor.execute(block, envelopes, memory, memory)
        spent.append((time.process_time() - begin) / len(envelopes) * 1e6)
        if any(result.codes):
            raise SystemExit("a transfer was refused: the benchmark measures nothing")
    return {
        "transactions": len(envelopes),
        "accounts": accounts,
        "rounds": rounds,
        "us_per_transaction_median": round(statistics.median(spent[1:]), 2),
        "us_per_transaction_best": round(min(spent[1:]), 2),
        "us_per_transaction_first_block": round(spent[0], 2),
        "provider": provider().name,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout")
    options = parser.parse_args()
    report = measure(max(1, options.rounds), max(TRANSACTIONS, options.accounts))
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        for name, value in report.items():
            sys.stdout.write(f"{name}: {value}\n")


if __name__ == "__main__":
    main()
