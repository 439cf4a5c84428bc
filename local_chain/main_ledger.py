"""The contract ``main-ledger`` of a sub-ledger: follows ledger 0, which decides validators, parameters and flags.

Nothing about ledger 0 is believed: a light client of it is kept in state, values are proven under its headers
(docs/spec/sub-ledgers.md §3). State keys: ``v``: the epoch followed; ``s``: the last header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from chain_core.codec.proofs import check_state_proof, decode_state_proof
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.execution import epochs
from chain_core.execution.arguments import Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.overlay import MAX_VALUE_BYTES
from chain_core.execution.parameters import FLAGS_KEY, GOVERNANCE, PARAMETERS_KEY
from chain_core.execution.sub_ledgers import ORIGIN
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from crosschain import following
from crosschain.following import CERTIFICATE_BYTES, HEADER_BYTES, NEXT_SET, Position
from crosschain.light_client import ClientState, Finding, Verdict, examine_next

NAME = "main-ledger"
MAX_PROOF_BYTES = 8_192

FOLLOWED, POSITION = b"v", b"s"

VALUES: Mapping[str, bytes] = {
    "validators": epochs.CURRENT_KEY,
    "next_validators": epochs.SCHEDULED_KEY,
    "parameters": PARAMETERS_KEY,
    "flags": FLAGS_KEY,
}
"""What is brought from ledger 0: argument and full state key. An empty value stands for its absence there."""

_PROVEN = Record({"value": Octets(0, MAX_VALUE_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    "main-ledger.proof": RuleText("主账本的 {0} 未获证明：{1}", "{0} of the main ledger is not proven: {1}"),
}


class MainLedger(Contract):
    """Lane governance; any account may bring what the main ledger has certified."""

    name = NAME
    lane = Lane.GOVERNANCE
    rules = RULES

    def __init__(self) -> None:
        header = {"header": HEADER_BYTES, "certificate": CERTIFICATE_BYTES}
        self.methods = {
            "follow_epoch": Method(self.follow_epoch, {**header, "next_set": NEXT_SET}),
            "follow": Method(
                self.follow,
                {**header, "next_set": Optional(NEXT_SET), "values": Record(dict.fromkeys(VALUES, _PROVEN))},
            ),
        }

    def follow_epoch(self, ctx: CallContext, args: Arguments) -> None:
        """Into the next epoch of ledger 0, by the last header of this one: proofs exist under recent headers only."""
        after = _moved(ctx, args)
        ctx.emit("epoch_followed", epoch=after.epoch, start=after.start)

    def follow(self, ctx: CallContext, args: Arguments) -> None:
        """A header of ledger 0 with what is in force under it: parameters and flags hold from the next block on, newer
        validators from the barrier on.
        """
        after = _moved(ctx, args, lambda header: _prove(ctx, header, args))
        rows = cast(Mapping[str, Mapping[str, bytes]], args["values"])
        governance = ctx.within(GOVERNANCE)
        for name in ("parameters", "flags"):
            if governance.get(name.encode()) != rows[name]["value"]:
                governance.put(name.encode(), rows[name]["value"])
        newest = epochs.decode_epoch(rows["next_validators"]["value"] or rows["validators"]["value"])
        scheduled = self._adopt(ctx, newest)
        ctx.emit("followed", height=after.height, epoch=newest.epoch, scheduled=scheduled)

    @staticmethod
    def _adopt(ctx: CallContext, newest: epochs.EpochInfo) -> bool:
        """Whether these validators are scheduled here now. While others are, they wait for a later ``follow``."""
        governance = ctx.within(GOVERNANCE)
        if epochs.scheduled_start(governance) is not None:
            return False
        present = epochs.decode_epoch(governance.get(epochs.CURRENT) or b"")
        if newest.set_hash == present.set_hash:
            return False  # nothing new; or changed there, and changed back: no header could close the epoch
        barrier = ctx.block.height + epochs.NOTICE
        epochs.schedule(governance, present.epoch + 1, barrier, newest.validators, newest.addresses)
        return True


Read = Callable[[bytes], bytes | None]


def followed(genesis_hash: bytes, own: Read, governance: Callable[[str, bytes], bytes | None]) -> ClientState:
    """The client of ledger 0 in a sub-ledger's state: ``own`` reads ``main-ledger``, ``governance`` by contract."""
    raw = own(FOLLOWED)
    if raw is not None:
        return following.client_at(following.decode_followed(raw), following.decode_position(own(POSITION)))
    row = decode_map(governance(GOVERNANCE, ORIGIN) or b"", "origin")
    first = epochs.decode_epoch(governance(GOVERNANCE, epochs.CURRENT) or b"")
    return ClientState(
        genesis_hash,
        first.validators,
        first.set_hash,
        cast(int, row["time_ms"]),
        epoch=cast(int, row["epoch"]),
        height=cast(int, row["height"]),
        header_hash=cast(bytes, row["header_hash"]),
        start=cast(int, row["start"]),
    )


def own_key(key: bytes) -> bytes:
    """Full state key of one of this contract's."""
    return state_key(NAME, key)


def _moved(ctx: CallContext, args: Arguments, prove: Callable[[Header], None] = lambda _: None) -> ClientState:
    """The client after it accepted the header that ``args`` bring; proofs first, signatures cost every node."""
    client = followed(ctx.block.genesis_hash, ctx.get, ctx.read)
    examined = examine_next(
        client,
        cast(bytes, args["header"]),
        cast(bytes, args["certificate"]),
        now_ms=ctx.block.time_ms,
        next_set=cast(bytes, args.get("next_set", b"")),
    )
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    prove(examined.shown.header)
    (finding,) = following.verified(ctx, (examined,))
    if finding.verdict is not Verdict.OK:
        following.refuse_header(ctx, finding)
    after = client.advanced(examined.shown)
    if after.epoch != client.epoch or ctx.get(FOLLOWED) is None:
        ctx.put(FOLLOWED, following.encode_followed(after))
    ctx.put(POSITION, following.encode_position(Position().at(after, 0)))
    return after


def _prove(ctx: CallContext, header: Header, args: Arguments) -> None:
    rows = cast(Mapping[str, Mapping[str, bytes]], args["values"])
    for name, key in VALUES.items():
        try:
            proof = decode_state_proof(rows[name]["proof"])
            check_state_proof(key, rows[name]["value"] or None, proof, header.state_root)
        except (InvalidProof, MalformedBytes) as error:
            ctx.refuse("main-ledger.proof", name, error.what[: following.MAX_DETAIL_CHARACTERS])
