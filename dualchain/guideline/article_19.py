"""Article 19: every call across chains leaves an auditable record, signed by both sides, on the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.crypto.providers import signing_provider
from dualchain.guideline.asking import Found
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.published import trusted
from service_registry.batch_records import batch_key, decode_batch, rows_hash
from service_registry.bodies import REPLIED, call_message, read_call, reply_message
from service_registry.records import SERVICES, AccessLog, Service, decode, log_key, service_key

REQUIREMENT = Text(
    "跨链数据交互、服务调用、合约执行在链上留有可审计的访问记录，来源与签名可验",
    "calls across chains leave auditable records on chain, with source and signatures",
)
RECORD, BATCH = "record_access", "record_batch"


async def check(exam: Examination) -> None:
    """The newest records, single ones and a batch: signatures, the caller's log that counts them, the batch's root."""
    upper = exam.network.upper
    single = await upper.last(lambda one: not one.receipt.code and bool(one.operations(SERVICES, RECORD)))
    batch = await upper.last(lambda one: not one.receipt.code and bool(one.operations(SERVICES, BATCH)))
    if single is None and batch is None:
        exam.lacks("近期没有服务调用记录", "no service was called lately")
    if single is not None:
        await _single(exam, single)
    if batch is not None:
        await _batch(exam, batch)


async def _batch(exam: Examination, found: Found) -> None:
    """Only the root of a batch is on the chain: it is the one that the gateway handed in."""
    for operation in found.operations(SERVICES, BATCH):
        args: Mapping[str, Any] = operation.args
        key = state_key(SERVICES, batch_key(found.envelope.body.account, args["number"]))
        raw, place = await exam.network.upper.value(key)
        if raw is None:  # it left the state with the right to dispute it
            continue
        kept = decode_batch(raw)
        if exam.require(
            (kept.root, kept.count, kept.rows) == (args["root"], args["count"], rows_hash(args["rows"])),
            f"批次 {args['number']} 的访问记录与链上不符",
            f"the records of batch {args['number']} are not those on the chain",
        ):
            zh = f"批次 {args['number']}：{kept.count} 次调用的访问记录"
            exam.show(zh, f"batch {args['number']}: records of {kept.count} calls", place)
            exam.show("提交该批次的交易", "the transaction that handed it in", found.place)


async def _single(exam: Examination, found: Found) -> None:
    for operation in found.operations(SERVICES, RECORD):
        for row in cast(Sequence[Mapping[str, Any]], operation.args["records"]):
            await _record(exam, found, row)
    exam.show("最近的访问记录", "the newest access records", found.place)


async def _record(exam: Examination, found: Found, row: Mapping[str, Any]) -> None:
    upper = exam.network.upper
    call = read_call(row["call"])
    name = f"{call.service.hex()[:8]}…#{call.call_id}"
    raw, _ = await upper.value(state_key(SERVICES, service_key(call.service)))
    if (
        not exam.require(raw, f"调用 {name} 的服务未注册", f"the service of call {name} is not registered")
        or raw is None
    ):
        return
    publisher = decode(Service, raw).publisher
    parties = [(call.consumer, call_message(upper.hash, row["call"]), row["consumer_signature"])]
    if row["code"] in REPLIED:
        parties.append((publisher, reply_message(upper.hash, row["reply"]), row["publisher_signature"]))
    for account, message, signature in parties:
        certificate = await trusted(upper, account)
        # A key that was replaced since: the contract verified the record by the one before.
        if certificate is not None and certificate.height < found.header.height:
            exam.require(
                signing_provider().sm2_verify(certificate.key, message, signature),
                f"调用 {name} 的一方签名无效",
                f"a signature on the record of call {name} does not hold",
            )
    log, place = await upper.value(state_key(SERVICES, log_key(call.service, call.consumer)))
    counted = 0 if log is None else decode(AccessLog, log).calls
    if exam.require(counted, f"调用 {name} 未计入访问日志", f"the access log does not count the call {name}"):
        exam.show(f"访问日志计 {counted} 次调用", f"the caller's log counts {counted} calls", place)
