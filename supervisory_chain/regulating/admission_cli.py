"""``dualchain supervisory admission``: from a registered chain to one that is followed (registration.md §1)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
from crosschain.conformance.report import open_report
from crosschain.packets import CHAINS, chain_record_key
from supervisory_chain import joint_tests
from supervisory_chain.chains import Chains
from supervisory_chain.drift import declared_key
from supervisory_chain.regulating.common import ACCOUNT, CHAIN, KEY, Acting, act, chain_of, clock, tell

app = typer.Typer(help="Admission 准入 of a market's chain: joint-test report, decision.", no_args_is_help=True)

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


def _decision(method: str, help_text: str) -> None:
    def command(
        chain: CHAIN,
        account: ACCOUNT,
        key: KEY,
        node: NODES,
        genesis: GENESIS,
        passphrase: PASSPHRASE = "",
        as_json: JSON = False,
    ) -> None:
        async def args(client: VerifyingClient) -> dict[str, Value]:
            return {"chain": await chain_of(client, chain)}

        row: render.Row = {"chain": chain, "done": method}
        act(Chains(), method, args, row, Acting(account, key, passphrase, node, genesis, as_json), SEE)

    app.command(method, help=help_text)(command)


_decision("admit", "Admit a registered chain 准入, as the regulator: from now on it is followed.")
_decision("reject", "Remove a registration that is not admitted 驳回, as the regulator.")


@app.command("show")
def show_admission(chain: CHAIN, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """What is registered of a chain, and the joint test it passed, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        keys = [chain_record_key(identity), state_key(CHAINS, joint_tests.place(identity)), declared_key(identity)]
        header, (record, tested, declared) = await client.state(keys)
        if record is None:
            next_step = "its operator registers it first"
            raise NotFound("no such chain is registered", where=identity.hex(), next_step=next_step)
        row: render.Row = {"chain": identity.hex(), "height": header.height}
        row |= cast(dict[str, Any], render.plain(decode_map(record)))
        test = None if tested is None else cast(dict[str, Any], render.plain(decode_map(tested)))
        row["headers_say"] = None if declared is None else render.plain(decode_map(declared))
        when = {} if test is None else {"tested": clock(test["started_ms"])}
        return row | {"joint_test": None if test is None else test | when}

    tell(genesis, node, ask, as_json, render.lines)
