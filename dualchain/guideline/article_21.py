"""Article 21: services of one market are offered to all of them through the supervisory chain's registry."""

from __future__ import annotations

from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.published import published
from dualchain.guideline.registered import registered
from service_registry.records import CONFIRMED, ONLINE

REQUIREMENT = Text(
    "通过监管链的赋能服务平台向全市场发布和提供创新服务",
    "services are offered to all markets through the supervisory chain's registry",
)


async def check(exam: Examination) -> None:
    """A service online whose publisher's chain is admitted, used by another market."""
    upper = exam.network.upper
    chains = {market.chain: market for market in await registered(upper)}
    online = [one for one in await published(upper) if one.service.status == ONLINE]
    if not online:
        exam.lacks("没有在线的服务", "no service is online")
    used = 0
    for one in online:
        name, market = one.service.reference, chains.get(one.service.chain)
        exam.require(
            market is not None and market.admitted,
            f"服务 {name} 的发布方所在链未准入",
            f"the chain behind the service {name} is not admitted",
        )
        exam.show(
            f"{one.service.market} 的服务 {name} 在线", f"{one.service.market}'s service {name} is online", one.place
        )
        for application, place in one.applications.values():
            if application.status == CONFIRMED:
                used += 1
                exam.require(
                    application.market != one.service.market,
                    f"服务 {name} 的使用方与发布方同属一个市场",
                    f"the service {name} is used by its own market",
                )
                exam.show(f"{application.market} 获准使用 {name}", f"{application.market} may use {name}", place)
    if online and not used:
        exam.lacks("没有其他市场使用在线服务", "no other market uses a service yet")
