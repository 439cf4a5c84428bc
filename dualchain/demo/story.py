"""The demonstration from beginning to end: real processes, the market's day, evidence, summary."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chain_core.node.verifying_client import VerifyingClient
from dualchain.demo import border, bundle, chapters, market_setup, observe, onboarding, trading
from dualchain.demo.actors import Desk
from dualchain.demo.days import date_of, run_days
from dualchain.demo.evidence import EvidenceBook, load, write_manifest, write_summary
from dualchain.demo.inputs import MarketDay, copy_inputs, read_market_day
from dualchain.demo.kept import strike_out, write_down
from dualchain.demo.layout import (
    MARKETS,
    SUPERVISORY,
    Chain,
    Layout,
    WorkDirectoryRefused,
    lay_out,
    open_work_directory,
)
from dualchain.demo.processes import ProcessGroup
from dualchain.demo.report import Report
from dualchain.demo.service_story import ServiceStory
from dualchain.demo.summary import AFTER, BEFORE, CASH, summarise
from dualchain.guideline.config import FILE, write_config
from service_registry.consumer import Answered
from service_registry.joint_test import Outcome

READY_S = 60.0
STAFF: dict[str, tuple[str, tuple[str, ...]]] = {
    "gateway": ("赋能服务平台 gateway", ("gateway",)),
    "tester": ("跨链联调测试机构", ("tester",)),
}


@dataclass(slots=True)
class Story:
    """One run: its work directory, what it reads, its processes and what it has proven."""

    work: Path
    inputs: Path
    report: Report
    day: MarketDay
    layout: Layout
    group: ProcessGroup
    desks: dict[str, Desk] = field(default_factory=dict)
    book: EvidenceBook = field(default_factory=EvidenceBook)

    @property
    def chains(self) -> dict[str, Chain]:
        """The laid-out chains by label."""
        return self.layout.chains

    @property
    def upper(self) -> Desk:
        """The supervisory chain's desk."""
        return self.desks[SUPERVISORY]

    @property
    def evidence(self) -> Path:
        """Where the evidence goes."""
        return self.work / "evidence"

    def questions(self, label: str) -> list[str]:
        """Queries that a reader may put to this chain."""
        if label == SUPERVISORY:
            return [f"supervisory market {market}" for market in MARKETS]
        desk = self.desks[label]
        securities = market_setup.rolls_of(self.day, label)
        roll = [f"local roll {market_setup.security_id(desk, security).hex()}" for security in list(securities)[:1]]
        held = [
            f"local holdings --account {desk.actors[row.holder].account.hex()}"
            for row in self.day.investors
            if row.market == label
        ]
        return [*roll, *held[:1], "local calendar"]


def prepare(work: Path, inputs: Path, report: Report, *, replace: bool = False) -> Story:
    """Check the input whole, then lay out the chains. BadInput and WorkDirectoryRefused come before all else."""
    now_ms = time.time_ns() // 1_000_000
    days = run_days(now_ms)
    read_market_day(inputs, days)
    work = work.resolve()
    if inputs.resolve().is_relative_to(work):
        what = "the input lies in the directory that is to be written"
        raise WorkDirectoryRefused(what, where=str(inputs), next_step="copy it elsewhere, or name another --work-dir")
    open_work_directory(work, replace=replace)
    # What runs is a copy: whoever edits the originals meanwhile changes neither the story nor its evidence.
    copied = copy_inputs(inputs, work / "inputs")
    day = read_market_day(copied, days)
    layout = lay_out(work, day.calendar, now_ms, parameters={})
    write_config(work / FILE, layout.chains, SUPERVISORY)
    story = Story(work, copied, report, day, layout, ProcessGroup(work / "logs"))
    report.step("genesis 创世", "three chains laid out, each identified by the SM3 of its genesis document")
    for chain in story.chains.values():
        report.fact(f"{chain.genesis.chain_id}: {chain.view().genesis_hash.hex()}")
    for number in sorted(day.calendar.opened):
        report.fact(f"{date_of(number)} is no trading day by the calendar: this genesis makes it one (演示开市)")
    return story


async def run(story: Story) -> None:
    """All steps; the network is left running (the caller stops it). ProcessFailed as soon as a process ends."""
    telling, watching = asyncio.create_task(_tell(story)), asyncio.create_task(story.group.watch())
    try:
        await asyncio.wait((telling, watching), return_when=asyncio.FIRST_COMPLETED)
        # A process that died is the cause of whatever else went wrong.
        story.group.check()
        await (telling if telling.done() else watching)
    finally:
        for task in (telling, watching):
            task.cancel()
        await asyncio.gather(telling, watching, return_exceptions=True)


