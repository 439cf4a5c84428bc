"""``dualchain supervisory look``: the regulator's see-through queries 穿透查询 (docs/spec/see-through.md §9)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from chain_core.codec.values import decode_map
from chain_core.network.refusals import PermissionDenied
from chain_core.node import render
from chain_core.node.command import JSON, identifier, show
from chain_core.types.block import Header
from chain_core.types.errors import MalformedBytes
from contracts.codes.investor import investor_code_fault
from contracts.data.records import PUBLIC
from crosschain.looking.objects import AnchoredObject, TieredInquiry, TieredObject
from service_registry.config import load
from supervisory_chain import lookups
from supervisory_chain.looking import questions, rows
from supervisory_chain.looking.asking import Question
from supervisory_chain.looking.config import DeskConfig
from supervisory_chain.looking.desk import Desk, Looked, Query
from supervisory_chain.looking.evidence import write_evidence
from supervisory_chain.looking.questions import FoundTransaction, Proven
from supervisory_chain.looking.store import OK, stored_versions
from supervisory_chain.lookups import decode_log, entry_key, log_key

T = TypeVar("T")
INCOMPLETE = 3
SEE = "see docs/spec/see-through.md §9"

app = typer.Typer(
    help="See-through queries 穿透查询 over all markets: proven, complete, recorded before they are made.",
    no_args_is_help=True,
)

CONFIG = Annotated[Path, typer.Option("--config", help="The desk's TOML file.")]
PURPOSE = Annotated[str, typer.Option("--purpose", help=f"What for: {', '.join(lookups.PURPOSES)}.")]
REFERENCE = Annotated[str, typer.Option("--reference", help="The document that asks for it; it is recorded.")]
MARKETS = Annotated[list[str], typer.Option("--market", help="Region code; repeat. Without it all admitted markets.")]
EVIDENCE = Annotated[Path | None, typer.Option("--evidence", help="A new folder for the answer with all proofs.")]
_TIERED = re.compile(r"[0-9a-f]{32}\Z")


class NotAuthorised(PermissionDenied):
    """Contents of a protected tier without a grant in force."""

    code = "NOT_AUTHORISED"


@dataclass(frozen=True, slots=True)
class Shown:
    """One market's answer as it is shown, the header it stands under, and released bytes by file name."""

    header: Header
    row: render.Row
    contents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Options:
    config: Path
    purpose: str
    reference: str
    markets: list[str]
    evidence: Path | None
    as_json: bool

    def query(self, kind: str, subject: str, *, contents: bool = False) -> Query:
        """Raises MalformedBytes for a purpose that there is not."""
        if self.purpose not in lookups.PURPOSES:
            raise MalformedBytes(
                f"{self.purpose!r} is no purpose", where="--purpose", next_step=f"use {', '.join(lookups.PURPOSES)}"
            )
        return Query(kind, subject, self.purpose, self.reference, tuple(self.markets), contents)


@app.command()
def holder(
    code: Annotated[str, typer.Argument(help="Investor code (JR/T 0326 §6): Q, R or S and nine digits.")],
    config: CONFIG,
    purpose: PURPOSE,
    reference: REFERENCE,
    market: MARKETS = [],  # noqa: B006 - typer copies it
    evidence: EVIDENCE = None,
    as_json: JSON = False,
) -> None:
    """All that one investor has in all markets 持有人: account, cash, every holding with all that lies on it."""
    fault = investor_code_fault(code)
    if fault:
        raise MalformedBytes(f"{code!r} is no investor code: {fault}", where="CODE", next_step=SEE)
    options = _Options(config, purpose, reference, market, evidence, as_json)
    query = options.query(lookups.HOLDER, code)
    _run(options, query, questions.holder(code), _simple(lambda f: Shown(f.header, rows.holder(f), {})))


@app.command()
def enterprise(
    code: Annotated[str, typer.Argument(help="Unified social credit code 统一社会信用代码, 18 characters.")],
    config: CONFIG,
    purpose: PURPOSE,
    reference: REFERENCE,
    market: MARKETS = [],  # noqa: B006
    evidence: EVIDENCE = None,
    as_json: JSON = False,
) -> None:
    """An enterprise 企业: its record, every security it issued, each with its whole holder roll."""
    if len(code) != 18 or not code.isascii():
        raise MalformedBytes(f"{code!r} is no credit code of 18 characters", where="CODE", next_step=SEE)
    options = _Options(config, purpose, reference, market, evidence, as_json)
    query = options.query(lookups.ENTERPRISE, code)
    _run(options, query, questions.enterprise(code), _simple(lambda f: Shown(f.header, rows.enterprise(f), {})))


@app.command()
def transaction(
    transaction_id: Annotated[str, typer.Argument(metavar="ID", help="Transaction id, 64 hexadecimal digits.")],
    config: CONFIG,
    purpose: PURPOSE,
    reference: REFERENCE,
    market: MARKETS = [],  # noqa: B006
    evidence: EVIDENCE = None,
    as_json: JSON = False,
) -> None:
    """A transaction 交易 from order to settlement to roll: receipt, events, and what has become of what it touched."""
    identity = identifier(transaction_id, "ID", 32)
    options = _Options(config, purpose, reference, market, evidence, as_json)
    query = options.query(lookups.TRANSACTION, identity.hex())

    def shown(found: FoundTransaction) -> Shown:
        return Shown(found.became.header, rows.transaction(found), {})

    _run(options, query, questions.transaction(identity), _simple(shown))


