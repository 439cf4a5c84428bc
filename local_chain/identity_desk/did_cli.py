"""``dualchain local did``: DIDs of a market, and proving that one holds one (docs/spec/identity.md §3, §6, §8)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.hashing import sm3
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer, identifier
from chain_core.node.key_protection import open_key
from chain_core.node.validators_cli import submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.identity.document import date_time, metadata
from crosschain.identity.document import render as document_of
from crosschain.identity.records import IDENTITIES
from local_chain.identities import Identities
from local_chain.identity_desk import challenges, proven

did_app = typer.Typer(
    help="Digital identities 分布式数字身份 (JR/T 0325) of a market's subjects.", no_args_is_help=True
)

DID = Annotated[str, typer.Argument(help="The DID 标识, did:rem:<label>:<code>.")]
ACCOUNT = Annotated[str, typer.Option("--account", help="Your account id, 32 hexadecimal digits 账户.")]
KEY = Annotated[Path, typer.Option("--key", help="Its transaction key 交易密钥: SM2 PKCS#8 PEM, mode 0600.")]
EVIDENCE = Annotated[
    Path, typer.Option("--evidence", help="The material 材料; its SM3 goes on the chain, nothing else of it.")
]
CHALLENGE = Annotated[Path, typer.Argument(help="The verifier's challenge 挑战 (JSON).")]
OUTPUT = Annotated[Path, typer.Option("--output", help="New file 输出文件.")]
SEE = "look at `local did show`"


async def submit(client: VerifyingClient, account: str, key: bytes, method: str, args: dict[str, Value]) -> render.Row:
    """One operation of ``identities``, final, or its refusal in words."""
    operation = Operation(IDENTITIES, method, args)
    return await submit_one(client, account, key, operation, contracts=(Identities(),), next_step=SEE)


def hash_of(path: Path) -> bytes:
    """SM3 of a file. Raises MalformedBytes."""
    try:
        return sm3(path.read_bytes())
    except OSError as error:
        raise MalformedBytes(f"cannot be read: {error.strerror}", where=str(path), next_step="name the file") from error


def now_ms() -> int:
    """The clock of this machine."""
    return time.time_ns() // 1_000_000


@did_app.command()
def create(
    did: DID,
    holder: Annotated[str, typer.Option("--holder", help="Account of the subject 主体账户.")],
    evidence: EVIDENCE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Give an identified subject its DID 创建标识, as the market's operator."""
    private, who, material = open_key(key, passphrase), identifier(holder, "--holder"), hash_of(evidence)

    async def ask(client: VerifyingClient) -> render.Row:
        args: dict[str, Value] = {"did": did, "account": who, "evidence": material}
        return {"did": did, **await submit(client, account, private, "create", args)}

    answer(genesis, node, ask, as_json)


@did_app.command()
def update(
    did: DID, account: ACCOUNT, key: KEY, node: NODES, genesis: GENESIS, passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:  # fmt: skip
    """Take the account's present keys over into the document 更新公钥."""
    private = open_key(key, passphrase)

    async def ask(client: VerifyingClient) -> render.Row:
        return {"did": did, **await submit(client, account, private, "update", {"did": did})}

    answer(genesis, node, ask, as_json)


@did_app.command()
def deactivate(
    did: DID, evidence: EVIDENCE, account: ACCOUNT, key: KEY, node: NODES, genesis: GENESIS,
    passphrase: PASSPHRASE = "", as_json: JSON = False,
) -> None:  # fmt: skip
    """Deactivate a DID 注销标识, as the market's operator: no key of it counts from then on."""
    private, material = open_key(key, passphrase), hash_of(evidence)

    async def ask(client: VerifyingClient) -> render.Row:
        args: dict[str, Value] = {"did": did, "evidence": material}
        return {"did": did, **await submit(client, account, private, "deactivate", args)}

    answer(genesis, node, ask, as_json)


@did_app.command("show")
def show_document(did: DID, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """The DID's document 查询标识文档, rendered from proven state; the supervisory chain has those of all markets."""

    async def ask(client: VerifyingClient) -> render.Row:
        record = await proven.record_of(client, did)
        about = {name: str(value) for name, value in metadata(record).items()}
        document = document_of(record)
        return {"did": did, **about, "document": document if as_json else json.dumps(document, ensure_ascii=False)}

    answer(genesis, node, ask, as_json)


@did_app.command()
def challenge(
    did: DID,
    audience: Annotated[str, typer.Option("--audience", help="Who you are; the holder signs it 验证方.")],
    output: OUTPUT,
) -> None:
    """Draw a challenge 发起挑战 for whoever says he holds the DID. It counts once, for five minutes."""
    made = challenges.draw(did, audience, now_ms())
    challenges.write(output, challenges.challenge_row(made))
    typer.echo(f"{output}: {did}, until {date_time(made.expires_ms)}")


@did_app.command("answer")
def answer_one(
    asked: CHALLENGE,
    auth_key: Annotated[Path, typer.Option("--auth-key", help="Your did-auth key 认证密钥.")],
    output: OUTPUT,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Answer a challenge 应答: what is signed is a tagged structure around it, never bytes that others chose."""
    made, private = challenges.read_challenge(asked), open_key(auth_key, passphrase)

    async def ask(client: VerifyingClient) -> render.Row:
        record = await proven.record_of(client, made.did)
        row = challenges.answer_challenge(made, record, private, client.view.genesis_hash, now_ms())
        challenges.write(output, row)
        return {"did": made.did, "audience": made.audience, "key": row["key"], "answer": str(output)}

    answer(genesis, node, ask, as_json)


@did_app.command()
def check(
    asked: CHALLENGE,
    told: Annotated[Path, typer.Argument(metavar="ANSWER", help="The holder's answer 应答 (JSON).")],
    node: NODES,
    genesis: GENESIS,
    as_json: JSON = False,
) -> None:
    """Check an answer 核验 against proven state. Whatever comes of it, the challenge is used up."""
    made, given = challenges.read_challenge(asked), challenges.read_answer(told)
    challenges.spend(asked)

    async def ask(client: VerifyingClient) -> render.Row:
        record = await proven.record_of(client, made.did)
        wrong = challenges.fault(made, given, record, client.view.genesis_hash, now_ms())
        if wrong:
            raise InvalidProof(f"未通过 {wrong}", where=made.did, next_step="draw another challenge")
        return {"did": made.did, "holder": record.account.hex(), "key": given.url, "proven": True}

    answer(genesis, node, ask, as_json)
