"""The contract ``data``: objects of three tiers, who may read them, and who has (docs/spec/data-tiers.md §4; art. 17).

It seals and opens nothing: it sees ciphertexts, wraps and commitments, and checks that each names what it must.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn, cast

from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    PUBLIC_KEY,
    Boolean,
    Choice,
    Integer,
    Kind,
    ListOf,
    Octets,
    Text,
)
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Method
from contracts.data import records
from contracts.data.authority import Denied, judge_access
from contracts.data.grants import (
    CUSTODIAN_ROW,
    GRANT_ROWS,
    OWN_ROW,
    checked_custodians,
    checked_grants,
    checked_own,
    drop_grant,
    drop_grants,
    put_grant,
    require_sealing_key,
)
from contracts.data.records import (
    ACTIVE,
    DATA,
    DATA_OWNER,
    DELETED,
    DELETING,
    KINDS,
    LIMITED,
    MAX_BODY_BYTES,
    MAX_CLASS,
    MAX_CUSTODIANS,
    MIN_CLASS,
    OPERATOR,
    OWNER,
    PRIVATE,
    PUBLIC,
    PURPOSES,
    REASONS,
    REGULATOR,
    SEALED_OVERHEAD,
    AccessLog,
    Deletion,
    Descriptor,
    Grant,
    OwnWrap,
    decode,
    encode,
    find,
)
from contracts.data.texts import RULES

Fields = Mapping[str, Kind]

_OBJECT, _VERSION = Octets(16), Integer(1, (1 << 32) - 1)
_REFERENCE = Text(32, 32, re.compile("[0-9a-f]{32}"))
_BODY = Octets(1, MAX_BODY_BYTES)
_SEALED = Octets((1 << MIN_CLASS) + SEALED_OVERHEAD, MAX_BODY_BYTES + SEALED_OVERHEAD)
_DENIED = {
    Denied.UNKNOWN_OBJECT: "data.unknown",
    Denied.NO_GRANT: "data.no_grant",
    Denied.GRANT_OVER: "data.grant_over",
}


class Data(Contract):
    """Descriptors, bodies, grants, access logs and deletion records."""

    name = DATA
    rules = RULES

    def __init__(self) -> None:
        makers = frozenset((OPERATOR, DATA_OWNER))
        new: Fields = {"reference": _REFERENCE, "kind": Choice(frozenset(KINDS))}
        one: Fields = {"object": _OBJECT}
        versioned: Fields = {**one, "version": _VERSION}
        sealed: Fields = {
            "commitment": HASH,
            "sealed": _SEALED,
            "own": OWN_ROW,
            "custodians": ListOf(CUSTODIAN_ROW, MAX_CUSTODIANS, 1),
            "grants": GRANT_ROWS,
        }
        stored: Fields = {
            "size_class": Integer(MIN_CLASS, MAX_CLASS),
            "commitment": HASH,
            "store": Octets(16),
            "custodian": CUSTODIAN_ROW,
        }
        access: Fields = {"purpose": Choice(frozenset(PURPOSES)), "key": PUBLIC_KEY}
        regulator = frozenset((REGULATOR,))
        self.methods = {
            "publish": Method(self.publish, {**new, "body": _BODY}, makers),
            "revise": Method(self.revise, {**versioned, "body": _BODY}),
            "seal": Method(self.seal, {**new, **sealed}, makers),
            "reseal": Method(self.reseal, {**versioned, **sealed}),
            "share": Method(self.share, {**versioned, "grants": GRANT_ROWS}),
            "describe": Method(self.describe, {**new, **stored}, makers),
            "allow": Method(self.allow, {**one, "reader": ACCOUNT, "expires_ms": Integer(1)}),
            "withdraw": Method(self.withdraw, {**one, "reader": ACCOUNT}),
            "record_access": Method(self.record_access, {**versioned, **access}),
            "hold": Method(self.hold, {**one, "held": Boolean()}, regulator),
            "delete": Method(self.delete, {**one, "reason": Choice(frozenset(REASONS))}),
            "confirm_deletion": Method(self.confirm_deletion, one),
        }

    # ---- public

    def publish(self, ctx: CallContext, args: Arguments) -> None:
        """Data that everybody may read, in plain."""
        body = cast(bytes, args["body"])
        self._create(
            ctx,
            args,
            Descriptor(PUBLIC, "", b"", ACTIVE, 1, records.class_for(len(body)), b"", b"", ()),
            body,
        )

    def revise(self, ctx: CallContext, args: Arguments) -> None:
        """The next version of a public body."""
        identity, found = self._own(ctx, args, PUBLIC)
        self._require_version(ctx, args, found)
        body = cast(bytes, args["body"])
        size_class = records.class_for(len(body))
        self._next(ctx, identity, replace(found, version=found.version + 1, size_class=size_class), body)

    # ---- limited

    def seal(self, ctx: CallContext, args: Arguments) -> None:
        """Data sealed for its readers."""
        sealed, size_class = _sealed(ctx, args)
        custodians = checked_custodians(ctx, args["custodians"])
        grants = checked_grants(ctx, args["grants"], ctx.principal, len(custodians))
        own = checked_own(ctx, args["own"])
        commitment = cast(bytes, args["commitment"])
        row = Descriptor(LIMITED, "", b"", ACTIVE, 1, size_class, commitment, b"", custodians)
        identity = self._create(ctx, args, row, sealed)
        self._share_all(ctx, identity, own, grants)

    def reseal(self, ctx: CallContext, args: Arguments) -> None:
        """The next version, under a fresh key, for exactly the readers that are named: withdraws all others."""
        identity, found = self._own(ctx, args, LIMITED)
        self._require_version(ctx, args, found)
        sealed, size_class = _sealed(ctx, args)
        custodians = checked_custodians(ctx, args["custodians"])
        grants = checked_grants(ctx, args["grants"], found.owner, len(custodians))
        own = checked_own(ctx, args["own"])
        drop_grants(ctx, identity, keeping=frozenset(grants))
        changed = replace(
            found,
            version=found.version + 1,
            size_class=size_class,
            commitment=cast(bytes, args["commitment"]),
            custodians=custodians,
        )
        self._next(ctx, identity, changed, sealed)
        self._share_all(ctx, identity, own, grants)

    def share(self, ctx: CallContext, args: Arguments) -> None:
        """Further readers of the limited version in force."""
        identity, found = self._own(ctx, args, LIMITED)
        self._require_version(ctx, args, found)
        for reader, grant in checked_grants(ctx, args["grants"], found.owner, len(found.custodians)).items():
            put_grant(ctx, identity, reader, grant)

    # ---- private

    def describe(self, ctx: CallContext, args: Arguments) -> None:
        """Data off the chain: where it is, what it must be, who keeps its key."""
        custodians = checked_custodians(ctx, [args["custodian"]])
        size_class, commitment = cast(int, args["size_class"]), cast(bytes, args["commitment"])
        store = cast(bytes, args["store"])
        self._create(ctx, args, Descriptor(PRIVATE, "", b"", ACTIVE, 1, size_class, commitment, store, custodians))

    def allow(self, ctx: CallContext, args: Arguments) -> None:
        """A grant on private data, by its owner or by a regulator."""
        identity, found = self._of_tier(ctx, args, PRIVATE)
        reader, expires_ms = cast(bytes, args["reader"]), cast(int, args["expires_ms"])
        by = self._standing(ctx, found)
        if expires_ms <= ctx.block.time_ms:
            ctx.refuse("data.expired", expires_ms)
        record = ctx.record_of(reader)
        if record is None or not record.signing_keys:
            ctx.refuse("data.no_reader", reader)
        present = find(Grant, ctx.get(records.grant_key(identity, reader)))
        if present is not None and present.by == REGULATOR != by and present.expires_ms > ctx.block.time_ms:
            ctx.refuse("data.regulators_grant", reader)
        put_grant(ctx, identity, reader, Grant(expires_ms, by))

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """Ends a grant on private data."""
        identity, found = self._of_tier(ctx, args, PRIVATE)
        reader = cast(bytes, args["reader"])
        by = self._standing(ctx, found)
        grant = find(Grant, ctx.get(records.grant_key(identity, reader)))
        if grant is None:
            ctx.refuse("data.no_grant", reader)
        if grant.by != by:
            if by == OWNER:
                ctx.refuse("data.regulators_grant", reader)
            ctx.refuse("data.not_owner", found.owner)
        drop_grant(ctx, identity, reader)

    def hold(self, ctx: CallContext, args: Arguments) -> None:
        """While held, nobody deletes it."""
        identity, found = self._of_tier(ctx, args, PRIVATE)
        held = cast(bool, args["held"])
        self._store(ctx, identity, replace(found, held=held))
        ctx.emit("held", object=identity, held=held)

    def delete(self, ctx: CallContext, args: Arguments) -> None:
        """The order to destroy key and salt; from here on nothing is released."""
        identity, found = self._own(ctx, args, PRIVATE)
        if found.held:
            ctx.refuse("data.held")
        drop_grants(ctx, identity)
        ((custodian, _),) = found.custodians
        reason, block = cast(str, args["reason"]), ctx.block
        order = Deletion(ctx.account, reason, block.time_ms, block.height, custodian)
        ctx.put(records.deletion_key(identity), encode(order))
        self._store(ctx, identity, replace(found, status=DELETING))
        ctx.emit("deletion_ordered", object=identity, reason=reason)

    def confirm_deletion(self, ctx: CallContext, args: Arguments) -> None:
        """The custodian's word that key and salt are destroyed."""
        identity, found = self._found(ctx, args)
        if found.status != DELETING:
            ctx.refuse("data.wrong_state", found.status)
        order = decode(Deletion, ctx.get(records.deletion_key(identity)) or b"")
        if ctx.principal != order.custodian:
            ctx.refuse("data.not_custodian", order.custodian)
        done = replace(order, destroyed_ms=ctx.block.time_ms, destroyed_height=ctx.block.height)
        ctx.put(records.deletion_key(identity), encode(done))
        self._store(ctx, identity, replace(found, status=DELETED))
        ctx.emit("deleted", object=identity, custodian=order.custodian)

    # ---- reading

    def record_access(self, ctx: CallContext, args: Arguments) -> None:
        """The record that comes before the release."""
        identity, reader, key = cast(bytes, args["object"]), ctx.principal, cast(bytes, args["key"])
        permit = judge_access(ctx.read, identity, reader, ctx.block.time_ms)
        if permit is Denied.NOT_ACTIVE:
            ctx.refuse("data.wrong_state", self._found(ctx, args)[1].status)
        if isinstance(permit, Denied):
            ctx.refuse(_DENIED[permit], identity if permit is Denied.UNKNOWN_OBJECT else reader)
        self._require_version(ctx, args, permit.descriptor)
        require_sealing_key(ctx, reader, key)
        if permit.grant.key not in (b"", key):
            ctx.refuse("data.other_key", reader)
        place = records.log_key(identity, reader)
        log, block = find(AccessLog, ctx.get(place)) or AccessLog(), ctx.block
        purpose, digest = cast(str, args["purpose"]), sm3(log.digest + ctx.transaction_id)
        count, version = log.count + 1, permit.descriptor.version
        ctx.put(place, encode(AccessLog(count, version, block.time_ms, block.height, purpose, key, digest)))
        ctx.emit("accessed", object=identity, version=version, reader=reader, purpose=purpose, count=count)

    # ---- what they share

    def _create(self, ctx: CallContext, args: Arguments, row: Descriptor, body: bytes | None = None) -> bytes:
        def known(identity: bytes) -> bytes | None:
            return ctx.get(records.object_key(identity))

        reference, kind = cast(str, args["reference"]), cast(str, args["kind"])
        identity = ctx.new_id(DATA, ctx.principal, reference, known, "data.exists")
        self._store(ctx, identity, replace(row, kind=kind, owner=ctx.principal, chain=ctx.block.genesis_hash))
        if body is not None:
            ctx.put(records.body_key(identity), body)
        ctx.emit("created", object=identity, tier=row.tier, kind=kind, owner=ctx.principal)
        return identity

    def _next(self, ctx: CallContext, identity: bytes, row: Descriptor, body: bytes) -> None:
        self._store(ctx, identity, replace(row, chain=ctx.block.genesis_hash))
        ctx.put(records.body_key(identity), body)
        ctx.emit("revised", object=identity, version=row.version)

    @staticmethod
    def _share_all(ctx: CallContext, identity: bytes, own: OwnWrap, grants: dict[bytes, Grant]) -> None:
        ctx.put(records.own_key(identity), encode(own))
        for reader, grant in grants.items():
            put_grant(ctx, identity, reader, grant)

    @staticmethod
    def _store(ctx: CallContext, identity: bytes, row: Descriptor) -> None:
        ctx.put(records.object_key(identity), encode(replace(row, height=ctx.block.height)))

    @staticmethod
    def _found(ctx: CallContext, args: Arguments) -> tuple[bytes, Descriptor]:
        identity = cast(bytes, args["object"])
        found = find(Descriptor, ctx.get(records.object_key(identity)))
        if found is None:
            ctx.refuse("data.unknown", identity)
        return identity, found

    def _of_tier(self, ctx: CallContext, args: Arguments, tier: str) -> tuple[bytes, Descriptor]:
        """The object, when it is active and of this tier."""
        identity, found = self._found(ctx, args)
        if found.tier != tier:
            _wrong_tier(ctx, found)
        if found.status != ACTIVE:
            ctx.refuse("data.wrong_state", found.status)
        return identity, found

    def _own(self, ctx: CallContext, args: Arguments, tier: str) -> tuple[bytes, Descriptor]:
        """The object, when it is the principal's besides."""
        identity, found = self._of_tier(ctx, args, tier)
        if found.owner != ctx.principal:
            ctx.refuse("data.not_owner", found.owner)
        return identity, found

    @staticmethod
    def _require_version(ctx: CallContext, args: Arguments, found: Descriptor) -> None:
        if args["version"] != found.version:
            ctx.refuse("data.wrong_version", found.version)

    @staticmethod
    def _standing(ctx: CallContext, found: Descriptor) -> str:
        """As whom the caller grants and withdraws."""
        if ctx.principal == found.owner:
            return OWNER
        if REGULATOR in ctx.roles:
            return REGULATOR
        ctx.refuse("data.not_allowed")


def _wrong_tier(ctx: CallContext, found: Descriptor) -> NoReturn:
    if found.tier == LIMITED:
        ctx.refuse("data.reseal")
    ctx.refuse("data.wrong_tier", found.tier)


def _sealed(ctx: CallContext, args: Arguments) -> tuple[bytes, int]:
    sealed = cast(bytes, args["sealed"])
    size_class = records.class_of_sealed(len(sealed))
    if size_class is None:
        ctx.refuse("data.bad_sealed", len(sealed))
    return sealed, size_class
