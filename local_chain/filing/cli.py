"""``dualchain template``: the desk of authors, operators and approvers (docs/spec/templates.md §4)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, answer, show
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.sandbox.cases import Outcome
from contracts.templates.catalogue import catalogue
from contracts.templates.contract import TEMPLATES
from contracts.templates.filings import record_key
from local_chain.adapter.config import Desk, load
from local_chain.adapter.submitter import Job
from local_chain.filing.sources import Read, SourceRefused, build, cases_of, difference, read, run_examples
from service_registry.chain import wall_clock_ms

app = typer.Typer(
    help="Contract templates 合约模板: check, test, file 备案, approve 核准, suspend 暂停, revoke 撤销.",
    no_args_is_help=True,
)

SOURCE = Annotated[str, typer.Argument(help="A source file (.star), or the id of a template of this build.")]
CASES = Annotated[Path | None, typer.Option("--cases", help="TOML file of examples; absent: that beside the source.")]
CONFIG = Annotated[Path, typer.Option("--config", help="TOML file as the adapter's: chain, [operator], [cosigner].")]
NAME = Annotated[str, typer.Argument(help="Id of the template 模板编号.")]
VERSION = Annotated[int, typer.Option("--version", min=1, help="Its version 版本.")]
_STATUS_ZH = {"filed": "待核准", "live": "有效", "suspended": "暂停", "revoked": "撤销", "withdrawn": "撤回"}


@app.command()
def lint(source: SOURCE, as_json: JSON = False) -> None:
    """Check a source 检查: language, declarations, operations; its identity. Names the line of what is wrong."""
    found = read(source)
    show(_described(found) | {"about": found.about}, as_json)


def _described(found: Read) -> render.Row:
    template = found.compiled.template
    return {
        "template": template.id,
        "version": template.version,
        "title": template.title,
        "tree_sm3": found.compiled.identity.hex(),
        "source_sm3": found.source_sm3.hex(),
        "tree_bytes": len(found.tree),
        "capabilities": sorted(template.capabilities),
        "methods": sorted(template.methods),
    }


@app.command("test")
def run_tests(
    sources: Annotated[list[str] | None, typer.Argument(help="Source files or ids; see --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every template of this build.")] = False,
    cases: CASES = None,
    as_json: JSON = False,
) -> None:
    """Run the examples 测试 of templates, accepted and refused ones, on a market in memory. Exit code 1: one failed."""
    names = [shipped.compiled.template.id for shipped in catalogue()] if every else list(sources or ())
    if not names or (cases is not None and len(names) > 1):
        raise SourceRefused(
            "nothing to test", where="SOURCES", next_step="name a file, or give --all; --cases with one file"
        )
    results = []
    console = Console(file=sys.stderr)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        for name in bar.track(names, description="样例 examples"):
            results.append(_tested(name, cases))
    _print(results, as_json)
    if any(outcome.wrong for _, outcomes in results for outcome in outcomes):
        raise typer.Exit(1)


def _tested(name: str, cases: Path | None) -> tuple[Read, list[Outcome]]:
    found = read(name)
    raw = cases_of(found, cases)
    if not raw:
        raise SourceRefused("there are no examples", where=str(found.path), next_step="write them beside it as .toml")
    return found, run_examples(found, raw)


def _print(results: Sequence[tuple[Read, list[Outcome]]], as_json: bool) -> None:
    rows = []
    for found, outcomes in results:
        wrong = [outcome for outcome in outcomes if outcome.wrong]
        refused = sum(1 for outcome in outcomes if outcome.refused)
        rows.append((found, len(outcomes) - refused, refused, wrong))
    if as_json:
        told = [
            {
                **_described(found),
                "accepted": accepted,
                "refused": refused,
                "wrong": [{"case": outcome.name, "what": outcome.wrong} for outcome in wrong],
            }
            for found, accepted, refused, wrong in rows
        ]
        typer.echo(json.dumps({"templates": told, "ok": not any(row[3] for row in rows)}, ensure_ascii=False))
        return
    table = Table(Column("模板 template", no_wrap=True), "版本", "名称 title", "受理 ok", "拒绝 refused", "不符 wrong")
    for found, accepted, refused, wrong in rows:
        template = found.compiled.template
        numbers = (str(accepted), str(refused), str(len(wrong)))
        table.add_row(template.id, str(template.version), template.title, *numbers)
    Console().print(table)
    for _, _, _, wrong in rows:
        for outcome in wrong:
            typer.echo(f"{outcome.template}: {outcome.name}: {outcome.wrong}", err=True)


@app.command("build")
def build_trees(as_json: JSON = False) -> None:
    """Write the trees of this build's sources, for whoever changes one: nodes execute trees, and never parse."""
    show({"written": build()}, as_json)


@app.command()
def diff(before: SOURCE, after: SOURCE, as_json: JSON = False) -> None:
    """Two versions beside each other 比较: what the reviewer reads, and whether their trees differ."""
    one, other = read(before), read(after)
    lines = difference(one.source, other.source, (str(one.path), str(other.path)))
    if as_json:
        row: render.Row = {"lines": list(lines), "same_tree": one.tree == other.tree}
        show(row | {"before": _described(one), "after": _described(other)}, True)
        return
    typer.echo("\n".join(lines))
    typer.echo("语法树相同 the trees are the same" if one.tree == other.tree else "语法树不同 the trees differ")


