"""Child processes of test_durability.py: a ledger that commits blocks, each of them a function of its height."""

import json
import resource
import sys
from pathlib import Path

from chain_core.ledger.errors import LedgerFault
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key
from tests.unit.ledger.support import ACCOUNT, make_block, new_store, open_store, used

PER_BLOCK = 40


def writes_of(height: int) -> dict[bytes, bytes | None]:
    """The state writes of the block at ``height``: new keys, changed keys, removed keys."""
    fresh = {b"key %d/%d" % (height, i): b"v" * 20 for i in range(PER_BLOCK)}
    older = {b"key %d/%d" % (height - 1, i): None if i % 3 else b"changed" for i in range(0, PER_BLOCK, 2)}
    return {**fresh, **(older if height > 1 else {})}


def commit_next(store: LedgerStore) -> None:
    """One block with all its writes: three to the log, one to commit."""
    height = store.final_height + 1
    store.log_write([(record_key(height, 1, 0), b"pre-prepare")], {ACCOUNT * 2: b"body" * 100})
    store.log_write([(record_key(height, 2, 0), b"prepared")])
    store.log_write([(record_key(height, 3, 0), b"header vote")])
    nonces = range(height * 10, height * 10 + 5)
    added = dict(used(nonce, height, i, 1_000 * height) for i, nonce in enumerate(nonces))
    store.commit_block(
        make_block(store, writes_of(height), added, store.seen_expired(1_000 * (height - 2)), list(nonces))
    )


def commit_for_ever(path: Path) -> None:
    """Prints each height when it is durable, until it is killed."""
    store = new_store(path)
    while True:
        commit_next(store)
        print(store.final_height, flush=True)


def commit_until_full(path: Path) -> None:
    """Commits until a file may not grow any more, then prints what the store says and still knows."""
    store = new_store(path)
    for _ in range(5):
        commit_next(store)
    size = next(path.glob("*.log")).stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, hard))
    refusals: list[tuple[str, str]] = []
    roots: list[bytes] = []
    while len(refusals) < 3:
        before = store.stage({}, {}, ())
        height, log = store.final_height, store.log_read()
        try:
            commit_next(store)
        except LedgerFault as refused:
            refusals.append((refused.code, refused.next_step))
            roots = [before.state_root, before.seen_root]
            # The write that failed may be the commit or one of the log's three before it.
            assert store.final_height == height and len(store.log_read()) - len(log) <= 3
    after = store.stage({}, {}, ())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    report = {
        "refusals": refusals,
        "height": store.final_height,
        "unchanged": roots == [after.state_root, after.seen_root],
    }
    store.close()
    store = open_store(path)
    report["height_reopened"] = store.final_height
    commit_next(store)
    report["height_after"] = store.final_height
    print(json.dumps(report))


if __name__ == "__main__":
    {"for-ever": commit_for_ever, "until-full": commit_until_full}[sys.argv[1]](Path(sys.argv[2]))
