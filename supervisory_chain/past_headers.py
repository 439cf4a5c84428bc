"""A market's header of any height, stored here or brought along, for what is proven under it (packets.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Kind, Octets, Optional
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.block import Header
from crosschain import following
from crosschain.following import CERTIFICATE_BYTES, HEADER_BYTES
from crosschain.light_client import ClientState, Examined, Finding, Verdict, examine_past
from supervisory_chain.client_state import judge_of, stored_header
from supervisory_chain.delivered import check_settled

MAX_PROOF_BYTES = 4_096

HEADER: Mapping[str, Kind] = {
    "header": Optional(HEADER_BYTES),
    "certificate": Optional(CERTIFICATE_BYTES),
    "history": Optional(Octets(1, MAX_PROOF_BYTES)),
}
"""Argument kinds of a header that is brought along."""

RULES: Mapping[str, RuleText] = {
    "inbox.no_header": RuleText(
        "高度 {0} 的区块头未存，请随附区块头和证书", "header {0} is not stored: bring it with its certificate"
    ),
    "inbox.wrong_height": RuleText("随附区块头的高度为 {0}，不是 {1}", "the header brought is of height {0}, not {1}"),
    "inbox.fork": RuleText(
        "随附区块头与已存的高度 {0} 区块头不同，请用 clients.report_fork 上报",
        "the header brought differs from the one stored at height {0}: report it with clients.report_fork",
    ),
}


def header_of(ctx: CallContext, client: ClientState, height: int, args: Arguments) -> tuple[Header, Examined | None]:
    """The stored header of ``height``, or the one that came along, whose signatures are left to be verified."""
    source = client.genesis_hash
    stored = stored_header(ctx, source, height)
    brought, certificate = cast(bytes | None, args.get("header")), cast(bytes | None, args.get("certificate"))
    if brought is None or certificate is None:
        if stored is None:
            ctx.refuse("inbox.no_header", height)
        return decode_header(stored), None
    below = stored_header(ctx, source, height - 1)
    examined = examine_past(
        judge_of(ctx, source, client, brought),
        brought,
        certificate,
        now_ms=ctx.block.time_ms,
        previous_hash=None if below is None else sm3(below),
    )
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    header = examined.shown.header
    if header.height != height:
        ctx.refuse("inbox.wrong_height", header.height, height)
    return header, examined


def verify(ctx: CallContext, source: bytes, examined: Examined | None, args: Arguments) -> None:
    """Signatures last, when nothing else is left to refuse but a fork, which only certified headers make."""
    if examined is None:
        return
    check_settled(ctx, source, examined.shown, cast(bytes | None, args.get("history")))
    (finding,) = following.verified(ctx, (examined,))
    if finding.verdict is not Verdict.OK:
        following.refuse_header(ctx, finding)
    height = examined.shown.header.height
    if stored_header(ctx, source, height) not in (None, examined.shown.header_bytes):
        ctx.refuse("inbox.fork", height)
