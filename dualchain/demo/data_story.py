"""Step: data in its three tiers (数据分级): public in plain, limited sealed, the rest off chain (art. 17)."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data.commitments import commitment
from contracts.data.records import DATA, SEALING, body_key, class_of_sealed, object_key
from dualchain.demo.actors import Actor, Desk
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove
from local_chain.data import items
from local_chain.data.items import Place
from local_chain.data.store import ObjectStore

NAME = "data"
LIFE_MS = 30 * 86_400_000
PUBLIC_TEXT = "公司年度报告摘要 summary of an annual report".encode()
LIMITED_TEXT = "股权质押协议 a pledge agreement, for its parties".encode()
PRIVATE_TEXT = "监管报送明细 details reported to the regulator".encode()


class DataStory:
    """The operator's three objects on one market's chain; the bank reads the sealed one by way of the custodian."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.owner, self.custodian, self.reader = (desk.genesis_actor(n) for n in ("operator", "custodian", "bank"))

    async def keep(self, store: Path, book: EvidenceBook) -> None:
        """All three, and their proven records."""
        keys = {actor.name: await self._sealing_key(actor) for actor in (self.owner, self.custodian, self.reader)}
        made = [await self._public(), await self._limited(keys), await self._private(keys, store)]
        wanted = [state_key(DATA, of(identity)) for identity in made for of in (object_key, body_key)]
        await prove(self.desk, book, NAME, [lambda _: wanted])

    async def _sealing_key(self, actor: Actor) -> bytes:
        public = signing_provider().sm2_public_key(generate_private_key())
        attach = Operation("accounts", "attach_key", {"purpose": SEALING, "key": public})
        await self.desk.accepted([self.desk.sign(f"sealing key of {actor.name}", actor, [attach])])
        return public

    def _new(self) -> tuple[str, Place]:
        reference = secrets.token_hex(16)
        identity = derive_id(self.desk.genesis_hash, DATA, self.owner.account, reference)
        return reference, Place(self.desk.genesis_hash, MAIN_LEDGER, identity, 1)

    async def _made(self, label: str, method: str, args: dict[str, Value]) -> None:
        await self.desk.accepted([self.desk.sign(label, self.owner, [Operation(DATA, method, args)])])

    async def _public(self) -> bytes:
        reference, place = self._new()
        args: dict[str, Value] = {"reference": reference, "kind": "disclosure", "body": PUBLIC_TEXT}
        await self._made("public data", "publish", args)
        return place.identity

    async def _limited(self, keys: dict[str, bytes]) -> bytes:
        reference, place = self._new()
        key = items.new_key()
        sealed, committed = items.seal_limited(place, key, LIMITED_TEXT)
        wrap = items.wrap(place, key, self.reader.account, keys["bank"], keys["custodian"])
        until_ms = time.time_ns() // 1_000_000 + LIFE_MS
        grant: dict[str, Value] = {"reader": self.reader.account, "key": keys["bank"], "expires_ms": until_ms}
        args: dict[str, Value] = {
            "reference": reference,
            "kind": "agreement",
            "commitment": committed,
            "sealed": sealed,
            "own": {"key": keys["operator"], "wrap": items.wrap_own(key, keys["operator"])},
            "custodians": [{"account": self.custodian.account, "key": keys["custodian"]}],
            "grants": [{**grant, "wraps": [wrap]}],
        }
        await self._made("limited data", "seal", args)
        return place.identity

    async def _private(self, keys: dict[str, bytes], store: Path) -> bytes:
        reference, place = self._new()
        name, salt = secrets.token_bytes(16), items.new_salt()
        sealed = items.seal_private(place, items.new_key(), PRIVATE_TEXT)
        await ObjectStore.folder(store).put(name, sealed)
        args: dict[str, Value] = {
            "reference": reference,
            "kind": "supervision",
            "size_class": class_of_sealed(len(sealed)),
            "commitment": commitment(salt, PRIVATE_TEXT),
            "store": name,
            "custodian": {"account": self.custodian.account, "key": keys["custodian"]},
        }
        await self._made("private data", "describe", args)
        return place.identity
