"""Article 22: tested, then registered; defined strictly; used after application and confirmation, with trusted
certificates on both sides."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.types.validator_set import same_entity
from crosschain.packets import CHAINS
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.published import Published, published, trusted
from service_registry.bodies import PASS, read_report, report_message
from service_registry.definition import read_definition
from service_registry.records import (
    CONFIRMED,
    DRAFT,
    ONLINE,
    SERVICES,
    FiledReport,
    decode,
    definition_key,
    report_key,
)

REQUIREMENT = Text(
    "联调测试通过后方可注册上线；定义严谨；申请经确认后使用；双方上传可信证书",
    "joint test before registration; strict definition; use after confirmation; certificates of both sides",
)


async def check(exam: Examination) -> None:
    """Each service with a version in force: definition, signed report of an independent tester, applications."""
    upper = exam.network.upper
    found = [one for one in await published(upper) if one.service.status != DRAFT]
    if not found:
        exam.lacks("没有注册过的服务", "no service was ever registered")
    for one in found:
        with exam.about(one.service.reference):
            exam.show(f"服务 {one.service.reference} 已注册", f"the service {one.service.reference}", one.place)
            await _tested(exam, one)
            await _parties(exam, one)


async def _tested(exam: Examination, one: Published) -> None:
    upper, name, number = exam.network.upper, one.service.reference, one.service.version
    keys = [
        state_key(SERVICES, part) for part in (definition_key(one.identity, number), report_key(one.identity, number))
    ]
    proven = await upper.state(keys)
    raw, filed = proven[keys[0]], proven[keys[1]]
    version = one.version
    if version is None or raw is None or filed is None:
        exam.require(False, f"服务 {name} 未经测试即注册", f"the service {name} was registered without a joint test")
        return
    definition, report = read_definition(raw), decode(FiledReport, filed)
    told = read_report(report.report)
    exam.require(
        definition.name and definition.endpoints and sm3(raw) == version.definition_hash == told.definition_hash,
        f"服务 {name} 的定义不是被测试的定义",
        f"the definition of {name} is not the one that was tested",
    )
    signed = signing_provider().sm2_verify(report.key, report_message(upper.hash, report.report), report.signature)
    exam.require(
        signed and told.verdict == PASS and sm3(report.report) == version.report_hash,
        f"服务 {name} 的联调测试报告无效或未通过",
        f"the joint-test report of {name} is not signed, or not passed",
    )
    exam.require(
        same_entity(version.tester_entity) != same_entity(one.service.entity),
        f"服务 {name} 由发布方自己测试",
        f"the service {name} was tested by its publisher",
    )
    zh = f"服务 {name} 经“{version.tester_entity}”联调测试通过"
    exam.show(zh, f"{name} passed the joint test of {version.tester_entity}", proven.place(keys[1]))


async def _parties(exam: Examination, one: Published) -> None:
    upper, name = exam.network.upper, one.service.reference
    record, _ = await upper.value(state_key(CHAINS, b"r" + one.service.chain))
    exam.require(record is not None, f"服务 {name} 的链未注册", f"the chain behind {name} is not registered")
    if one.service.status == ONLINE:
        exam.require(
            await trusted(upper, one.service.publisher),
            f"服务 {name} 的发布方没有可信证书",
            f"the publisher of {name} has no trusted certificate",
        )
    for consumer, (application, place) in one.applications.items():
        if application.status == CONFIRMED:
            exam.require(
                await trusted(upper, consumer),
                f"服务 {name} 的使用方（{application.market}）没有可信证书",
                f"a consumer of {name} ({application.market}) has no trusted certificate",
            )
            exam.show(f"{application.market} 的申请已确认", f"{application.market}'s application was confirmed", place)
