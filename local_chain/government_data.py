"""The contract ``govdata``: uses of data authorisations, counted before they are made (docs/spec/government-data.md §2;
guideline art. 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.execution.arguments import ACCOUNT, HASH, PUBLIC_KEY, Integer, Kind, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from contracts.kernel.four_eyes import require_second_house
from crosschain.identity.data_uses import (
    GOVDATA,
    MAX_USES,
    Bureau,
    Granted,
    Use,
    bureau_place,
    decode_begun,
    decode_granted,
    decode_use,
    encode,
    encode_begun,
    grant_place,
    request_place,
    use_place,
)
from crosschain.identity.did import credit_code_fault
from crosschain.identity.document import DidRecord
from crosschain.identity.records import (
    DATA_AUTHORIZATION,
    DID_TEXT,
    IDENTITIES,
    VALID,
    CredentialRecord,
    credential_place,
    decode_credential,
    decode_did,
    did_place,
)

RULES: Mapping[str, RuleText] = {
    "govdata.bad_bureau": RuleText("统一社会信用代码 {0} 不正确", "{0} is no unified social credit code"),
    "govdata.no_bureau": RuleText("数据主管部门 {0} 未登记", "no data bureau {0} is named"),
    "govdata.no_credential": RuleText("没有凭证 {0}", "no credential {0} is on record"),
    "govdata.wrong_kind": RuleText(
        "凭证 {0} 不是企业就自身数据签发的授权", "the credential {0} is no authorisation of an enterprise about itself"
    ),
    "govdata.not_issuer": RuleText("账户不是凭证 {0} 的签发人", "the caller did not issue the credential {0}"),
    "govdata.granted": RuleText("凭证 {0} 的使用次数已登记", "the uses of {0} are on record already"),
    "govdata.no_grant": RuleText("凭证 {0} 的使用次数未登记", "the uses of {0} are not on record"),
    "govdata.revoked": RuleText(
        "凭证 {0} 已吊销，或签发人标识已注销", "the credential {0} is revoked, or its issuer deactivated"
    ),
    "govdata.over": RuleText("凭证 {0} 不在有效期内", "the credential {0} is not valid at block time"),
    "govdata.used_up": RuleText("凭证 {0} 授权的 {1} 次已用完", "all {1} uses of {0} are begun"),
    "govdata.begun": RuleText("该请求已计为第 {0} 次使用", "this request has begun use {0} before"),
    "govdata.no_use": RuleText("凭证 {0} 没有第 {1} 次使用", "the credential {0} has no use {1}"),
    "govdata.not_yours": RuleText("只有账户 {0} 可以登记该回执", "only the account {0} may settle this use"),
    "govdata.settled": RuleText("第 {0} 次使用的回执已登记", "use {0} is settled already"),
}
_CREDIT_CODE = Text(18, 18)


class GovernmentData(Contract):
    """Bureaus, granted uses, and each use with request and receipt."""

    name = GOVDATA
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        operator = frozenset(("operator",))
        credential: Mapping[str, Kind] = {"credential": DID_TEXT}
        named: Mapping[str, Kind] = {"bureau": _CREDIT_CODE, "name": Text(128), "key": PUBLIC_KEY}
        settled: Mapping[str, Kind] = {
            **credential,
            "number": Integer(1, MAX_USES),
            "bureau": _CREDIT_CODE,
            "receipt": HASH,
        }
        self.methods = {
            "name_bureau": Method(name_bureau, named, operator),
            "authorise": Method(authorise, {**credential, "uses": Integer(1, MAX_USES)}),
            "begin": Method(begin, {**credential, "request": HASH, "consumer": ACCOUNT}, operator),
            "settle": Method(settle, settled),
        }


def name_bureau(ctx: CallContext, args: Arguments) -> None:
    """The bureau's key from now on, by two houses: whoever has it can vouch for any data."""
    code = cast(str, args["bureau"])
    if credit_code_fault(code):
        ctx.refuse("govdata.bad_bureau", code)
    require_second_house(ctx)
    ctx.put(bureau_place(code), encode(Bureau(cast(str, args["name"]), cast(bytes, args["key"]), ctx.block.height)))
    ctx.emit("bureau_named", bureau=code, key=args["key"])


def authorise(ctx: CallContext, args: Arguments) -> None:
    """How often the enterprise's credential may be used."""
    credential = cast(str, args["credential"])
    record, issuer = _valid(ctx, credential)
    if record.kind != DATA_AUTHORIZATION or record.subject != record.issuer:
        ctx.refuse("govdata.wrong_kind", credential)
    if issuer.account != ctx.principal:
        ctx.refuse("govdata.not_issuer", credential)
    if ctx.get(grant_place(credential)) is not None:
        ctx.refuse("govdata.granted", credential)
    uses = cast(int, args["uses"])
    ctx.put(grant_place(credential), encode(Granted(uses, 0, ctx.block.height)))
    ctx.emit("authorised", credential=credential, uses=uses)


def begin(ctx: CallContext, args: Arguments) -> None:
    """Counts one use; what may have changed since the host looked is judged here."""
    credential, request = cast(str, args["credential"]), cast(bytes, args["request"])
    before = ctx.get(request_place(request))
    if before is not None:
        ctx.refuse("govdata.begun", decode_begun(before))
    raw = ctx.get(grant_place(credential))
    if raw is None:
        ctx.refuse("govdata.no_grant", credential)
    _valid(ctx, credential)
    granted = decode_granted(raw)
    if granted.used >= granted.uses:
        ctx.refuse("govdata.used_up", credential, granted.uses)
    number = granted.used + 1
    use = Use(request, cast(bytes, args["consumer"]), ctx.principal, ctx.block.time_ms, "", b"", ctx.block.height)
    ctx.put(grant_place(credential), encode(replace(granted, used=number)))
    ctx.put(use_place(credential, number), encode(use))
    ctx.put(request_place(request), encode_begun(credential, number))
    ctx.emit("begun", credential=credential, number=number, request=request, consumer=use.consumer)


def settle(ctx: CallContext, args: Arguments) -> None:
    """The bureau's receipt for a begun use."""
    credential, number = cast(str, args["credential"]), cast(int, args["number"])
    raw = ctx.get(use_place(credential, number))
    if raw is None:
        ctx.refuse("govdata.no_use", credential, number)
    use = decode_use(raw)
    if use.by != ctx.principal:
        ctx.refuse("govdata.not_yours", use.by)
    if use.settled:
        ctx.refuse("govdata.settled", number)
    bureau, receipt = cast(str, args["bureau"]), cast(bytes, args["receipt"])
    if not bureau.isascii() or ctx.get(bureau_place(bureau)) is None:
        ctx.refuse("govdata.no_bureau", bureau)
    ctx.put(use_place(credential, number), encode(replace(use, bureau=bureau, receipt=receipt)))
    ctx.emit("settled", credential=credential, number=number, bureau=bureau, receipt=receipt)


def _valid(ctx: CallContext, credential: str) -> tuple[CredentialRecord, DidRecord]:
    """The credential's record and its issuer's, both in force in this block."""
    raw = ctx.read(IDENTITIES, credential_place(credential))
    if raw is None:
        ctx.refuse("govdata.no_credential", credential)
    record = decode_credential(raw)
    issuer = ctx.read(IDENTITIES, did_place(record.issuer))
    known = None if issuer is None else decode_did(issuer)
    if known is None or not known.active or record.status != VALID:
        ctx.refuse("govdata.revoked", credential)
    if not record.valid_from_ms <= ctx.block.time_ms < record.expires_ms:
        ctx.refuse("govdata.over", credential)
    return record, known
