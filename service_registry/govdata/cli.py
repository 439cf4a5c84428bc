"""``dualchain govdata``: the government-data channel, for market, enterprise and consumer
(docs/spec/government-data.md §8).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chain_core.node import render
from chain_core.node.command import JSON, identifier, show
from chain_core.types.errors import MalformedBytes

if TYPE_CHECKING:
    from service_registry.chain import RegistryChain
    from service_registry.govdata.config import PartyConfig

app = typer.Typer(help="Government data by the enterprise's authorisation 政务数据通道.", no_args_is_help=True)

CONFIG = Annotated[Path, typer.Option("--config", help="Your TOML file 配置文件 (docs/spec/government-data.md §8).")]
ITEMS = Annotated[list[str], typer.Option("--item", help="A data item 数据项; repeat for more.")]
PURPOSE = Annotated[str, typer.Option("--purpose", help="What the data are for 用途, word for word.")]
DAY_MS = 86_400_000


@app.command()
def serve(config: CONFIG) -> None:
    """Run the market's host until SIGTERM or Ctrl-C 运行服务. It prints READY once it takes calls."""
    from service_registry.config import load
    from service_registry.govdata.config import SEE, HostConfig
    from service_registry.govdata.serving import serve_govdata
    from service_registry.serving import set_up_log

    loaded = load(HostConfig, config, SEE)
    set_up_log(loaded.log)
    asyncio.run(serve_govdata(loaded))


@app.command()
def definition(
    endpoint: Annotated[str, typer.Option("--endpoint", help="Where the host listens, host:port 服务地址.")],
    price_fen: Annotated[int, typer.Option("--price-fen", min=0, help="Price of a call in fen 每次价格（分）.")] = 0,
) -> None:
    """Print the service's definition as JSON 服务定义, for `dualchain registry draft --definition`."""
    from service_registry.govdata.definition import govdata_definition

    typer.echo(json.dumps(govdata_definition(endpoint, price_fen), ensure_ascii=False, indent=2))


@app.command("name-bureau")
def name_bureau(
    bureau: Annotated[str, typer.Argument(help="The bureau's unified social credit code 统一社会信用代码.")],
    name: Annotated[str, typer.Option("--name", help="Its name 名称.")],
    key: Annotated[str, typer.Option("--bureau-key", help="Its public SM2 key, 128 hexadecimal digits 公钥.")],
    cosigner: Annotated[str, typer.Option("--cosigner", help="Account id of a governor of another house 复核账户.")],
    cosigner_key: Annotated[Path, typer.Option("--cosigner-key", help="The governor's transaction key 复核人密钥.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Put a data bureau's key on record 登记数据主管部门, by the operator and a second house (four eyes 四眼)."""
    from service_registry.govdata.naming import name_bureau as submit

    public, second = identifier(key, "--bureau-key", 64), identifier(cosigner, "--cosigner")
    _run(config, as_json, lambda file, chain: submit(chain, file, (bureau, name, public), second, cosigner_key))


@app.command()
def authorise(
    to: Annotated[list[str], typer.Option("--to", help="DID that may ask 被授权方; repeat for more.")],
    item: ITEMS,
    purpose: PURPOSE,
    uses: Annotated[int, typer.Option("--uses", min=1, max=1_000, help="How often 使用次数.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3_660, help="For how many days from now 有效天数.")],
    enterprise: Annotated[str, typer.Option("--enterprise", help="Your enterprise's name 企业名称.")],
    credit_code: Annotated[str, typer.Option("--credit-code", help="Its unified social credit code 信用代码.")],
    output: Annotated[Path, typer.Option("--output", help="New file for the credential 授权凭证文件.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Authorise the use of your enterprise's data 授权: a credential for the consumer, its uses on the chain."""
    from service_registry.chain import wall_clock_ms
    from service_registry.govdata import parties

    if output.exists():
        raise MalformedBytes("the file is there already", where=str(output), next_step="name a new file")

    async def work(file: PartyConfig, chain: RegistryChain) -> render.Row:
        now_ms = wall_clock_ms() - 1_000
        granting = parties.Granting(to, item, purpose, uses, now_ms, now_ms + days * DAY_MS, enterprise, credit_code)
        key = file.key(file.actor.assertion_key, "assertion_key")
        document, row = await parties.authorise(chain, file.account(), file.did(), key, granting)
        output.write_bytes(document)
        return row | {"file": str(output)}

    _run(config, as_json, work)


@app.command()
def ask(
    service: Annotated[str, typer.Argument(help="Service id, 32 hexadecimal digits 服务编号.")],
    authorisation: Annotated[Path, typer.Option("--authorisation", help="The enterprise's credential 授权凭证文件.")],
    item: ITEMS,
    purpose: PURPOSE,
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Ask for an enterprise's data 调用政务数据 through the gateway; printed when all of it has been verified."""
    from service_registry.govdata.asking import ask as asking

    identity = identifier(service, "SERVICE")
    show(asyncio.run(asking(config, identity, authorisation, item, purpose)), as_json)


@app.command("show")
def show_uses(
    credential: Annotated[str, typer.Argument(help="The credential's identifier 凭证标识.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """An authorisation with each of its uses 授权使用记录, proven on the market's chain."""
    from service_registry.govdata.parties import uses_of

    _run(config, as_json, lambda file, chain: uses_of(chain, credential))


def _run(config: Path, as_json: bool, work: Callable[[PartyConfig, RegistryChain], Awaitable[render.Row]]) -> None:
    """What ``work`` returns, on the market's chain that the file names."""
    from service_registry.config import load
    from service_registry.govdata.config import SEE, PartyConfig

    file = load(PartyConfig, config, SEE)

    async def main() -> render.Row:
        chain = file.open()
        try:
            return await work(file, chain)
        finally:
            await chain.close()

    show(asyncio.run(main()), as_json)
