"""Step: the regulator's desk: a notice of an upgrade (art. 14), an inspection to its end (art. 24, 25)."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.packets import count_in
from dualchain.demo.actors import Actor, Desk
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove
from supervisory_chain.desk.records import DESK, matter_key, next_key

NAME = "desk"
AHEAD_DAYS, SHORT_DAYS, RECTIFY_DAYS = 45, 5, 30


class DeskStory:
    """Who does what with the records of one market."""

    def __init__(self, upper: Desk, operator: Actor, market: bytes, today: int) -> None:
        self.upper, self.operator, self.market, self.today = upper, operator, market, today

    async def give_notice(self) -> int:
        """An upgrade that breaks: five days ahead is refused, 45 days are enough; the notice's number."""
        number = await self._next()
        args: dict[str, Value] = {
            "chain": self.market,
            "kind": "upgrade",
            "subject": "接口升级 interface, next version",
            "compatible": False,
            "plan": sm3("升级方案".encode()),
        }
        for days in (SHORT_DAYS, AHEAD_DAYS):
            given = {**args, "effective_day": self.today + days}
            label = f"upgrade announced {days} days ahead"
            transaction = self.upper.sign(label, self.operator, [Operation(DESK, "give_notice", given)])
            if days == SHORT_DAYS:
                await self.upper.refused(transaction, "desk.too_soon")
            else:
                await self.upper.accepted([transaction])
        return number

    async def inspect(self, provincial: Actor) -> int:
        """Found and transferred by the regional office, rectified, closed by the provincial regulator; its number."""
        number = await self._next()
        office = self.upper.genesis_actor("office")
        opening: dict[str, Value] = {
            "chain": self.market,
            "subject": "节点机房门禁记录不全 access records of a machine room",
            "severity": 1,
            "document": sm3("检查报告".encode()),
        }
        await self._accepted("inspection opened", office, "open_inspection", opening)
        deadline: dict[str, Value] = {"deadline_day": self.today + RECTIFY_DAYS}
        await self._take("transfer", number, office)
        await self._take("accept", number, provincial)
        await self._take("order_rectification", number, provincial, **deadline)
        await self._take("report_rectification", number, self.operator)
        own: dict[str, Value] = {"number": number, "document": sm3(b"close")}
        alone = self.upper.sign("inspection closed by its opener", office, [Operation(DESK, "close_inspection", own)])
        await self.upper.refused(alone, "desk.four_eyes")
        await self._take("close_inspection", number, provincial)
        return number

    async def advise(self, markets: Sequence[tuple[Actor, bytes]]) -> list[int]:
        """An advisory to all markets: the first one patches, the others are unaffected; numbers of all records."""
        issuer, closer = self.upper.genesis_actor("csrc-issuer"), self.upper.genesis_actor("csrc-checker")
        number, paper = await self._next(), sm3("安全公告".encode())
        issued: dict[str, Value] = {
            "subject": "依赖库漏洞 a flaw in a library",
            "component": "example-library",
            "versions": ["1.0.0"],
            "severity": 2,
            "deadline_day": self.today + RECTIFY_DAYS,
            "document": paper,
        }
        await self._accepted("advisory issued", issuer, "issue_advisory", issued)
        numbers = [number]
        for operator, chain in markets:
            own: dict[str, Value] = {
                "chain": chain,
                "subject": "example-library",
                "advisory": number,
                "document": paper,
            }
            numbers.append(await self._next())
            await self._accepted("advisory acknowledged", operator, "acknowledge", own)
            first = len(numbers) == 2
            more: dict[str, Value] = {"version": "1.0.1"} if first else {}
            await self._take("record_patch" if first else "declare_unaffected", numbers[-1], operator, **more)
        await self._take("close_advisory", number, closer)
        return numbers

    async def keep(self, book: EvidenceBook, *numbers: int) -> None:
        """The records as they stand, under one header."""
        keys = [next_key(), *(matter_key(number) for number in numbers)]
        await prove(self.upper, book, NAME, [lambda _: keys])

    async def _next(self) -> int:
        _, (raw,) = await self.upper.client.state([next_key()])
        return count_in(raw)

    async def _take(self, step: str, number: int, who: Actor, **more: Value) -> None:
        args: dict[str, Value] = {"number": number, "document": sm3(f"{step} {number}".encode()), **more}
        await self._accepted(f"desk: {step}", who, step, args)

    async def _accepted(self, label: str, who: Actor, method: str, args: dict[str, Value]) -> None:
        await self.upper.accepted([self.upper.sign(label, who, [Operation(DESK, method, args)])])
