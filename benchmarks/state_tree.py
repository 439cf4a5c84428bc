"""What the ledger's trees and its block commit cost: python -m benchmarks.state_tree [--keys 50000,1000000] [--json].

Two parts. *tree*: microseconds a write of staging 3,000 writes on a tree that already holds --keys keys, for changes of
existing keys, for insertions, and for the seen set's steady state (as many removals as insertions). *block*:
milliseconds of staging, of logging the bodies and of the synced commit of a block of 1,000 transactions (3,000 state
writes) on a store with the first of --keys, and of opening that store. What is called cpu is this thread's CPU time, so
that a busy machine distorts it little; the rest is wall time, waiting for the disk included.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from chain_core.codec import signed
from chain_core.codec.block import encode_batch, encode_certificate, encode_header, header_hash
from chain_core.codec.proofs import bucket_digest, bucket_of
from chain_core.codec.seen import SeenEntry, encode_seen, seen_key
from chain_core.codec.transaction import encode_receipt
from chain_core.crypto.hashing import sm3, sm3_many, sm3_records
from chain_core.crypto.merkle import merkle_root
from chain_core.crypto.providers import provider
from chain_core.ledger.bucket_tree import ENTRIES_A_BUCKET, BucketTree
from chain_core.ledger.database import Database
from chain_core.ledger.keys import entry
from chain_core.ledger.levels import rows_of
from chain_core.ledger.roots import SEEN_BUCKETS, STATE_BUCKETS
from chain_core.ledger.store import BlockRecord, LedgerStore, Staged
from chain_core.ledger.vote_log import record_key
from chain_core.types.block import Batch, Certificate, Header
from chain_core.types.ids import ZERO_HASH
from chain_core.types.transaction import Receipt

WRITES = 3_000
FILL = 20_000
TRANSACTIONS = 1_000
GENESIS = sm3(b"benchmark")
Writes = Mapping[bytes, bytes | None]


def keys(count: int) -> list[bytes]:
    """``count`` keys of the size of a balance's."""
    return [b"\x06ledger" + index.to_bytes(24, "big") for index in range(count)]


