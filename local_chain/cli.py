"""``dualchain local``: make a market's chain, and ask its books with proofs."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.seen import state_key
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import (
    CLIENT_SECURITY,
    GENESIS,
    JSON,
    NEW_PASSPHRASE,
    NODES,
    PLAIN_KEYS,
    PLANS,
    Ports,
    answer,
    credentials,
    identifier,
    read_plans,
    show,
)
from chain_core.node.config import read_genesis
from chain_core.node.key_protection import protection
from chain_core.node.provision import (
    NodePlan,
    ProvisionRefused,
    make_accounts,
    make_validators,
    new_network,
    write_network,
)
from chain_core.node.validators_cli import validators_app
from chain_core.node.verifying_client import VerifyingClient
from contracts.codes.regions import REGIONS
from contracts.kernel.calendar import day_of, decode_calendar, is_weekday
from contracts.kernel.records import (
    CALENDAR,
    CASH,
    HOLDING,
    KERNEL,
    SECURITY,
    Status,
    decode_cash,
    decode_holding,
    decode_security,
)
from crosschain.proofs import check_holdings, check_roll, fetch_holdings, fetch_roll
from local_chain.adapter.cli import app as adapter_app
from local_chain.agreements.cli import agreement_app
from local_chain.calendar_source import installed_source, propose
from local_chain.channel_cli import channel_app
from local_chain.crosslog_cli import crosslog
from local_chain.data.cli import app as data_app
from local_chain.exporter.cli import app as exporter_app
from local_chain.genesis import MarketCalendar, check_votes, market_accounts, market_genesis
from local_chain.identity_desk.credential_cli import credential_app
from local_chain.identity_desk.did_cli import did_app
from local_chain.interface.cli import app as interface_app
from local_chain.ledgers_cli import ledgers_app
from local_chain.successor_cli import successor
from service_registry.resolver_cli import resolver_app

app = typer.Typer(help="A market's chain 地方业务链: make it, and ask its books with proofs.", no_args_is_help=True)
app.add_typer(validators_app(), name="validators")
app.add_typer(ledgers_app, name="ledgers")
app.add_typer(data_app, name="data")
app.add_typer(exporter_app, name="exporter")
app.add_typer(adapter_app, name="adapter")
app.add_typer(channel_app, name="channel")
app.add_typer(agreement_app, name="agreement")
app.add_typer(did_app, name="did")
app.add_typer(credential_app, name="credential")
app.add_typer(interface_app, name="interface")
app.add_typer(resolver_app("local"), name="resolver")
app.command()(successor)
app.command()(crosslog)

SECURITY_ID = Annotated[str, typer.Argument(help="Security id, 32 hexadecimal digits.")]
ACCOUNT_ID = Annotated[str, typer.Argument(help="Account id of the holder, 32 hexadecimal digits.")]
_EPOCH = date(1970, 1, 1)
_SEARCHED_DAYS = 3_660


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="New directory for the network.")],
    market: Annotated[str, typer.Option("--market", help="Region code of the market (JR/T 0326), for example BJ.")],
    chain_id: Annotated[str, typer.Option("--chain-id", help="Identifier of the chain, for example rem-beijing.")],
    supervisory: Annotated[
        Path, typer.Option("--supervisory-genesis", help="The supervisory chain's genesis document.")
    ],
    nodes: PLANS,
    operator: Annotated[str, typer.Option("--operator", help="Legal name of the operating institution 运营机构.")],
    bank: Annotated[str, typer.Option("--bank", help="Legal name of the depository bank 存管银行.")],
    calendar: Annotated[
        Path | None, typer.Option("--calendar", help="CSV date,kind with holidays and make-up workdays 节假日安排.")
    ] = None,
    protect: NEW_PASSPHRASE = "prompt",
    plain_keys: PLAIN_KEYS = False,
    client_security: CLIENT_SECURITY = Ports.SM,
    as_json: JSON = False,
) -> None:
    """Make a new chain: keys, genesis document (its time is now), and one folder for each node.

    Keys are encrypted, asking at the terminal unless --passphrase-from says otherwise. Each node's folder holds all
    that its machine needs beside the passphrase: run `dualchain node run --config node.toml` in it.
    """
    if market not in REGIONS:
        raise ProvisionRefused(
            f"{market!r} is no region of JR/T 0326 table 1",
            where="--market",
            next_step=f"use one of {', '.join(REGIONS)}",
        )
    plans, (upper, document) = read_plans(nodes, client_security), read_genesis(supervisory)
    if upper.kind != "supervisory":
        what = f"{upper.chain_id} is a {upper.kind} chain"
        raise ProvisionRefused(what, where="--supervisory-genesis", next_step="name the supervisory chain's document")
    _check_parties(plans, {"--operator": operator, "--bank": bank})
    days = read_calendar(calendar) if calendar is not None else MarketCalendar()
    keys = protection(protect, plain=plain_keys)
    with new_network(directory):
        genesis = market_genesis(
            chain_id,
            market,
            time.time_ns() // 1_000_000,
            make_validators(directory, plans, keys),
            make_accounts(directory, market_accounts(operator, bank), keys),
            document,
            days,
        )
        identity = write_network(directory, genesis, plans, keys, client_security.value)
    row = {"chain_id": chain_id, "genesis_hash": identity.hex(), "supervised_by": upper.chain_id}
    made: render.Row = row | {"directory": str(directory), "nodes": len(plans)}
    show(made | credentials(directory, client_security), as_json)


def _check_parties(plans: Sequence[NodePlan], named: Mapping[str, str]) -> None:
    """What the supervisory chain would refuse at registration is refused here, before there are keys."""
    for option, name in named.items():
        if not name.strip():
            raise ProvisionRefused("no name is given", where=option, next_step="write the institution's legal name")
    check_votes(plans)


def read_calendar(path: Path) -> MarketCalendar:
    """A calendar file; ProvisionRefused names file and line."""
    days: dict[str, list[int]] = {"holiday": [], "workday": [], "opened": []}
    seen: dict[int, int] = {}
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProvisionRefused(
            f"the calendar cannot be read: {error}", where=str(path), next_step="name a CSV file in UTF-8"
        ) from error
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and row == ["date", "kind"]):
            continue
        where = f"{path}, line {number}"
        day, kind = _calendar_row(row, where)
        if seen.setdefault(day, number) != number:
            what = f"{row[0]} stands twice, first in line {seen[day]}"
            raise ProvisionRefused(what, where=where, next_step="leave each date in once")
        if kind == "workday" and is_weekday(day):
            what = f"{row[0]} is neither Saturday nor Sunday, so it needs no making up"
            raise ProvisionRefused(what, where=where, next_step="list weekends that are worked only")
        days[kind].append(day)
    return MarketCalendar(*(tuple(sorted(days[kind])) for kind in ("holiday", "workday", "opened")))


def _calendar_row(row: Sequence[str], where: str) -> tuple[int, str]:
    """(day number, kind) of one line."""
    with contextlib.suppress(ValueError):
        text, kind = row
        day = (date.fromisoformat(text) - _EPOCH).days
        if day >= 0 and kind in ("holiday", "workday", "opened"):
            return day, kind
    raise ProvisionRefused(
        f"{','.join(row)!r} is not a date from 1970 on and holiday, workday or opened",
        where=where,
        next_step="write lines like 2026-10-01,holiday",
    )


@app.command()
def roll(security: SECURITY_ID, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """The whole holder roll 股东名册 of a security, proven complete: nobody can have left a holder out."""
    identity = identifier(security, "SECURITY")

    async def ask(client: VerifyingClient) -> render.Row:
        header, (record,) = await client.state([state_key(KERNEL, SECURITY + identity)])
        if record is None:
            return {"security": security, "height": header.height, "registered": False, "holders": 0, "roll": {}}
        evidence = await client.from_any(lambda one: fetch_roll(one, client.view, identity))
        found = check_roll(client.view, identity, evidence)
        return {
            "security": security,
            "height": found.header.height,
            "registered": True,
            "holders": len(found.holders),
            "total": found.total,
            "roll": {account.hex(): holding._asdict() for account, holding in found.holders},
        }

    answer(genesis, node, ask, as_json)


@app.command()
def holdings(
    account: Annotated[str, typer.Option("--account", help="Account id of the holder, 32 hexadecimal digits.")],
    node: NODES,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """All that one account holds 持仓清单, proven complete: nobody can have left a security out."""
    identity = identifier(account, "--account")

    async def ask(client: VerifyingClient) -> render.Row:
        evidence = await client.from_any(lambda one: fetch_holdings(one, client.view, identity))
        found = check_holdings(client.view, identity, evidence)
        return {
            "account": account,
            "height": found.header.height,
            "securities": len(found.holdings),
            "holdings": {security.hex(): holding._asdict() for security, holding in found.holdings},
        }

    answer(genesis, node, ask, as_json)


@app.command()
def holding(security: SECURITY_ID, account: ACCOUNT_ID, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """What one holder has of one security 持有: available, pledged, frozen; or the proof that it is nothing."""
    key = state_key(KERNEL, HOLDING + identifier(security, "SECURITY") + identifier(account, "ACCOUNT"))

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([key])
        row: render.Row = {"security": security, "account": account, "height": header.height, "holder": raw is not None}
        return row if raw is None else row | decode_holding(raw)._asdict()

    answer(genesis, node, ask, as_json)


@app.command()
def cash(account: ACCOUNT_ID, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """A party's client money 客户资金 in fen: available, and held for orders; zero when there is none."""
    key = state_key(KERNEL, CASH + identifier(account, "ACCOUNT"))

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([key])
        found = decode_cash(raw)
        return {"account": account, "height": header.height, "available_fen": found.available, "held_fen": found.held}

    answer(genesis, node, ask, as_json)


