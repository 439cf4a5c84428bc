"""``dualchain local data``: public, limited and private data of a market's chain (docs/spec/data-tiers.md §11)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key
from chain_core.node import render
from chain_core.node.command import JSON, identifier, show
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.data.records import DELETED, KINDS, LIMITED, PRIVATE, PUBLIC, PURPOSES, REASONS, Descriptor
from local_chain.data.chain import DataChain
from local_chain.data.config import Desk, load
from local_chain.data.durable import write_file
from local_chain.data.errors import DataRefused
from local_chain.data.owner import Made
from local_chain.data.reader import read_public
from local_chain.data.release import Releaser
from local_chain.data.vault import Vault
from service_registry.chain import wall_clock_ms
from service_registry.config import KeyPair

app = typer.Typer(help="Data of three tiers 数据分级: public 公开, limited 受限, private 非公开.", no_args_is_help=True)

Tier = Enum("Tier", {name: name for name in (PUBLIC, LIMITED, PRIVATE)}, type=str)  # type: ignore[misc]
Kind = Enum("Kind", {name: name for name in KINDS}, type=str)  # type: ignore[misc]
Purpose = Enum("Purpose", {name: name for name in PURPOSES}, type=str)  # type: ignore[misc]
Reason = Enum("Reason", {name: name for name in REASONS}, type=str)  # type: ignore[misc]

CONFIG = Annotated[Path, typer.Option("--config", help="The TOML file with chain, keys, vault and store 配置文件.")]
OBJECT = Annotated[str, typer.Argument(help="Object id 数据对象, 32 hexadecimal digits.")]
READER = Annotated[str, typer.Option("--reader", help="Account of the reader 被授权账户, 32 hexadecimal digits.")]
DAYS = Annotated[int, typer.Option("--days", min=1, max=3_650, help="Days until the grant ends 授权天数.")]
_DAY_MS = 86_400_000
_STATUS_ZH = {"active": "有效", "deleting": "销毁中", "deleted": "已销毁"}
_TIER_ZH = {PUBLIC: "公开", LIMITED: "受限", PRIVATE: "非公开"}

Work = Callable[[Desk, DataChain], Awaitable[render.Row]]


def _ask(config: Path, work: Work) -> render.Row:
    desk = Desk(load(config))

    async def main() -> render.Row:
        chain = desk.chain()
        try:
            return await work(desk, chain)
        finally:
            await chain.close()

    return asyncio.run(main())


def _run(config: Path, work: Work, as_json: bool) -> None:
    show(_ask(config, work), as_json)


def _made(what: str, made: Made) -> render.Row:
    return {"done": what, "object": made.identity.hex(), "height": made.receipt.header.height}


@app.command()
def key(config: CONFIG, as_json: JSON = False) -> None:
    """Make the actor's sealing key 加密密钥 in the file that the configuration names, and attach it on the chain.

    A file that is there already is attached as it is: so an interrupted command can be repeated.
    """

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        path = desk.path(desk.actor.sealing_key or "sealing.key")
        if not await asyncio.to_thread(path.exists):
            await asyncio.to_thread(write_private_key, path, generate_private_key(), desk.passphrase())
        public = desk.pair(str(path)).public
        args: dict[str, Value] = {"purpose": "sealing", "key": public}
        receipt = await chain.submit(desk.who(desk.actor), [Operation("accounts", "attach_key", args)])
        return {"done": "已登记 attached", "file": str(path), "key": public.hex(), "height": receipt.header.height}

    _run(config, work, as_json)


@app.command()
def vault(config: CONFIG, as_json: JSON = False) -> None:
    """Make the custodian's vault 密钥库: its key, its folder, and the marks in the (empty) key folders."""
    desk = Desk(load(config))
    directory, folders, name = desk.vault_parts()
    private = generate_private_key()
    write_private_key(desk.path(name), private, desk.passphrase())
    Vault.create(directory, folders, KeyPair.of(private))
    row: render.Row = {
        "done": "已建立 made",
        "directory": str(directory),
        "key_directories": [str(one) for one in folders],
    }
    show(row | {"note": "密钥目录不得备份 never back up the key folders"}, as_json)


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="File with the content, - for standard input.")],
    tier: Annotated[Tier, typer.Option("--tier", help="public 公开, limited 受限, private 非公开.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What kind of data it is 数据类别.")],
    config: CONFIG,
    reader: Annotated[
        list[str] | None, typer.Option("--reader", help="Account that may read it 被授权账户; repeat for more.")
    ] = None,
    days: DAYS = 30,
    as_json: JSON = False,
) -> None:
    """Make an object: in plain, sealed for its readers, or off the chain with its descriptor on it."""
    content = sys.stdin.buffer.read() if str(file) == "-" else _content(file)
    readers = [identifier(text, "--reader") for text in reader or ()]

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        owner, end = desk.owner(chain), wall_clock_ms() + days * _DAY_MS
        if tier.value == PUBLIC:
            return _made("已公开 published", await owner.publish(kind.value, content))
        if tier.value == LIMITED:
            return _made("已密封 sealed", await owner.seal(kind.value, content, dict.fromkeys(readers, end)))
        made = await owner.deposit(kind.value, content, desk.archive())
        for one in readers:
            await owner.grant(made.identity, one, end)
        return _made("已存证 stored and described", made)

    _run(config, work, as_json)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataRefused(f"cannot be read: {error.strerror}", where=str(file), next_step="name a file") from error


