"""``dualchain deposits``: evidence deposits with another market (docs/spec/agreements.md §6)."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from chain_core.node import render
from chain_core.node.chain_view import ChainView
from chain_core.node.command import GENESIS, JSON, identifier, show
from chain_core.types.errors import MalformedBytes
from crosschain.identity.document import date_time

app = typer.Typer(help="Evidence deposits 存证 on another market's chain.", no_args_is_help=True)

CONFIG = Annotated[Path, typer.Option("--config", help="Your TOML file 配置文件.")]
DOCUMENT = Annotated[Path, typer.Option("--document", help="The document; it stays with you 文件（不上链）.")]


@app.command()
def serve(config: CONFIG) -> None:
    """Run a market's deposit service until SIGTERM or Ctrl-C 运行服务. It prints READY once it takes calls."""
    from service_registry.config import load
    from service_registry.deposits.serving import SEE, DepositConfig, serve_deposits
    from service_registry.serving import set_up_log

    loaded = load(DepositConfig, config, SEE)
    set_up_log(loaded.log)
    asyncio.run(serve_deposits(loaded))


@app.command()
def definition(
    endpoint: Annotated[str, typer.Option("--endpoint", help="Where the host listens, host:port 服务地址.")],
    price_fen: Annotated[int, typer.Option("--price-fen", min=0, help="Price of a call in fen 每次价格（分）.")] = 0,
) -> None:
    """Print the service's definition as JSON 服务定义, for `dualchain registry draft --definition`."""
    from service_registry.deposits.service import deposit_definition

    typer.echo(json.dumps(deposit_definition(endpoint, price_fen), ensure_ascii=False, indent=2))


@app.command()
def ask(
    service: Annotated[str, typer.Argument(help="Service id, 32 hexadecimal digits 服务编号.")],
    document: DOCUMENT,
    slip: Annotated[Path, typer.Option("--slip", help="New file for the slip 存证凭条: keep it with the document.")],
    config: CONFIG,
    kind: Annotated[str, typer.Option("--kind", help="What it is 类型.")] = "evidence",
    as_json: JSON = False,
) -> None:
    """Deposit a document 存证: its salted hash goes on the market's chain, the proof comes back and is verified."""
    from contracts.data.commitments import commitment
    from service_registry.deposits import slips
    from service_registry.deposits.service import check_deposit
    from service_registry.session import Session, run

    identity = identifier(service, "SERVICE")
    content, salt = slips.read_document(document), slips.new_salt()
    slips.require_new(slip)
    request = {"reference": secrets.token_hex(16), "kind": kind, "commitment": commitment(salt, content).hex()}

    async def work(session: Session) -> render.Row:
        consumer = session.consumer()
        try:
            answered = await consumer.call(identity, json.dumps(request).encode("utf-8"))
        finally:
            await consumer.close()
        found = await session.chain.service(identity)
        view, followed = await session.chain.market_chain(found.chain)
        who = bytes.fromhex(session.actor.account)
        deposit = check_deposit(view, followed, who, request, answered.value)
        more: dict[str, Any] = {"consumer": who.hex(), "request": request, "response": answered.value}
        slips.write_slip(
            slip,
            slips.Slip(
                view.genesis_hash,
                "deposit",
                bytes.fromhex(answered.value["deposit"]),
                salt,
                deposit.commitment,
                len(content),
                more,
            ),
        )
        return {
            "deposit": answered.value["deposit"],
            "at": date_time(deposit.time_ms),
            "height": deposit.height,
            "slip": str(slip),
        }

    show(run(config, work), as_json)


@app.command()
def verify(
    slip: Annotated[Path, typer.Argument(help="The slip 存证凭条 that `ask` wrote.")],
    document: DOCUMENT,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """Verify document and slip offline 离线验证, with the market's genesis document alone."""
    from chain_core.node.config import read_genesis
    from crosschain.following import Position
    from service_registry.deposits import slips
    from service_registry.deposits.service import check_deposit

    held = slips.read_slip(slip)
    slips.require_document(held, slips.read_document(document))
    try:
        told: Any = held.more
        consumer, request, response = bytes.fromhex(told["consumer"]), told["request"], told["response"]
        deposit = check_deposit(ChainView(read_genesis(genesis)[1]), Position(), consumer, request, response)
    except (KeyError, TypeError, ValueError) as error:
        what = f"no slip of a deposit service: {error}"
        raise MalformedBytes(what, where=str(slip), next_step="name the file that `deposits ask` wrote") from error
    if deposit.commitment != held.commitment:
        raise MalformedBytes("the proof is of another document", where=str(slip), next_step="do not rely on it")
    row: render.Row = {"deposit": held.id.hex(), "at": date_time(deposit.time_ms), "height": deposit.height}
    show(row | {"verified": True}, as_json)
