"""``dualchain supervisory admission``: from a registered chain to one that is followed (registration.md §1)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.conformance.report import open_report
from crosschain.packets import CHAINS, chain_record_key
from supervisory_chain import evidence, joint_tests
from supervisory_chain.admission import trail_place
from supervisory_chain.chains import Chains
from supervisory_chain.drift import declared_key
from supervisory_chain.evidence import EVIDENCE_KINDS
from supervisory_chain.regulating.common import (
    ACCOUNT,
    CHAIN,
    KEY,
    REFERENCE,
    Acting,
    act,
    chain_of,
    clock,
    tell,
)
from supervisory_chain.regulating.desk_options import day_number

app = typer.Typer(
    help="Admission 准入 of a market's chain: evidence, joint test, decisions of two officers, suspension, withdrawal.",
    no_args_is_help=True,
)

KIND = Annotated[str, typer.Argument(help=f"Kind of evidence 材料: {', '.join(EVIDENCE_KINDS)}.")]
FILE = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The document itself; only its SM3 leaves.")
]
UNTIL = Annotated[str, typer.Option("--until", help="Last day on which it counts 有效期至, such as 2027-12-31.")]
DOCUMENT = Annotated[
    Path | None,
    typer.Option("--document", exists=True, dir_okay=False, readable=True, help="The paper behind the step 依据文件."),
]

SEE = "look at `supervisory admission show`"


@app.command()
def report(
    chain: CHAIN,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="Report written by `dualchain conformance run --key` 联调测试报告.",
        ),
    ],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Hand in a joint-test report, as its tester: role tester, an institution with no part in the chain."""
    raw = file.read_bytes()
    shown = {"chain": chain, "report": open_report(raw).digest.hex()}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), "report": raw}

    acting = Acting(account, key, passphrase, node, genesis, as_json)
    act(Chains(), "file_report", args, shown, acting, "run the joint test again: dualchain conformance run")


def _step(method: str, help_text: str) -> None:
    def command(
        chain: CHAIN,
        account: ACCOUNT,
        key: KEY,
        node: NODES,
        genesis: GENESIS,
        document: DOCUMENT = None,
        passphrase: PASSPHRASE = "",
        as_json: JSON = False,
    ) -> None:
        paper: dict[str, Value] = {} if document is None else {"document": sm3(document.read_bytes())}

        async def args(client: VerifyingClient) -> dict[str, Value]:
            return {"chain": await chain_of(client, chain), **paper}

        row: render.Row = {"chain": chain, "done": method}
        act(Chains(), method, args, row, Acting(account, key, passphrase, node, genesis, as_json), SEE)

    app.command(method.replace("_", "-"), help=help_text)(command)


_HELP = {
    "reject": "Remove a registration that is not admitted 驳回, as the regulator.",
    "retract": "Take back your own registration before it is admitted 撤回, as its operator.",
    "approve": "First officer: the evidence is in order 初审通过. Another officer admits.",
    "take_back": "The first officer's approval is taken back 撤销初审.",
    "admit": "Second officer: admit 准入; from now on the chain is followed.",
    "suspend": "Suspend an admitted market 暂停: its services halt; it is followed and bound all the same.",
    "propose_resumption": "First officer: let a suspended market go on 提议恢复.",
    "refuse_resumption": "It stays suspended 不予恢复.",
    "resume": "Second officer: it goes on 恢复.",
    "propose_withdrawal": "Propose that a suspended chain leaves the network 提议退出.",
    "keep": "It stays, suspended 不予退出.",
    "withdraw": "Second officer: the chain leaves for good 退出, its market is free for another.",
}
for _name, _text in _HELP.items():
    _step(_name, _text)


@app.command("evidence")
def file_evidence(
    chain: CHAIN,
    kind: KIND,
    file: FILE,
    until: UNTIL,
    reference: REFERENCE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """File evidence for an admission 提交材料, as the chain's operator; its SM3 goes on chain, never the file."""
    document = sm3(file.read_bytes())
    until_day = day_number(until, "--until")

    async def args(client: VerifyingClient) -> dict[str, Value]:
        named: dict[str, Value] = {
            "kind": _kind(kind),
            "document": document,
            "reference": reference,
            "until_day": until_day,
        }
        return {"chain": await chain_of(client, chain), **named}

    row: render.Row = {"chain": chain, "kind": kind, "document": document.hex()}
    act(Chains(), "file_evidence", args, row, Acting(account, key, passphrase, node, genesis, as_json), SEE)


@app.command("accept-evidence")
def accept_evidence(
    chain: CHAIN,
    kind: KIND,
    file: FILE,
    until: UNTIL,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """This document counts 认可材料, as the regulator or its regional office; you have read the very file."""
    named: dict[str, Value] = {"until_day": day_number(until, "--until")}
    _judge(chain, kind, file, "accept_evidence", named, Acting(account, key, passphrase, node, genesis, as_json))


@app.command("return-evidence")
def return_evidence(
    chain: CHAIN,
    kind: KIND,
    file: FILE,
    reason: Annotated[str, typer.Option("--reason", help="Why; the operator reads it 退回理由.")],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """The document goes back to the operator 退回材料."""
    _judge(
        chain,
        kind,
        file,
        "return_evidence",
        {"reason": reason},
        Acting(account, key, passphrase, node, genesis, as_json),
    )


def _judge(chain: str, kind: str, file: Path, method: str, named: dict[str, Value], acting: Acting) -> None:
    document = sm3(file.read_bytes())

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), "kind": _kind(kind), "document": document, **named}

    row: render.Row = {"chain": chain, "kind": kind, "document": document.hex(), "done": method}
    act(Chains(), method, args, row, acting, SEE)


def _kind(text: str) -> str:
    if text not in EVIDENCE_KINDS:
        raise MalformedBytes(f"no kind of evidence: {text}", where="KIND", next_step=", ".join(EVIDENCE_KINDS))
    return text


@app.command("show")
def show_admission(chain: CHAIN, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """What is registered of a chain, its evidence, joint test and every step of its admission, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        places = (joint_tests.place(identity), evidence.place(identity), trail_place(identity))
        keys = [chain_record_key(identity), *(state_key(CHAINS, place) for place in places), declared_key(identity)]
        header, (record, tested, filed, trail, declared) = await client.state(keys)
        if record is None:
            next_step = "its operator registers it first"
            raise NotFound("no such chain is registered", where=identity.hex(), next_step=next_step)
        row: render.Row = {"chain": identity.hex(), "height": header.height}
        row |= cast(dict[str, Any], render.plain(decode_map(record)))
        test = None if tested is None else cast(dict[str, Any], render.plain(decode_map(tested)))
        row["headers_say"] = None if declared is None else render.plain(decode_map(declared))
        when = {} if test is None else {"tested": clock(test["started_ms"])}
        kept = {} if filed is None else cast(dict[str, Any], render.plain(decode_map(filed)))
        steps = [] if trail is None else cast(list[Any], render.plain(decode_value(trail)))
        return row | {"joint_test": None if test is None else test | when, "evidence": kept, "trail": steps}

    tell(genesis, node, ask, as_json, render.lines)