@app.command()
def grant(object_: OBJECT, reader: READER, config: CONFIG, days: DAYS = 30, as_json: JSON = False) -> None:
    """Let an account read 授权: the owner; for private data a regulator as well."""

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        end = wall_clock_ms() + days * _DAY_MS
        identity, who = identifier(object_, "OBJECT"), identifier(reader, "--reader")
        return _made("已授权 granted", await desk.owner(chain).grant(identity, who, end))

    _run(config, work, as_json)


@app.command()
def withdraw(object_: OBJECT, reader: READER, config: CONFIG, as_json: JSON = False) -> None:
    """End a grant 撤回授权. Limited data is sealed anew for the rest. What was read cannot be unread."""

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        identity, who = identifier(object_, "OBJECT"), identifier(reader, "--reader")
        made = await desk.owner(chain).withdraw(identity, who)
        return _made("已撤回 withdrawn", made) | {"left_out": [one.hex() for one in made.left_out]}

    _run(config, work, as_json)


@app.command()
def get(
    object_: OBJECT,
    config: CONFIG,
    out: Annotated[
        Path | None, typer.Option("--out", help="File for the content, mode 0600; absent: standard output.")
    ] = None,
    purpose: Annotated[
        Purpose | None, typer.Option("--purpose", help="Why it is read 用途; recorded on the chain (business).")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Read an object: the access is recorded 访问留痕 first, then released, opened and checked."""
    identity = identifier(object_, "OBJECT")

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        found = await chain.descriptor(identity)
        if found.tier == PUBLIC:
            content, height = (await read_public(chain, identity)).content, 0
        elif found.tier == LIMITED and bytes.fromhex(desk.actor.account) == found.owner:
            content, height = await desk.owner(chain).content(identity, found), 0
        else:
            read = await desk.reader(chain).get(identity, purpose.value if purpose else PURPOSES[0])
            content, height = read.content, read.height
        if out is None:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return {}
        await asyncio.to_thread(write_file, out, content)
        return {
            "done": "已读取 read",
            "object": object_,
            "bytes": len(content),
            "access_height": height,
            "file": str(out),
        }

    row = _ask(config, work)
    if out is not None:  # else the content alone is on standard output
        show(row, as_json)


@app.command("show")
def show_object(object_: OBJECT, config: CONFIG, as_json: JSON = False) -> None:
    """What the chain says of an object, proven: descriptor, who may read it, its deletion record."""
    identity = identifier(object_, "OBJECT")

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        present = await chain.readers(identity)
        record = await chain.deletion(identity)
        row = _described(present.descriptor)
        row["readers"] = {
            name.hex(): {"expires_ms": one.expires_ms, "by": one.by} for name, one in present.grants.items()
        }
        if record is not None:
            row["deletion"] = {
                "by": record.by.hex(),
                "reason": record.reason,
                "ordered_height": record.ordered_height,
                "destroyed_height": record.destroyed_height,
            }
        return {"object": object_} | row | {"verified": True}

    _run(config, work, as_json)


def _described(found: Descriptor) -> render.Row:
    return {
        "tier": f"{found.tier} {_TIER_ZH[found.tier]}",
        "kind": found.kind,
        "status": f"{found.status} {_STATUS_ZH[found.status]}",
        "owner": found.owner.hex(),
        "version": found.version,
        "size_up_to": 1 << found.size_class,
        "commitment": found.commitment.hex(),
        "custodians": [account.hex() for account, _ in found.custodians],
        "held": found.held,
        "height": found.height,
    }


@app.command()
def delete(
    object_: OBJECT,
    reason: Annotated[Reason, typer.Option("--reason", help="Why 原因; recorded on the chain.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Order private data to be destroyed 销毁; where the file names custodian and vault, at once."""

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        identity = identifier(object_, "OBJECT")
        row = _made("已下达销毁指令 ordered", await desk.owner(chain).delete(identity, reason.value))
        if desk.config.custodian is None or desk.config.vault is None:
            return row | {"note": "由保管方执行 its custodian destroys it"}
        await Releaser(chain, desk.custodian(), wall_clock_ms).sweep()
        if (await chain.descriptor(identity)).status != DELETED:
            return row | {"note": "尚未销毁 not destroyed yet: dualchain local data sweep"}
        return row | {"done": "密钥与盐值已销毁 key and salt destroyed"}

    _run(config, work, as_json)


@app.command()
def hold(
    object_: OBJECT,
    config: CONFIG,
    lift: Annotated[bool, typer.Option("--lift", help="End the hold 解除.")] = False,
    as_json: JSON = False,
) -> None:
    """A regulator's hold 监管留存: while it stands, private data cannot be deleted."""

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        identity = identifier(object_, "OBJECT")
        receipt = await chain.data(desk.who(desk.actor), "hold", object=identity, held=not lift)
        return _made("已解除 lifted" if lift else "已留存 held", Made(identity, receipt))

    _run(config, work, as_json)


@app.command()
def sweep(
    config: CONFIG,
    undescribed: Annotated[
        bool, typer.Option("--undescribed", help="Destroy also what the chain has not described after a day.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Carry out the deletions that are ordered, and confirm them on the chain: the custodian."""

    async def work(desk: Desk, chain: DataChain) -> render.Row:
        done: Sequence[bytes] = await Releaser(chain, desk.custodian(), wall_clock_ms).sweep(undescribed=undescribed)
        return {"done": "已清理 swept", "destroyed": [one.hex() for one in done]}

    _run(config, work, as_json)


@app.command()
def serve(config: CONFIG) -> None:
    """Run the custodian's release service until SIGTERM or Ctrl-C. It prints READY once it takes requests."""
    from local_chain.data.serving import serve_releases

    asyncio.run(serve_releases(Desk(load(config))))