@app.command("object")
def object_(
    object_id: Annotated[
        str, typer.Argument(help="Object id of JR/T 0314, or 32 hexadecimal digits of a data object.")
    ],
    config: CONFIG,
    purpose: PURPOSE,
    reference: REFERENCE,
    market: MARKETS = [],  # noqa: B006
    evidence: EVIDENCE = None,
    contents: Annotated[
        bool, typer.Option("--contents", help="Contents too: public ones, or with a grant to --reader in force.")
    ] = False,
    reader: Annotated[str, typer.Option("--reader", help="Your account in the market, 32 hexadecimal digits.")] = "",
    as_json: JSON = False,
) -> None:
    """A data object's history 数据对象: all anchored versions and their bytes, or its descriptor and readers."""
    options = _Options(config, purpose, reference, market, evidence, as_json)
    query = options.query(lookups.OBJECT, object_id, contents=contents)
    if _TIERED.match(object_id):
        who = identifier(reader, "--reader") if reader else b""
        inquiry = TieredInquiry(bytes.fromhex(object_id), who, contents)

        async def tiered(_: DeskConfig, code: str, found: TieredObject) -> Shown:
            return Shown(found.header, _released(found, contents), {})

        _run(options, query, questions.tiered(inquiry), tiered)
        return

    if contents and evidence is None:
        raise MalformedBytes("contents are written to files", where="--contents", next_step="name --evidence DIR")

    async def anchored(desk: DeskConfig, code: str, found: AnchoredObject) -> Shown:
        section = desk.of_market(code).store
        stored = await stored_versions(section, desk.directory, found) if section is not None else {}
        released = {f"{code}.{n}.snapshot": raw for n, (state, raw) in stored.items() if contents and state == OK}
        return Shown(found.header, rows.anchored(found, {n: state for n, (state, _) in stored.items()}), released)

    _run(options, query, questions.anchored(object_id), anchored)


def _released(found: TieredObject, contents: bool) -> render.Row:
    """A tiered object's row. Raises NotAuthorised when contents are asked for that nobody granted."""
    row = rows.tiered(found)
    descriptor = found.descriptor
    if not contents or descriptor is None or descriptor.tier == PUBLIC:
        return row
    if not found.authorised():
        raise NotAuthorised(
            f"the object is {descriptor.tier}, and no grant to --reader is in force",
            where=f"object {found.object_id.hex()}, height {found.header.height}",
            next_step="have the owner or a regulator grant it: dualchain local data grant",
        )
    return row | {"next": "dualchain local data get: the access is recorded on the market's chain, then released"}


@app.command()
def log(
    config: CONFIG,
    account: Annotated[str, typer.Option("--account", help="Whose, 32 hexadecimal digits; else your own.")] = "",
    as_json: JSON = False,
) -> None:
    """Who looked at what and for what 查询记录: all records of an account, proven without gaps."""
    loaded = load(DeskConfig, config, SEE)
    who = identifier(account or loaded.actor.account, "--account")

    async def work() -> render.Row:
        desk = Desk.open(loaded)
        try:
            header, (raw,) = await desk.client.state([log_key(who)])
            found = decode_log(raw)
            keys = [entry_key(who, number) for number in range(found.count)]
            entries: list[render.Row] = []
            for start in range(0, len(keys), 256):
                _, values = await desk.client.state(keys[start : start + 256])
                entries += [render.plain(decode_map(value or b"", "entry of a log")) for value in values]
            return {"account": who.hex(), "height": header.height, "count": found.count, "lookups": entries}
        finally:
            await desk.close()

    show(asyncio.run(work()) | {"verified": True}, as_json)


Render = Callable[[DeskConfig, str, T], Awaitable[Shown]]


def _simple(shown: Callable[[T], Shown]) -> Render[T]:
    async def render_one(_: DeskConfig, code: str, found: T) -> Shown:
        return shown(found)

    return render_one


def _run(options: _Options, query: Query, question: Question[Proven[T]], shown: Render[T]) -> None:
    """Looks, prints, writes the evidence; exit code 3 when a market is missing."""
    loaded = load(DeskConfig, options.config, SEE)

    async def work() -> tuple[Looked[Proven[T]], render.Row]:
        desk = Desk.open(loaded)
        try:
            looked = await desk.look(query, question)
            looked, unknown = questions.known_elsewhere(looked)
            made = {code: await shown(loaded, code, told.answer.found) for code, told in looked.answers.items()}
            documents = {code: desk.document(code) for code in made}
        finally:
            await desk.close()
        row = rows.summary(
            looked,
            {code: rows.market(code, looked.answers[code].endpoint, s.header, s.row) for code, s in made.items()},
        )
        row["unknown_to"] = sorted(unknown)
        if options.evidence is not None:
            contents = {name: raw for one in made.values() for name, raw in one.contents.items()}
            write_evidence(options.evidence, looked, row, documents, contents)
            row["evidence"] = str(options.evidence)
        return looked, row

    looked, row = asyncio.run(work())
    for alarm in looked.alarms:
        typer.echo(alarm.line(), err=True)
    show(row, options.as_json)
    if not looked.complete():
        typer.echo(f"INCOMPLETE: no proven answer of {', '.join(looked.missing)}", err=True)
        raise typer.Exit(INCOMPLETE)