@app.command()
def security(security: SECURITY_ID, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """A security's record 证券: registering or live, frozen or not, total, issuer; or the proof that there is none."""
    key = state_key(KERNEL, SECURITY + identifier(security, "SECURITY"))

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([key])
        row: render.Row = {"security": security, "height": header.height, "registered": raw is not None}
        if raw is None:
            return row
        found = decode_security(raw)
        words = {
            "status": Status(found.status).name.lower(),
            "frozen": bool(found.frozen),
            "legacy": bool(found.legacy),
        }
        return row | {name: render.plain(value) for name, value in found._asdict().items()} | words

    answer(genesis, node, ask, as_json)


@app.command("calendar")
def trading_calendar(
    node: NODES,
    genesis: GENESIS,
    days: Annotated[int, typer.Option("--days", min=1, max=250, help="How many coming trading days to list.")] = 10,
    year: Annotated[
        int | None,
        typer.Option("--propose", help="A year: the arguments of set_calendar by the State Council's days 拟定."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """The trading days in force 交易日历: whether the market trades today, which days come next, and why.

    Today is the UTC+8 day of the latest block. With --propose, the next version for a year, from the package
    chinesecalendar, to be checked and signed by two houses.
    """

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([state_key(KERNEL, CALENDAR)])
        if raw is None:
            what = f"{client.view.genesis.chain_id} keeps no calendar: it is no market's chain"
            raise NotFound(what, where="state", next_step="name a node and the genesis document of a market's chain")
        found, today = decode_calendar(raw), day_of(header.time_ms)
        if year is not None:
            arguments = propose(found, today, year, installed_source())
            return {"height": header.height, "replaces_version": found.version, **arguments}
        coming = (day for day in range(today, today + _SEARCHED_DAYS) if found.trades(day))
        return {
            "height": header.height,
            "version": found.version,
            "today": _iso(today),
            "trades_today": found.trades(today),
            "trading_days": [_iso(day) for day in islice(coming, days)],
            "holidays": [_iso(day) for day in found.holidays],
            "make_up_workdays": [_iso(day) for day in found.workdays],
            "opened": [_iso(day) for day in found.opened],
        }

    answer(genesis, node, ask, as_json)


def _iso(day: int) -> str:
    """A day number as a date; one that no calendar has, as its number."""
    try:
        return (_EPOCH + timedelta(days=day)).isoformat()
    except OverflowError:
        return str(day)