@app.command("show")
def show_record(name: NAME, genesis: GENESIS, node: NODES, version: VERSION = 1, as_json: JSON = False) -> None:
    """The filing record 备案记录 of a version, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw,) = await client.state([state_key(TEMPLATES, record_key(name, version))])
        if raw is None:
            return {"template": name, "version": version, "status": "未备案 not on file", "height": header.height}
        row = decode_map(raw, "filing record")
        shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in row.items()}
        status = str(shown["status"])
        shown["status"] = f"{status} {_STATUS_ZH.get(status, '')}".strip()
        return {"template": name, **shown, "height": header.height}

    answer(genesis, node, ask, as_json)


@app.command()
def file(source: SOURCE, config: CONFIG, cases: CASES = None, as_json: JSON = False) -> None:
    """File a template 备案: its source, tree and examples go on the chain, after its examples went as they say."""
    found = read(source)
    raw = cases_of(found, cases)
    wrong = [outcome for outcome in run_examples(found, raw) if outcome.wrong] if raw else []
    if wrong:
        what = f"{wrong[0].name}: {wrong[0].wrong}"
        raise SourceRefused(what, where=str(found.path), next_step="see `dualchain template test`")
    template = found.compiled.template
    args: dict[str, Value] = {
        "template": template.id,
        "version": template.version,
        "title": template.title,
        "tree": found.tree,
        "source": found.source,
        "cases": raw,
    }
    _submit(config, "file", found, args, "待核准 waits for approval", as_json)


@app.command()
def approve(
    source: SOURCE,
    config: CONFIG,
    number: Annotated[str, typer.Option("--filing-number", help="The filing number 备案号 that it gets.")],
    cases: CASES = None,
    as_json: JSON = False,
) -> None:
    """Approve what is on file 核准. The tree is recomputed from the source given here, and its examples are run.

    Only the very same tree and source become live. A common template (csrc.) takes the cosigner of another house.
    """
    found = read(source)
    raw = cases_of(found, cases)
    wrong = [outcome for outcome in run_examples(found, raw) if outcome.wrong] if raw else []
    if wrong:
        what = f"{wrong[0].name}: {wrong[0].wrong}"
        raise SourceRefused(what, where=str(found.path), next_step="do not approve it")
    template = found.compiled.template
    args: dict[str, Value] = {
        "template": template.id,
        "version": template.version,
        "tree_sm3": found.compiled.identity,
        "source_sm3": found.source_sm3,
        "filing_number": number,
    }
    _submit(config, "approve", found, args, "有效 live", as_json)


def _step(name: str, done: str, text: str) -> None:
    def command(template: NAME, config: CONFIG, version: VERSION = 1, as_json: JSON = False) -> None:
        operation = Operation(TEMPLATES, name, {"template": template, "version": version})
        row: render.Row = {"done": done, "template": template, "version": version}
        # Each time anew: a template may be suspended twice.
        business_id = _business_id(name, f"{template} {version} {wall_clock_ms()}")
        show(row | {"height": _hand_in(config, business_id, operation)}, as_json)

    command.__doc__ = text
    app.command(name)(command)


_step("withdraw", "已撤回 withdrawn", "Take back what nobody has approved 撤回; a governor refuses it so.")
_step("suspend", "已暂停 suspended", "Suspend a version 暂停: nothing of it runs, also for its instances.")
_step("resume", "已恢复 live again", "End a suspension 恢复.")
_step("revoke", "已撤销 revoked", "Revoke a version 撤销 for good.")


def _business_id(method: str, what: str) -> str:
    """The same act handed in twice takes effect once."""
    return f"{method}:{sm3(what.encode()).hex()[:32]}"


def _submit(config: Path, method: str, found: Read, args: dict[str, Value], done: str, as_json: bool) -> None:
    template = found.compiled.template
    business_id = _business_id(method, f"{template.id} {template.version} {found.compiled.identity.hex()}")
    height = _hand_in(config, business_id, Operation(TEMPLATES, method, args))
    show({"done": done, **_described(found), "height": height}, as_json)


def _hand_in(config: Path, business_id: str, operation: Operation) -> int:
    """Until it is final; its height. Raises SourceRefused with the chain's own words for a refusal."""
    desk = Desk(load(config))

    async def main() -> int:
        chain, journal = desk.chain(), desk.journal()
        try:
            job = Job(business_id, (operation,), cosigned=desk.config.cosigner is not None)
            [entry] = await desk.operator(chain, journal).submit([job])
            if not entry.done:
                raise SourceRefused(
                    f"the chain refused it: {entry.rule or entry.code} {entry.text}",
                    where=business_id,
                    next_step="see the rule",
                )
            return entry.height
        finally:
            await chain.close()
            journal.close()

    return asyncio.run(main())
