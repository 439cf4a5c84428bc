"""The contract ``identities``: DIDs of a market's subjects, and the status of credentials (docs/spec/identity.md §3).

The market is the DID authority of its label (guideline art. 11; JR/T 0325-2024 §9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.arguments import ACCOUNT, HASH, Choice, Integer, ListOf, Octets
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from contracts.kernel.calendar import day_of
from contracts.kernel.codes import BOUND_CODE, CREDIT_CODE, bind_code, code_key
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.parties import require_active
from contracts.kernel.records import KERNEL, SUITABILITY, decode_suitability, encode_suitability
from crosschain.channel_end import ANSWERED
from crosschain.channel_services import INVESTOR_CODE, code_answered
from crosschain.channel_state import record_place
from crosschain.identity.did import (
    Did,
    NoDid,
    Subject,
    is_credential_id,
    label_of_credential,
    parse_did,
)
from crosschain.identity.document import ASSERTION, DidRecord, DidService
from crosschain.identity.records import (
    ALSO_KNOWN_AS,
    DATA_AUTHORIZATION,
    DID_TEXT,
    IDENTITIES,
    MAX_LISTED,
    QUALIFIED_INVESTOR,
    REVOKED,
    SERVICE_ROW,
    VALID,
    CredentialRecord,
    credential_place,
    decode_credential,
    decode_did,
    did_payload,
    did_place,
    encode_did,
)
from crosschain.packets import CHANNEL, CREDENTIAL_KIND, DID_KIND, IDENTITY_CHANNEL
from local_chain.did_keys import ended, with_present_keys

MAX_RELYING = 64
"""Accounts whose suitability stands on one credential."""
KINDS = Choice(
    frozenset(
        (
            QUALIFIED_INVESTOR,
            "UniversityDegreeCredential",
            "CreditDataAuthorization",
            DATA_AUTHORIZATION,
            "CreditData",
        )
    )
)

RULES: Mapping[str, RuleText] = {
    "identities.no_answer": RuleText(
        "请求 {0} 没有投资者编码的答复", "request {0} is none for an investor code, or is not answered with one"
    ),
    "identities.bad_did": RuleText("不是合法的分布式数字身份标识：{0}", "this is no DID: {0}"),
    "identities.foreign_label": RuleText(
        "链标识 {0} 属于其他市场，本市场为 {1}", "the label {0} is another market's, this one's is {1}"
    ),
    "identities.taken": RuleText("标识 {0} 已登记", "the DID {0} exists, or existed"),
    "identities.unknown": RuleText("没有标识 {0}", "there is no DID {0}"),
    "identities.not_yours": RuleText("只有账户 {0} 本人可以变更该标识", "only the account {0} may change this DID"),
    "identities.inactive": RuleText("标识 {0} 已注销", "the DID {0} is deactivated"),
    "identities.unchanged": RuleText("标识 {0} 没有变化", "nothing of the DID {0} changes"),
    "identities.active": RuleText("标识 {0} 未注销", "the DID {0} is not deactivated"),
    "identities.no_key": RuleText(
        "账户 {0} 没有用途为 {1} 的公钥，请先添加", "account {0} has no key of purpose {1}: attach one first"
    ),
    "identities.old_key": RuleText(
        "恢复须使用新公钥，编号 {0} 的公钥曾被使用", "a reactivation takes new keys, number {0} was in use before"
    ),
    "identities.too_many_keys": RuleText("一个标识最多记录 {0} 个公钥", "a DID has at most {0} keys in its life"),
    "identities.code_differs": RuleText(
        "账户 {0} 登记的编码与标识中的 {1} 不符", "account {0} is not the one that the code {1} leads to"
    ),
    "identities.issued": RuleText("凭证 {0} 已登记", "the credential {0} is on record already"),
    "identities.bad_credential": RuleText("凭证标识 {0} 不正确", "{0} is no identifier of a credential"),
    "identities.no_credential": RuleText("没有凭证 {0}", "no credential {0} is on record"),
    "identities.not_issuer": RuleText("账户不是标识 {0} 的持有人", "the caller is not the account of {0}"),
    "identities.revoked": RuleText("凭证 {0} 已吊销", "the credential {0} is revoked"),
    "identities.bad_period": RuleText(
        "凭证有效期 {0} 至 {1} 不成立", "a credential cannot be valid from {0} to {1} and be put on record now"
    ),
    "identities.wrong_subject": RuleText(
        "凭证的主体 {0} 不是该账户", "the credential's subject {0} is another account"
    ),
    "identities.wrong_kind": RuleText("凭证类型 {0} 不是合格投资者凭证", "a credential of kind {0} proves no investor"),
    "identities.no_suitability": RuleText("账户 {0} 没有适当性记录", "account {0} has no record of suitability"),
    "identities.too_many_relying": RuleText(
        "依赖该凭证的账户最多 {0} 个", "at most {0} accounts rely on one credential"
    ),
}


class Identities(Contract):
    """DIDs of this market's label; each change goes to the supervisory chain as a packet."""

    name = IDENTITIES
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        operator = frozenset(("operator",))
        did, evidence = {"did": DID_TEXT}, {"evidence": HASH}
        services = ListOf(SERVICE_ROW, MAX_LISTED)
        credential = {"credential": DID_TEXT}
        period = {"valid_from_ms": Integer(1), "expires_ms": Integer(1)}
        self.methods = {
            "take_code": Method(self.take_code, {"account": ACCOUNT, "request": Integer()}, operator),
            "create": Method(self.create, {**did, "account": ACCOUNT, **evidence}, operator),
            "update": Method(self.update, did),
            "describe": Method(self.describe, {**did, "also_known_as": ALSO_KNOWN_AS, "services": services}),
            "deactivate": Method(self.deactivate, {**did, **evidence}, operator),
            "reactivate": Method(self.reactivate, {**did, **evidence}, operator),
            "issue": Method(
                self.issue,
                {**credential, "issuer": DID_TEXT, "digest": Octets(32), "kind": KINDS, "subject": DID_TEXT, **period},
            ),
            "revoke": Method(self.revoke, {**credential, **evidence}),
            "rely": Method(self.rely, {"account": ACCOUNT, **credential}, operator),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The market's label, and where records are sent."""
        region = REGIONS.get(genesis.market)
        writer.put(b"l", (region.label if region else "").encode("ascii"))
        writer.put(b"s", genesis_hash(genesis.supervisory_genesis))

    def take_code(self, ctx: CallContext, args: Arguments) -> None:
        """Binds the investor code that the supervisory chain answered to a request of this chain."""
        own, peer = ctx.block.genesis_hash, ctx.get(b"s") or b""
        number = cast(int, args["request"])
        raw = ctx.read(CHANNEL, record_place(own, peer, number))
        row = {} if raw is None else decode_map(raw, "request")
        if row.get("number") != number or row["service"] != INVESTOR_CODE or row["status"] != ANSWERED:
            ctx.refuse("identities.no_answer", number)
        code = code_answered(cast(bytes, row["response"]))
        if code is None:
            ctx.refuse("identities.no_answer", number)
        bind_code(ctx.within(KERNEL), ctx, cast(bytes, args["account"]), code)

    # ---- DIDs

    def create(self, ctx: CallContext, args: Arguments) -> None:
        """A DID for an account whose holder the market has identified."""
        account = cast(bytes, args["account"])
        did = self._parsed(ctx, cast(str, args["did"]))
        if did.warning:
            ctx.refuse("identities.bad_did", did.warning)
        if ctx.get(did_place(did.text)) is not None:
            ctx.refuse("identities.taken", did.text)
        require_active(ctx, account)
        _check_code(ctx, did, account)
        now_ms = ctx.block.time_ms
        record = DidRecord(did.text, account, now_ms, now_ms, 0, True, ())
        self._keep(ctx, with_present_keys(ctx, record))
        ctx.emit("created", did=did.text, account=account, evidence=args["evidence"])

    def update(self, ctx: CallContext, args: Arguments) -> None:
        """Takes the account's present keys over."""
        record = self._active(ctx, args)
        if ctx.principal != record.account and "operator" not in ctx.roles:
            ctx.refuse("identities.not_yours", record.account)
        self._keep(ctx, _changed(ctx, record, with_present_keys(ctx, record)))
        ctx.emit("updated", did=record.did)

    def describe(self, ctx: CallContext, args: Arguments) -> None:
        """The holder's other identifiers and services."""
        record = self._active(ctx, args)
        if ctx.principal != record.account:
            ctx.refuse("identities.not_yours", record.account)
        services = tuple(
            DidService(row["id"], row["type"], row["endpoint"])
            for row in cast(Sequence[Mapping[str, str]], args["services"])
        )
        known_as = tuple(cast(Sequence[str], args["also_known_as"]))
        self._keep(ctx, _changed(ctx, record, replace(record, also_known_as=known_as, services=services)))
        ctx.emit("described", did=record.did)

    def deactivate(self, ctx: CallContext, args: Arguments) -> None:
        """No key of it counts from here on, and the string is not created again."""
        record = self._active(ctx, args)
        self._keep(ctx, replace(record, active=False, keys=ended(record.keys, ctx.block.time_ms)))
        ctx.emit("deactivated", did=record.did, evidence=args["evidence"])

    def reactivate(self, ctx: CallContext, args: Arguments) -> None:
        """Re-admission of the same subject, with new keys, by two houses."""
        record = self._known(ctx, args)
        if record.active:
            ctx.refuse("identities.active", record.did)
        require_second_house(ctx)
        before = {key.key: key.number for key in record.keys}
        renewed = with_present_keys(ctx, replace(record, active=True))
        for key in renewed.keys:
            if not key.until_ms and key.key in before:
                ctx.refuse("identities.old_key", before[key.key])
        self._keep(ctx, renewed)
        ctx.emit("reactivated", did=record.did, evidence=args["evidence"])

    def _keep(self, ctx: CallContext, record: DidRecord) -> None:
        kept = replace(record, version=record.version + 1, updated_ms=ctx.block.time_ms)
        ctx.put(did_place(kept.did), encode_did(kept))
        _send(ctx, DID_KIND, did_payload(kept))

    def _parsed(self, ctx: CallContext, text: str) -> Did:
        """Any market's DID, when it is one of this label. Refuses ``bad_did`` and ``foreign_label``."""
        did = _did(ctx, text)
        label = _own_label(ctx)
        if did.label != label:
            ctx.refuse("identities.foreign_label", did.label, label)
        return did

    def _known(self, ctx: CallContext, args: Arguments) -> DidRecord:
        return _record(ctx, cast(str, args["did"]))

    def _active(self, ctx: CallContext, args: Arguments) -> DidRecord:
        record = self._known(ctx, args)
        if not record.active:
            ctx.refuse("identities.inactive", record.did)
        return record

    # ---- credentials

    def issue(self, ctx: CallContext, args: Arguments) -> None:
        """Puts a credential on record, so that its status can be asked and proven."""
        credential = cast(str, args["credential"])
        if not is_credential_id(credential) or label_of_credential(credential) != _own_label(ctx):
            ctx.refuse("identities.bad_credential", credential)
        issuer = _record(ctx, cast(str, args["issuer"]))
        if not issuer.active:
            ctx.refuse("identities.inactive", issuer.did)
        if issuer.account != ctx.principal:
            ctx.refuse("identities.not_issuer", issuer.did)
        if not any(key.purpose == ASSERTION and not key.until_ms for key in issuer.keys):
            ctx.refuse("identities.no_key", issuer.account, ASSERTION)
        subject = _did(ctx, cast(str, args["subject"]))
        begin, end = cast(int, args["valid_from_ms"]), cast(int, args["expires_ms"])
        if not begin < end or end <= ctx.block.time_ms:
            ctx.refuse("identities.bad_period", begin, end)
        if ctx.get(credential_place(credential)) is not None:
            ctx.refuse("identities.issued", credential)
        record = CredentialRecord(
            credential,
            cast(bytes, args["digest"]),
            cast(str, args["kind"]),
            issuer.did,
            subject.text,
            begin,
            end,
            VALID,
            ctx.block.height,
        )
        self._keep_credential(ctx, record)
        ctx.emit("issued", credential=credential, issuer=issuer.did, digest=record.digest)

    def revoke(self, ctx: CallContext, args: Arguments) -> None:
        """From this block on it is revoked; whoever's suitability stands on it has none any more."""
        record = _credential(ctx, cast(str, args["credential"]))
        issuer = _record(ctx, record.issuer)
        if issuer.account != ctx.principal and "operator" not in ctx.roles:
            ctx.refuse("identities.not_issuer", record.issuer)
        if record.status == REVOKED:
            ctx.refuse("identities.revoked", record.credential)
        self._keep_credential(ctx, replace(record, status=REVOKED, height=ctx.block.height))
        relying = _relying(ctx, record.credential)
        kernel = ctx.within(KERNEL)
        for account in relying:
            kernel.delete(SUITABILITY + account)
        ctx.emit(
            "revoked",
            credential=record.credential,
            evidence=args["evidence"],
            accounts=cast(list[Value], relying),
        )

    def rely(self, ctx: CallContext, args: Arguments) -> None:
        """The account's suitability is valid no longer than this credential."""
        account = cast(bytes, args["account"])
        record = _credential(ctx, cast(str, args["credential"]))
        if record.status == REVOKED:
            ctx.refuse("identities.revoked", record.credential)
        if record.kind != QUALIFIED_INVESTOR:
            ctx.refuse("identities.wrong_kind", record.kind)
        subject = ctx.get(did_place(record.subject))
        if subject is None or decode_did(subject).account != account:
            ctx.refuse("identities.wrong_subject", record.subject)
        kernel = ctx.within(KERNEL)
        raw = kernel.get(SUITABILITY + account)
        if raw is None:
            ctx.refuse("identities.no_suitability", account)
        suitability = decode_suitability(raw)
        # The day on which it ends is not one on which it is valid.
        last = day_of(record.expires_ms) - 1
        kernel.put(
            SUITABILITY + account,
            encode_suitability(suitability._replace(expires_day=min(suitability.expires_day, last))),
        )
        relying = _relying(ctx, record.credential)
        if account not in relying:
            if len(relying) >= MAX_RELYING:
                ctx.refuse("identities.too_many_relying", MAX_RELYING)
            ctx.put(_relying_place(record.credential), encode_value(cast(list[Value], sorted((*relying, account)))))
        ctx.emit("relied", account=account, credential=record.credential)

    @staticmethod
    def _keep_credential(ctx: CallContext, record: CredentialRecord) -> None:
        ctx.put(credential_place(record.credential), encode_value(record.payload()))
        _send(ctx, CREDENTIAL_KIND, record.payload())


def _changed(ctx: CallContext, before: DidRecord, after: DidRecord) -> DidRecord:
    """Refuses ``identities.unchanged``: what says nothing new is sent nowhere."""
    if after == before:
        ctx.refuse("identities.unchanged", before.did)
    return after


def _own_label(ctx: CallContext) -> str:
    return (ctx.get(b"l") or b"").decode("ascii")


def _send(ctx: CallContext, kind: str, payload: Mapping[str, Value]) -> None:
    destination = ctx.get(b"s")
    assert destination is not None, "genesis names the supervisory chain"
    ctx.send_packet(destination, MAIN_LEDGER, IDENTITY_CHANNEL, kind, payload)


def _did(ctx: CallContext, text: str) -> Did:
    try:
        return parse_did(text)
    except NoDid as error:
        ctx.refuse("identities.bad_did", str(error)[:160])


def _record(space: CallContext, did: str) -> DidRecord:
    raw = space.get(did_place(did))
    if raw is None:
        space.refuse("identities.unknown", did)
    return decode_did(raw)


def _credential(ctx: CallContext, credential: str) -> CredentialRecord:
    raw = ctx.get(credential_place(credential))
    if raw is None:
        ctx.refuse("identities.no_credential", credential)
    return decode_credential(raw)


def _relying_place(credential: str) -> bytes:
    return b"r" + credential_place(credential)[1:]


def _relying(space: Namespace, credential: str) -> list[bytes]:
    raw = space.get(_relying_place(credential))
    return [] if raw is None else cast(list[bytes], decode_value(raw, "relying accounts"))


def _check_code(ctx: CallContext, did: Did, account: bytes) -> None:
    """An investor's code is bound to the account; a credit code leads to no other one."""
    if did.subject is Subject.INVESTOR:
        if ctx.read(KERNEL, BOUND_CODE + account) != did.code.encode("ascii"):
            ctx.refuse("identities.code_differs", account, did.code)
    elif did.subject is Subject.BODY and ctx.read(KERNEL, code_key(CREDIT_CODE, did.code)) not in (None, account):
        ctx.refuse("identities.code_differs", account, did.code)
