"""Bundles as liars would make them, each with one thing wrong; some need the keys of the chain's own validators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chain_core.codec.block import decode_certificate, decode_header, encode_certificate, encode_header
from chain_core.codec.proofs import bucket_digest, bucket_of, encode_inclusion, encode_state_proof, state_root
from chain_core.codec.transaction import decode_envelope, decode_receipt, encode_envelope, encode_receipt, envelope_id
from chain_core.codec.validator_set import encode_validator_set, hash_of_encoded_set
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree, leaf_hash
from chain_core.types.packet import BucketEntry, InclusionProof, StateProof
from chain_core.types.validator_set import Validator, ValidatorSet
from tests.integration.evidence_chain import World
from tests.unit.crosschain.chains import account, private_key, public_key

Forged = dict[str, bytes]
STRANGERS = ValidatorSet(
    tuple(
        Validator(f"beijing-{i}", f"entity {i}", public_key(f"strange consensus {i}"), public_key(f"strange {i}"))
        for i in range(4)
    )
)


def at(raw: bytes, offset: int, new: bytes) -> bytes:
    """With these bytes in place of those at the offset; from the end when negative."""
    offset %= len(raw)
    return raw[:offset] + new + raw[offset + len(new) :]


def flip(raw: bytes, offset: int, mask: int = 1) -> bytes:
    return at(raw, offset, bytes((raw[offset] ^ mask,)))


class Forger:
    """Who holds every key there is, and changes one bundle."""

    strange_hash = hash_of_encoded_set(encode_validator_set(STRANGERS))

    def __init__(self, world: World, files: dict[str, bytes]) -> None:
        self.world, self.files = world, dict(files)
        world.chain.keys.update({public_key(n): private_key(n) for n in (f"strange consensus {i}" for i in range(4))})

    def changed(self, name: str, raw: bytes) -> Forged:
        return self.files | {name: raw}

    def header(self, name: str = "block", members: ValidatorSet | None = None, **changes: Any) -> Forged:
        """A header with other fields, certified anew."""
        raw = encode_header(replace(decode_header(self.files[f"{name}.header"]), **changes))
        self.files |= {
            f"{name}.header": raw,
            f"{name}.certificate": self.world.chain.certify(raw, members=members),
        }
        return self.files

    def certificate(self, signers: Sequence[int], counted: int | None = None) -> Forged:
        """Whoever signs, in any order and as often as one likes."""
        one = {who: self.world.chain.certify(self.files["block.header"], [who])[35:] for who in set(signers)}
        count = len(signers) if counted is None else counted
        raw = b"\x01" + sm3(self.files["block.header"]) + count.to_bytes(2, "big") + b"".join(one[n] for n in signers)
        return self.changed("block.certificate", raw)

    def cut_certificate(self) -> Forged:
        """One signature short."""
        found = decode_certificate(self.files["block.certificate"])
        return self.changed("block.certificate", encode_certificate(replace(found, signatures=found.signatures[:-1])))

    def planted(self, file: str, leaf: bytes, *, index: int = 1, tree: str = "receipt") -> Forged:
        """A leaf under a header's root, certified by the chain's own validators."""
        name = f"{tree}.proof"
        leaves = [b"a", b"b", b"c", b"d"]
        leaves[index] = envelope_id(leaf) if file == "envelope.bin" else leaf
        made = MerkleTree(leaves)
        self.files |= {file: leaf, name: encode_inclusion(InclusionProof(index, 4, made.path(index)))}
        kind = "transaction" if tree == "envelope" else tree
        return self.header(**{f"{kind}_root": made.root, f"{kind}_count": 4})

    def receipt(self, index: int = 1, **changes: Any) -> Forged:
        """Another receipt, certified."""
        raw = encode_receipt(replace(decode_receipt(self.files["receipt.bin"]), **changes))
        return self.planted("receipt.bin", raw, index=index)

    def unsigned_cosigners(self) -> Forged:
        """A body with three signers, one of whom signed."""
        whole = decode_envelope(self.files["envelope.bin"])
        short = encode_envelope(whole.body_bytes, whole.signers[:1])
        self.receipt(envelope_id=envelope_id(short))
        self.planted("envelope.bin", short, tree="envelope")
        return {name: raw for name, raw in self.files.items() if not name.startswith(("key-2", "key-3"))}

    def state(self, value: bytes, *, key: bytes, under: str, files: str, shift: int = 0) -> Forged:
        """A state of two buckets in which the key has this value, certified."""
        hashed = sm3(key)
        home = (bucket_of(hashed, 2) + shift) % 2
        entry = hashed + sm3(value)
        digests = [sm3(b"other"), sm3(b"other")]
        digests[home] = bucket_digest(1, leaf_hash(entry))
        root = state_root(2, MerkleTree.from_hashes(b"".join(digests)).root)
        proof = StateProof(2, home, 1, True, (BucketEntry(0, hashed, sm3(value), ()),), (digests[1 - home],))
        self.files |= {f"{files}.value": value, f"{files}.proof": encode_state_proof(proof)}
        return self.header(under, state_root=root)

    def strange_epoch(self, number: int = 1, **closing: Any) -> Forged:
        """Strangers as the validators of an epoch, and the block certified by them."""
        raw = encode_validator_set(STRANGERS)
        self.files |= {f"epoch-{number}.set": raw}
        if closing:
            before = self.files["epoch-1.header"]
            header = encode_header(replace(decode_header(before), **closing))
            self.files |= {
                f"epoch-{number}.header": header,
                f"epoch-{number}.certificate": self.world.chain.certify(header),
            }
        named = hash_of_encoded_set(raw)
        return self.header(members=STRANGERS, epoch=number, validator_set_hash=named, next_validator_set_hash=named)

    def unchanged_epoch(self) -> Forged:
        """A header in the middle of epoch 0 that is said to end it: the same validators go on."""
        chain = self.world.chain
        first = chain.genesis.validators
        header, certificate = chain.certified(3)
        self.files |= {"epoch-1.header": header, "epoch-1.certificate": certificate}
        self.files |= {"epoch-1.set": encode_validator_set(first)}
        named = decode_header(header).validator_set_hash
        return self.header(members=first, validator_set_hash=named, next_validator_set_hash=named)

    def key_entry(self, owner: str, purpose: str) -> Forged:
        """Signer 1's key as another account's, or for another purpose."""
        key = decode_envelope(self.files["envelope.bin"]).signers[0].public_key
        value = encode_value([account(owner), purpose, True])
        return self.state(value, key=b"\x08accountsk" + sm3(key), under="keys", files="key-1")
