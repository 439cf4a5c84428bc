"""The regulator's chapters of the story: admission, identity, the desk, data, a market's own template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dualchain.demo.admission_story import apply, decide, prove_admission, test_jointly
from dualchain.demo.data_story import DataStory
from dualchain.demo.days import today
from dualchain.demo.desk_story import AHEAD_DAYS, DeskStory
from dualchain.demo.filing_story import file_own
from dualchain.demo.govdata_story import GovernmentDataStory
from dualchain.demo.identity_story import identify, prove_did
from dualchain.demo.layout import MARKETS, PROVINCIAL
from dualchain.demo.market_setup import issuer_of, rolls_of
from dualchain.demo.onboarding import refuse_second_chain
from dualchain.demo.risk_story import drill

if TYPE_CHECKING:
    from dualchain.demo.service_story import ServiceStory
    from dualchain.demo.story import Story

Start = Callable[["Story", Mapping[str, Sequence[str]]], Awaitable[None]]
"""Starts processes and waits until they serve."""

TESTER = "tester"


async def apply_all(story: Story) -> None:
    """Both operators apply; a second chain of a market is refused."""
    upper = story.upper
    for market in MARKETS:
        await apply(upper, upper.actors[f"operator-{market}"], story.chains[market])
    case, rule = await refuse_second_chain(upper, upper.actors["operator-BJ"], story.chains["BJ"])
    story.report.step("registration 登记", "two market chains registered (art. 7, 10, 16)")
    story.report.fact(f"refused: {case} ({rule})")


async def admit_all(story: Story) -> None:
    """Joint test, evidence, two officers; then what the admissions rest on, proven."""
    upper = story.upper
    tested = await asyncio.gather(
        *(
            test_jointly(upper, story.desks[market], upper.actors[TESTER], story.work / f"joint-test-{market}")
            for market in MARKETS
        )
    )
    story.report.step(
        "joint test 联调测试", f"{sum(tested)} checks of JR/T 0314 on two nodes' interfaces a market, all passed"
    )
    refused = []
    for market in MARKETS:
        refused += await decide(upper, upper.actors[f"operator-{market}"], story.chains[market], today())
        await prove_admission(upper, story.book, story.chains[market])
    text = "assessment, penetration test, level 3 protection and filing accepted by the regional office; two officers"
    story.report.step("admission 准入", f"{text} (art. 4, 6, 15)")
    for case, rule in refused:
        story.report.fact(f"refused: {case} ({rule})")


async def identify_all(story: Story) -> None:
    """The same person in both markets: one code, a DID in each."""
    found = []
    for market in MARKETS:
        desk = story.desks[market]
        holder = next(row.holder for row in story.day.investors if row.market == market)
        one = await identify(desk, story.upper, desk.actors[holder])
        await prove_did(desk, story.upper, story.book, one.did)
        found.append(one)
    story.report.step("identity 数字身份", f"one investor, one code in both markets: {found[0].code} (art. 11)")
    for one in found:
        story.report.fact(f"{one.did}, known to the supervisory chain")


async def keep_data(story: Story) -> None:
    """The three tiers on one market's chain."""
    await DataStory(story.desks["BJ"]).keep(story.work / "objects", story.book)
    text = "public in plain, limited sealed for the bank, supervision data off the chain with its commitment on it"
    story.report.step("data 数据分级", f"{text} (art. 17)")


async def file_template(story: Story) -> None:
    """A template of the market's own."""
    folder = story.work / "templates"
    folder.mkdir()
    upper, lower = story.upper, story.desks["BJ"]
    number = await file_own(upper, lower, upper.actors["operator-BJ"], folder, story.book)
    story.report.step(
        "filing 模板备案", f"BJ's own template approved by two officers and by its governors, as {number} (art. 8)"
    )
    story.report.fact("refused: approval by one officer alone (desk.four_eyes)")


async def regulate(story: Story) -> None:
    """A notice, an inspection, an advisory."""
    upper = story.upper
    operators = {market: upper.actors[f"operator-{market}"] for market in MARKETS}
    market = story.chains["JS"].view().genesis_hash
    desk = DeskStory(upper, operators["JS"], market, today())
    notice = await desk.give_notice()
    inspection = await desk.inspect(upper.genesis_actor(PROVINCIAL["JS"]))
    chains = {name: (operators[name], story.chains[name].view().genesis_hash) for name in MARKETS}
    advisory = await desk.advise(list(chains.values()))
    await desk.keep(story.book, notice, inspection, *advisory)
    report = story.report
    report.step("notice 升级通知", f"an incompatible upgrade of JS announced {AHEAD_DAYS} days ahead (art. 14)")
    report.fact("refused: announced 5 days ahead (desk.too_soon)")
    report.step(
        "inspection 检查", "found and transferred by the regional office, closed by the provincial regulator (art. 24)"
    )
    report.fact("refused: closing by the office that opened it (desk.four_eyes)")
    await drill(upper, operators["JS"], [chain for _, chain in chains.values()], story.book)
    report.step("advisory 安全公告", "acknowledged by both markets, one patched, one unaffected; closed (art. 13)")
    report.step("risk 风险监测", "a threshold lowered by two officers raised an alarm; set back, it cleared (art. 25)")


async def ask_government_data(story: Story, service: ServiceStory, start: Start) -> None:
    """The bureau and the channel are processes of their own; each use is counted on BJ's chain before it is made."""
    lower = story.desks["BJ"]
    enterprise = lower.actors[issuer_of(next(iter(rolls_of(story.day, "BJ"))))]
    told = GovernmentDataStory(service, lower, story.desks["JS"], enterprise)
    await asyncio.gather(told.settle_in(), start(story, await told.write_configs(story.work)))
    channel = await told.publish()
    found = await told.ask(channel, await told.authorise())
    await told.keep(story.book)
    text = f"an enterprise authorised JS; use {found.number} of {found.uses}, the bureau's receipt on chain (art. 12)"
    story.report.step("government data 政务数据", text)
    story.report.fact(f"source mark: {found.source['bureau_name']}, market {found.source['market']}")
    story.report.fact("refused: an item that was not authorised (ITEM_NOT_AUTHORISED), a second use (USED_UP)")