async def _tell(story: Story) -> None:
    await start_nodes(story)
    await onboard(story)
    await chapters.apply_all(story)
    await _together(set_up_market(story, market) for market in MARKETS)
    await chapters.admit_all(story)
    await try_forgeries(story)
    await start_relayers(story)
    await direct(story)
    await chapters.file_template(story)
    await _together(trade(story, market) for market in MARKETS)
    await chapters.identify_all(story)
    await chapters.keep_data(story)
    await cross(story)
    await serve(story)
    await chapters.regulate(story)
    await close_books(story)


async def _together(parts: Iterable[Coroutine[object, object, None]]) -> None:
    """Side by side; the first refusal ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _start(story: Story, commands: Mapping[str, Sequence[str]]) -> None:
    """Start processes; those that run are written down, so that `demo stop` finds them whatever happens to us."""
    try:
        await story.group.start_all(commands, READY_S)
    finally:
        write_down(story.work, {name: one.process.pid for name, one in story.group.running.items()})


async def start_nodes(story: Story) -> None:
    """Twelve node processes."""
    commands = {name: line for chain in story.chains.values() for name, line in chain.commands().items()}
    await _start(story, commands)
    for label, chain in story.chains.items():
        story.desks[label] = Desk(chain, VerifyingClient(chain.view(), chain.addresses, chain.security()))
    story.report.step("processes 节点启动", f"{len(commands)} node processes serve, four a chain")


async def onboard(story: Story) -> None:
    """Accounts; what may not register."""
    upper, report = story.upper, story.report
    names: dict[str, tuple[str, tuple[str, ...]]] = {f"operator-{m}": (MARKETS[m][1], ("operator",)) for m in MARKETS}
    names |= STAFF
    names |= {f"relayer-{m}": (MARKETS[m][1], ()) for m in MARKETS}
    await onboarding.register_accounts(upper, names)
    operator = upper.actors["operator-BJ"]
    refused = await onboarding.refuse_bad_registrations(upper, operator, story.chains["BJ"])
    report.step("applications 申请", "four applications that may not enter are refused, each by its rule")
    for case, rule in refused:
        report.fact(f"refused: {case} ({rule})")


async def start_relayers(story: Story) -> None:
    """One process a market, both directions; nobody believes it."""
    commands = {}
    for market in MARKETS:
        config = story.work / f"relayer-{market}.toml"
        lower = story.desks[market]
        lower.genesis_actor("relayer")
        border.write_relayer_config(config, story.upper, lower, f"relayer-{market}", "relayer")
        commands[f"relayer-{market}"] = ["relayer", "run", "--config", str(config)]
    await _start(story, commands)
    story.report.step(
        "relayers 中继", "two relayer processes carry headers, reports and directives; all they bring is verified"
    )


async def set_up_market(story: Story, market: str) -> None:
    """Investors, suitability, rolls, client money; then the rolls as proven before the day."""
    desk, day = story.desks[market], story.day
    accounts = await market_setup.register_investors(desk, day)
    proofs = await market_setup.record_suitability(desk, day)
    rolls = await market_setup.take_rolls_into_custody(desk, day)
    money = await market_setup.deposit_cash(desk, day)
    securities = [market_setup.security_id(desk, security) for security in rolls]
    await observe.prove_rolls(desk, story.book, BEFORE, securities)
    text = f"{market}: {accounts} accounts, {proofs} suitability proofs, {sum(rolls.values())} holdings"
    text += f" in {len(rolls)} rolls, {money / 100:,.2f} yuan of client money"
    story.report.step("custody 登记托管", text)
    story.report.fact("every roll proven complete under one certified header, equal to roll.csv")


async def direct(story: Story) -> None:
    """The regulator's directives, binding before the day's business."""
    for market in MARKETS:
        rows = [row for row in story.day.directives if row.market == market]
        if not rows:
            continue
        desk = story.desks[market]
        before = (await desk.client.header()).height
        count = await border.issue_directives(story.upper, desk, rows)
        await border.prove_acknowledgements(story.book, desk, before)
        await border.prove_directives(story.upper, story.book, desk, count)
        text = f"{count} for {market}: issued, confirmed by a second officer, executed, acknowledged with proof"
        story.report.step("directives 监管指令", text)
        for row in rows:
            story.report.fact(f"{row.directive}: {row.holder} frozen ({row.reason})")


async def trade(story: Story, market: str) -> None:
    """The day's orders; then rolls and money as proven after it."""
    desk, day = story.desks[market], story.day
    outcomes = await trading.run_orders(desk, [order for order in day.orders if order.market == market])
    settled = sum(outcome.settled for outcome in outcomes)
    securities = [market_setup.security_id(desk, security) for security in market_setup.rolls_of(day, market)]
    await observe.prove_rolls(desk, story.book, AFTER, securities)
    accounts = [desk.actors[i.holder].account for i in day.investors if i.market == market]
    await observe.prove_cash(desk, story.book, CASH, accounts)
    story.report.step(
        "transfers 协议转让", f"{market}: {settled} of {len(outcomes)} settled (DvP), {len(outcomes) - settled} refused"
    )
    for outcome in outcomes:
        if not outcome.settled:
            order, proven = outcome.order, outcome.last.proven
            what = f"{order.order} {order.seller} → {order.buyer}, {order.quantity:,} {order.security}"
            zh, en = (trading.in_the_input_s_words(desk, day, text) for text in (proven.text_zh, proven.text_en))
            story.report.fact(f"{what}: {zh} / {en}")


