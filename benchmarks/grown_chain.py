"""Blocks of a chain made without its nodes: executed, certified by the validators' own keys, committed.

Every block is what consensus would have made of it, so that a node that gets the ledger serves it as its own; only
the votes were never sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chain_core.codec.block import decode_header, encode_certificate, header_hash, header_message
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.ledger_files import open_ledger
from chain_core.node.provision import NodePlan
from chain_core.types.block import Batch, Certificate
from chain_core.types.genesis import Genesis
from local_chain.assembly import local_assembly


def certified(genesis_hash: bytes, header_bytes: bytes, keys: Sequence[bytes]) -> bytes:
    """A finality certificate over the header by the validators with these keys (index: place)."""
    digest = header_hash(header_bytes)
    message = header_message(genesis_hash, digest)
    sign = signing_provider().sm2_sign
    return encode_certificate(Certificate(digest, tuple((i, sign(key, message)) for i, key in enumerate(keys))))


class GrownChain:
    """A local chain in a network directory, in the data directory of its first node."""

    def __init__(self, directory: Path, genesis: Genesis, plans: Sequence[NodePlan]) -> None:
        self.hash = genesis_hash(encode_genesis(genesis))
        self.data = directory / plans[0].name / "data"
        assembly = local_assembly(genesis)
        self._store = open_ledger(self.data, assembly, genesis, self.hash)
        self._builder = BlockBuilder(self._store, assembly.executor(), self.hash)
        self._keys = [load_private_key(directory / plan.name / "consensus.key") for plan in plans]
        del self._keys[genesis.validators.q :]

    def append(self, height: int, time_ms: int, raws: Sequence[bytes]) -> None:
        """The next block, of these envelopes; RuntimeError when one of them is refused."""
        envelopes = tuple(map(decode_envelope, raws))
        built = self._builder.build(Batch(0, 0, height, 0, time_ms, tuple(e.envelope_id for e in envelopes)), envelopes)
        if any(built.result.codes):
            raise RuntimeError(f"block {height}: code {built.result.codes}")
        assert decode_header(built.header_bytes).height == height
        self._store.commit_block(built.record(certified(self.hash, built.header_bytes, self._keys)))

    def close(self) -> None:
        """Ends writing; the data directory may be copied now."""
        self._store.close()
