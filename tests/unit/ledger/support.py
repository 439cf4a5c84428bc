"""Blocks for a ledger store: real headers, receipts and batches around made-up contents."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from chain_core.codec.block import encode_batch, encode_certificate, encode_header, header_hash
from chain_core.codec.seen import SeenEntry, encode_seen, seen_key
from chain_core.codec.transaction import encode_receipt
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root
from chain_core.ledger.store import BlockRecord, LedgerStore, Staged
from chain_core.types.block import Batch, Certificate, Header
from chain_core.types.ids import ZERO_HASH
from chain_core.types.transaction import Receipt

GENESIS = sm3(b"a genesis document")
ACCOUNT = b"an account's id."
GENESIS_STATE = {b"\x04coin" + bytes((i,)): b"%d" % (100 + i) for i in range(20)}


def open_store(path: Path, **options: int) -> LedgerStore:
    return LedgerStore.open(path, genesis_hash=GENESIS, **{"state_buckets": 16, "seen_buckets": 32, **options})


def new_store(path: Path, **options: int) -> LedgerStore:
    """A store with its genesis installed."""
    store = open_store(path, **options)
    store.install_genesis(encode_header(header(store, store.stage(GENESIS_STATE, {}, ()))), GENESIS_STATE)
    return store


def header(
    store: LedgerStore,
    staged: Staged,
    envelopes: Sequence[bytes] = (),
    receipts: Sequence[bytes] = (),
    outbox: Sequence[bytes] = (),
) -> Header:
    """The header of the next block."""
    height = store.final_height + 1
    previous = store.header(store.final_height)
    history_root, history_count = store.history_root_of(height)
    return Header(
        genesis_hash=GENESIS,
        ledger=0,
        epoch=0,
        height=height,
        attempt=0,
        time_ms=1_000 * height,
        prev_hash=ZERO_HASH if previous is None else header_hash(previous),
        history_root=history_root,
        history_count=history_count,
        transaction_root=merkle_root(envelopes),
        transaction_count=len(envelopes),
        receipt_root=merkle_root(receipts),
        receipt_count=len(receipts),
        outbox_root=merkle_root(outbox),
        outbox_count=len(outbox),
        state_root=staged.state_root,
        seen_root=staged.seen_root,
        validator_set_hash=ZERO_HASH,
        next_validator_set_hash=ZERO_HASH,
        params_hash=ZERO_HASH,
    )


def used(nonce: int, height: int, index: int = 0, valid_until_ms: int = 60_000) -> tuple[bytes, bytes]:
    """A seen key and its entry; the transaction id follows from the nonce."""
    return seen_key(0, ACCOUNT, nonce), encode_seen(SeenEntry(transaction_id(nonce), height, index, valid_until_ms))


def transaction_id(nonce: int) -> bytes:
    return sm3(b"body %d" % nonce)


def receipt(nonce: int, envelope: bytes) -> bytes:
    return encode_receipt(
        Receipt(0, sm3(envelope), transaction_id(nonce), ACCOUNT, nonce, 0, "", (), sm3(b"events %d" % nonce))
    )


def make_block(
    store: LedgerStore,
    writes: Mapping[bytes, bytes | None],
    seen_added: Mapping[bytes, bytes] | None = None,
    seen_removed: Sequence[bytes] = (),
    nonces: Sequence[int] = (),
    outbox: tuple[bytes, ...] = (),
) -> BlockRecord:
    """The next block, with one transaction for each of ``nonces``."""
    staged = store.stage(writes, seen_added or {}, seen_removed)
    height = store.final_height + 1
    envelopes = tuple(b"envelope %d of %d at height %d" % (i, nonce, height) for i, nonce in enumerate(nonces))
    receipts = tuple(receipt(nonce, raw) for nonce, raw in zip(nonces, envelopes, strict=True))
    raw = encode_header(header(store, staged, envelopes, receipts, outbox))
    return BlockRecord(
        raw,
        encode_certificate(Certificate(header_hash(raw), ((0, bytes(64)), (1, bytes(64)), (2, bytes(64))))),
        encode_batch(Batch(0, 0, height, 0, 1_000 * height, tuple(map(sm3, envelopes)))),
        envelopes,
        receipts,
        tuple(b"events of %d" % nonce for nonce in nonces),
        outbox,
        staged,
    )


COIN_KEYS = {b"\x04coin key %d" % i: b"value %d" % i for i in range(900)}


def commit_many(store: LedgerStore, blocks: int, draw: random.Random, first_nonce: int = 1) -> None:
    """Blocks that change, add and remove state and use nonces; the trees grow on the way."""
    names = list(COIN_KEYS)
    for number in range(blocks):
        height = store.final_height + 1
        writes: dict[bytes, bytes | None] = {key: draw.randbytes(12) for key in draw.sample(names, 60)}
        writes.update(dict.fromkeys(draw.sample(names, 5)))
        nonces = [first_nonce + 30 * number + i for i in range(30)]
        added = dict(used(nonce, height, i) for i, nonce in enumerate(nonces))
        store.commit_block(make_block(store, writes, added, nonces=nonces))