def filled(directory: Path, name: str, names: list[bytes], buckets: int) -> tuple[Database, BucketTree]:
    """A tree over ``names`` in a database of its own, as it is after growing with them."""
    database = Database(directory / name)
    tree = BucketTree(database, b"s", signed.STATE_ROOT, buckets)
    count = max(buckets, -(-len(names) // ENTRIES_A_BUCKET))
    value_hash = sm3(b"filled")
    contents: list[list[bytes]] = [[] for _ in range(count)]
    for start in range(0, len(names), FILL):
        batch = database.batch()
        part = names[start : start + FILL]
        for key, key_hash in zip(part, sm3_many(part), strict=True):
            batch.put(entry(b"s", key_hash), value_hash + key)
            contents[bucket_of(key_hash, count)].append(key_hash + value_hash)
        database.write(batch)
    digests = b"".join(bucket_digest(len(items), merkle_root(sorted(items))) for items in contents)
    tree.restore(rows_of(digests), len(names))
    return database, tree


def adopt(database: Database, tree: BucketTree, writes: Writes) -> float:
    """Stages and takes over; returns the CPU seconds of staging."""
    started = time.thread_time()
    change = tree.stage(writes)
    took = time.thread_time() - started
    batch = database.batch()
    change.write(batch)
    database.write(batch)
    tree.adopt(change)
    return took


def write_sets(names: list[bytes], draw: random.Random, rounds: int) -> dict[str, Callable[[], Iterator[Writes]]]:
    """The kinds of load, each as ``rounds`` sets of WRITES writes."""

    def change() -> Iterator[Writes]:
        for _ in range(rounds):
            yield {key: draw.randbytes(16) for key in draw.sample(names, WRITES)}

    def insert() -> Iterator[Writes]:
        for _ in range(rounds):
            yield {draw.randbytes(31): draw.randbytes(16) for _ in range(WRITES)}

    def turn_over() -> Iterator[Writes]:
        leaving = iter(draw.sample(names, rounds * WRITES // 2))
        for _ in range(rounds):
            writes: dict[bytes, bytes | None] = {next(leaving): None for _ in range(WRITES // 2)}
            writes.update({draw.randbytes(31): draw.randbytes(52) for _ in range(WRITES // 2)})
            yield writes

    return {"change": change, "insert": insert, "turn_over": turn_over}


def measure_trees(directory: Path, sizes: list[int], rounds: int) -> list[dict[str, object]]:
    """One row a size, start count and kind of load: median and maximum of microseconds a write."""
    rows: list[dict[str, object]] = []
    for size in sizes:
        for name, buckets in (("state", STATE_BUCKETS), ("seen", SEEN_BUCKETS)):
            names = keys(size)
            database, tree = filled(directory, f"{size}-{name}", names, buckets)
            for load, sets in write_sets(names, random.Random(size), rounds).items():  # noqa: S311 - load, not secrets
                took = [adopt(database, tree, writes) / WRITES * 1e6 for writes in sets()]
                rows.append(
                    {
                        "tree": name,
                        "keys": size,
                        "buckets": tree.bucket_count,
                        "load": load,
                        "cpu_us_per_write": round(statistics.median(took), 2),
                        "cpu_us_per_write_max": round(max(took), 2),
                    }
                )
            database.close()
    return rows


def record(
    store: LedgerStore, staged: Staged, transactions: list[bytes], draw: random.Random, time_ms: int
) -> BlockRecord:
    """A block of TRANSACTIONS transactions with bodies of 300 and receipts of some 180 bytes."""
    height = store.final_height + 1
    previous = store.header(store.final_height)
    envelopes = tuple(draw.randbytes(300) for _ in transactions)
    receipts = tuple(
        encode_receipt(Receipt(0, raw[:32], transaction, raw[:16], 1, 0, "rule", (raw[:24],), raw[:32]))
        for transaction, raw in zip(transactions, envelopes, strict=True)
    )
    history_root, history_count = store.history_root_of(height)
    header = Header(
        genesis_hash=GENESIS,
        ledger=0,
        epoch=0,
        height=height,
        attempt=0,
        time_ms=time_ms,
        prev_hash=ZERO_HASH if previous is None else header_hash(previous),
        history_root=history_root,
        history_count=history_count,
        transaction_root=ZERO_HASH,
        transaction_count=len(transactions),
        receipt_root=ZERO_HASH,
        receipt_count=len(transactions),
        outbox_root=merkle_root(()),
        outbox_count=0,
        state_root=staged.state_root,
        seen_root=staged.seen_root,
        validator_set_hash=ZERO_HASH,
        next_validator_set_hash=ZERO_HASH,
        params_hash=ZERO_HASH,
    )
    raw_header = encode_header(header)
    certificate = Certificate(header_hash(raw_header), tuple((i, bytes(64)) for i in range(3)))
    batch = Batch(0, 0, height, 0, time_ms, tuple(raw[:32] for raw in envelopes))
    events = tuple(raw[:40] for raw in envelopes)
    return BlockRecord(
        raw_header,
        encode_certificate(certificate),
        encode_batch(batch),
        envelopes,
        receipts,
        events,
        (),
        staged,
    )


def measure_blocks(directory: Path, size: int, blocks: int) -> dict[str, object]:
    """Milliseconds of stage and commit (sync included) over ``blocks`` blocks of the issue's shape."""
    draw = random.Random(1)  # noqa: S311 - load, not secrets
    names = keys(size)
    staging: list[float] = []
    logging: list[float] = []
    committing: list[float] = []
    working: list[float] = []
    with LedgerStore.open(directory / "store", genesis_hash=GENESIS) as store:
        genesis = dict.fromkeys(names, b"filled")
        first = record(store, store.stage({**genesis}, {}, ()), [], draw, 0)
        store.install_genesis(first.header_bytes, genesis)
        for height in range(1, blocks + 1):
            writes = {key: draw.randbytes(40) for key in draw.sample(names, WRITES)}
            transactions = [draw.randbytes(32) for _ in range(TRANSACTIONS)]
            added = {
                seen_key(0, draw.randbytes(16), 1): encode_seen(SeenEntry(transaction, height, i, 60_000 + height))
                for i, transaction in enumerate(transactions)
            }
            started = time.thread_time()
            staged = store.stage(writes, added, ())
            staging.append((time.thread_time() - started) * 1e3)
            block = record(store, staged, transactions, draw, height)
            bodies = {raw[:32]: raw for raw in block.envelopes}
            started = time.perf_counter()
            store.log_write([(record_key(height, 1, 0), block.batch_bytes)], bodies)
            logging.append((time.perf_counter() - started) * 1e3)
            started, busy = time.perf_counter(), time.thread_time()
            store.commit_block(block)
            committing.append((time.perf_counter() - started) * 1e3)
            working.append((time.thread_time() - busy) * 1e3)
    started = time.perf_counter()
    LedgerStore.open(directory / "store", genesis_hash=GENESIS).close()
    opening = (time.perf_counter() - started) * 1e3
    return {
        "keys": size,
        "transactions": TRANSACTIONS,
        "state_writes": WRITES,
        "stage_cpu_ms": round(statistics.median(staging), 1),
        "log_bodies_ms": round(statistics.median(logging), 1),
        "commit_ms": round(statistics.median(committing), 1),
        "commit_cpu_ms": round(statistics.median(working), 1),
        "commit_ms_max": round(max(committing), 1),
        "open_ms": round(opening, 1),
    }


def hash_us() -> float:
    """Microseconds of one 65-byte SM3 in a large batch: what all figures rest on."""
    data = bytes(65 * 50_000)
    sm3_records(data, 65)
    started = time.thread_time()
    sm3_records(data, 65)
    return round((time.thread_time() - started) / 50_000 * 1e6, 3)


def main() -> None:
    """Measures and prints a table, or one line of JSON."""
    parser = argparse.ArgumentParser(description="Cost of the state tree and of committing a block")
    parser.add_argument("--keys", default="50000,1000000", help="sizes of the tree, separated by commas")
    parser.add_argument("--rounds", type=int, default=10, help="batches of 3,000 writes for each kind of load")
    parser.add_argument("--blocks", type=int, default=40, help="blocks of 1,000 transactions")
    parser.add_argument("--directory", default=None, help="where to write; a temporary directory otherwise")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.parse_args()
    sizes = [int(size) for size in options.keys.split(",")]
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        result: dict[str, object] = {
            "provider": provider().name,
            "sm3_65_bytes_us": hash_us(),
            "block": measure_blocks(Path(name), sizes[0], options.blocks),
        }
        rows = measure_trees(Path(name), sizes, options.rounds)
    if options.json:
        print(json.dumps({**result, "tree": rows}))
        return
    print(json.dumps(result, indent=2))
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