async def try_forgeries(story: Story) -> None:
    """Before any relayer runs, a courier with an ordinary account offers altered headers."""
    refused = await border.refuse_forgeries(story.upper, story.desks["BJ"], story.upper.actors["relayer-BJ"])
    story.report.step("forgeries 伪造", f"{len(refused)} forgeries of a courier refused by the supervisory chain")
    for case, rule in refused:
        story.report.fact(f"refused: {case} ({rule})")


async def cross(story: Story) -> None:
    """What the supervisory chain verified of the markets."""
    for market in MARKETS:
        lower = story.desks[market]
        await border.wait_for_reports(story.upper, lower)
        found = await border.prove_crossing(story.upper, story.book, lower)
        text = f"{market} followed to height {found.followed_height}, its own header {found.followed_hash.hex()[:16]}…"
        text += f"; {found.reports} reports of {found.transactions} transactions proven"
        story.report.step("supervision 穿透监管", text)


async def serve(story: Story) -> None:
    """One market publishes a service, another one uses it, through gateway and joint test."""
    service = ServiceStory(story.upper, story.desks["BJ"], story.layout.gateway, story.layout.lookup)
    try:
        before = (await story.upper.client.header()).height
        await service.trust()
        await _start(story, service.write_configs(story.work))
        security = next(iter(market_setup.rolls_of(story.day, "BJ")))
        tested = await service.publish(security)
        answered = await service.use(security, story.book)
        _tell_of_service(story, tested, answered)
        await chapters.ask_government_data(story, service, _start)
        await service.keep_records(story.book, before)
    finally:
        await service.close()


def _tell_of_service(story: Story, tested: Outcome, answered: Answered) -> None:
    report, roll = story.report, answered.roll
    checks = ", ".join(tested.report.checks)
    report.step("service 赋能服务", f"holder-roll look-up of BJ drafted, jointly tested ({checks}), registered, online")
    report.fact("refused: registration before the joint test (services.not_tested)")
    report.fact("refused and recorded: a call of JS before BJ confirmed it (NOT_AUTHORISED)")
    if roll is not None:
        text = f"{len(roll.holders)} holders, {roll.total:,} units, complete under BJ's header {roll.header.height}"
        report.fact(f"JS applied, BJ confirmed, JS called: {text}; signed by both sides, recorded on chain")


async def close_books(story: Story) -> None:
    """Evidence, read back and verified; the summary computed from it alone."""
    for label, desk in story.desks.items():
        for raw, found in desk.evidence:
            story.book.receipt(label, raw, found)
    story.book.write(story.evidence, {label: c.genesis_bytes for label, c in story.chains.items()}, story.inputs)
    summary = await asyncio.to_thread(lambda: summarise(load(story.evidence)))
    write_summary(story.evidence, summary)
    manifest = write_manifest(story.evidence)
    shutil.copyfile(story.evidence / "summary.json", story.work / "summary.json")
    hashes = [chain.view().genesis_hash.hex() for chain in story.chains.values()]
    await bundle.write_one(story.desks["BJ"], story.work, story.report)
    story.report.close(summary, story.evidence, hashes, manifest)


async def finish(story: Story) -> None:
    """End the clients and all processes."""
    await close_clients(story)
    forced = await story.group.stop()
    strike_out(story.work)
    if forced:
        story.report.fact(f"ended by force: {', '.join(forced)}")


async def close_clients(story: Story) -> None:
    """The story asks no more."""
    await asyncio.gather(*(desk.client.close() for desk in story.desks.values()), return_exceptions=True)
