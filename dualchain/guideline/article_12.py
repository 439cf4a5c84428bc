"""Article 12: government data are called by the data owner's authorisation; each call is counted and receipted."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from crosschain.identity.data_uses import GOVDATA, Granted, Use, bureau_place, decode_granted, decode_use, full_key
from crosschain.identity.records import DATA_AUTHORIZATION, IDENTITIES, decode_credential
from dualchain.guideline.asking import AskedChain, Found, Place
from dualchain.guideline.examination import Examination, Text

REQUIREMENT = Text(
    "建立地方政务数据调用通道，根据企业或数据拥有方的授权调用和使用",
    "a channel to government data; called and used by the authorisation of the enterprise that owns them",
)
_HASH, _NUMBER_BYTES = 32, 4


async def check(exam: Examination) -> None:
    """Every use that is found: granted by a credential of the owner, within its bounds, with the bureau's receipt."""
    settled = 0
    for code, chain in exam.network.markets.items():
        with exam.about(code):
            settled += await _uses(exam, code, chain)
    if not settled:
        exam.lacks("尚未按授权调用过政务数据", "government data were never called by an authorisation")


async def _uses(exam: Examination, code: str, chain: AskedChain) -> int:
    prefix, settled = full_key(b"u"), 0
    for key, (raw, place) in (await chain.listed(GOVDATA, b"u")).items():
        credential = key[len(prefix) : len(prefix) + _HASH]
        number, use = int.from_bytes(key[-_NUMBER_BYTES:], "big"), decode_use(raw)
        name = f"{credential.hex()[:8]}…#{number}"
        granted, _ = await chain.value(full_key(b"g" + credential))
        if exam.require(granted, f"{code} 的使用 {name} 没有授权", f"the use {name} on {code} was never granted"):
            _within(exam, code, name, number, decode_granted(granted or b""))
        await _owner(exam, code, chain, name, credential, use)
        if use.settled:
            settled += 1
            await _receipt(exam, code, chain, name, use, place)
    return settled


def _within(exam: Examination, code: str, name: str, number: int, granted: Granted) -> None:
    exam.require(
        number <= granted.used <= granted.uses,
        f"{code} 的使用 {name} 超出授权的 {granted.uses} 次",
        f"the use {name} on {code} is beyond the {granted.uses} that were granted",
    )


async def _owner(exam: Examination, code: str, chain: AskedChain, name: str, credential: bytes, use: Use) -> None:
    raw, _ = await chain.value(state_key(IDENTITIES, b"c" + credential))
    if not exam.require(raw, f"{code} 的使用 {name} 没有凭证", f"there is no credential for the use {name}") or not raw:
        return
    record = decode_credential(raw)
    exam.require(
        record.kind == DATA_AUTHORIZATION and record.issuer == record.subject,
        f"{code} 的使用 {name} 不是数据拥有方授权的",
        f"the use {name} on {code} was not authorised by the owner of the data",
    )
    exam.require(
        record.valid_from_ms <= use.begun_ms < record.expires_ms,
        f"{code} 的使用 {name} 不在授权有效期内",
        f"the use {name} on {code} is outside of the authorisation's time",
    )


async def _receipt(exam: Examination, code: str, chain: AskedChain, name: str, use: Use, place: Place) -> None:
    raw, _ = await chain.value(full_key(bureau_place(use.bureau)))
    if not exam.require(raw, f"{code} 的数据主管部门未登记", f"the bureau behind the use {name} is not named"):
        return
    zh = f"{code} 按授权调用政务数据，回执 SM3 {use.receipt.hex()[:16]}…"
    exam.show(zh, f"government data were used on {code}, receipt {use.receipt.hex()[:16]}…", place)

    def begins(found: Found) -> bool:
        return any(operation.args["request"] == use.request for operation in found.operations(GOVDATA, "begin"))

    counted = await chain.at(use.height, begins)
    if (
        exam.require(counted, f"{code} 的使用 {name} 没有计数交易", f"no transaction counted the use {name}")
        and counted
    ):
        exam.show("调用前计数的交易", "the transaction that counted it beforehand", counted.place)
