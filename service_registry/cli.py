"""``dualchain registry``: publish, test and use services, follow their records (docs/spec/service-registry.md §11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.command import JSON, identifier, show
from service_registry import settlement_cli, trust_cli
from service_registry.bodies import read_promise
from service_registry.calls import SignedPromise
from service_registry.publishing import cli as publishing_cli
from service_registry.session import Session, run

app = typer.Typer(help="Services that markets publish to each other 赋能服务.", no_args_is_help=True)

CONFIG = Annotated[Path, typer.Option("--config", help="TOML file that says who you are and which nodes you ask.")]
SERVICE = Annotated[str, typer.Argument(help="Service id, 32 hexadecimal digits.")]
CONSUMER = Annotated[str, typer.Option("--consumer", help="The consumer's account id, 32 hexadecimal digits.")]
REASON = Annotated[str, typer.Option("--reason", help="Why; the consumer reads it.")]
DEFINITION = Annotated[Path, typer.Option("--definition", help="JSON file with the definition.")]


def _tell(config: Path, as_json: bool, work: Callable[[Session], Awaitable[render.Row]]) -> None:
    show(run(config, work), as_json)


def _done(receipt: VerifiedReceipt, **more: object) -> render.Row:
    return {
        **more,
        "transaction": receipt.receipt.transaction_id.hex(),
        "height": receipt.header.height,
        "final": True,
    }


def _service_command(method: str, help_text: str) -> None:
    """A command that is one operation on a service."""

    def command(service: SERVICE, config: CONFIG, as_json: JSON = False) -> None:
        identity = identifier(service, "SERVICE")

        async def work(session: Session) -> render.Row:
            return _done(await session.submit(method, service=identity), service=service, done=method)

        _tell(config, as_json, work)

    app.command(method, help=help_text)(command)


def _consumer_command(method: str, help_text: str) -> None:
    """A publisher's command about one consumer, with a reason."""

    def command(service: SERVICE, consumer: CONSUMER, reason: REASON, config: CONFIG, as_json: JSON = False) -> None:
        identity, who = identifier(service, "SERVICE"), identifier(consumer, "--consumer")

        async def work(session: Session) -> render.Row:
            receipt = await session.submit(method, service=identity, consumer=who, reason=reason)
            return _done(receipt, service=service, consumer=consumer, done=method)

        _tell(config, as_json, work)

    app.command(method, help=help_text)(command)


@app.command("list")
def list_(config: CONFIG, as_json: JSON = False) -> None:
    """All services with their state."""
    from service_registry.views import all_services

    _tell(config, as_json, lambda session: all_services(session.chain))


@app.command("show")
def show_service(service: SERVICE, config: CONFIG, as_json: JSON = False) -> None:
    """A service with its versions, definitions, reports and applications, proven."""
    from service_registry.views import one_service

    identity = identifier(service, "SERVICE")
    _tell(config, as_json, lambda session: one_service(session.chain, identity))


@app.command()
def draft(
    reference: Annotated[str, typer.Option("--reference", help="Your own name for the service; it fixes its id.")],
    definition: DEFINITION,
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Publish a new service as a draft, to be tested."""
    from service_registry.publishing.files import read_definition_file
    from service_registry.serving import service_id

    row = read_definition_file(definition)

    async def work(session: Session) -> render.Row:
        receipt = await session.submit("draft", market=session.market, reference=reference, definition=row)
        who = bytes.fromhex(session.actor.account)
        return _done(receipt, service=service_id(session.chain.genesis_hash, who, reference).hex())

    _tell(config, as_json, work)


@app.command()
def change(service: SERVICE, definition: DEFINITION, config: CONFIG, as_json: JSON = False) -> None:
    """Put a new version to the test; the one in force stays in force until the new one is registered."""
    from service_registry.publishing.files import read_definition_file

    identity, row = identifier(service, "SERVICE"), read_definition_file(definition)

    async def work(session: Session) -> render.Row:
        receipt = await session.submit("change", service=identity, definition=row)
        return _done(receipt, service=service, in_test=(await session.chain.service(identity)).draft)

    _tell(config, as_json, work)


@app.command("joint-test")
def joint_test(service: SERVICE, config: CONFIG, as_json: JSON = False) -> None:
    """Run the joint test of the version in test, through the gateway, file the signed report. Exit code 3: failed."""
    from service_registry.joint_test import JointTest

    identity = identifier(service, "SERVICE")

    async def work(session: Session) -> render.Row:
        consumer = session.consumer()
        try:
            test = JointTest(session.chain, consumer, session.account(), session.assertion_key())
            tested = await test.run(identity)
        finally:
            await consumer.close()
        report = tested.report
        return {
            "service": service,
            "version": report.version,
            "verdict": report.verdict,
            "definition_hash": report.definition_hash.hex(),
            "examples": [{"code": trial.code, "response_hash": trial.response_hash.hex()} for trial in report.examples],
            "wrong_request": {"code": report.wrong.code},
            "checks": list(report.checks),
            "findings": list(report.findings),
            "filed_at_height": tested.height,
        }

    row = run(config, work)
    show(row, as_json)
    if row["verdict"] != "pass":
        raise typer.Exit(3)


@app.command()
def register(service: SERVICE, config: CONFIG, as_json: JSON = False) -> None:
    """Bring the tested version into force, with your signed source mark where you name an assertion key."""
    identity = identifier(service, "SERVICE")

    async def work(session: Session) -> render.Row:
        return _done(await session.register(identity), service=service, done="register")

    _tell(config, as_json, work)


_service_command("online", "Let confirmed consumers call.")
_service_command("offline", "Let nobody call; applications stay.")
_service_command("cancel", "End a service for good.")


@app.command()
def apply(service: SERVICE, config: CONFIG, as_json: JSON = False) -> None:
    """Ask the publisher for the use of a service of another market."""
    identity = identifier(service, "SERVICE")

    async def work(session: Session) -> render.Row:
        receipt = await session.submit("apply", service=identity, market=session.market)
        return _done(receipt, service=service, consumer=session.actor.account, done="apply")

    _tell(config, as_json, work)


@app.command("approve", help="The same as `confirm`.")
@app.command()
def confirm(
    service: SERVICE,
    config: CONFIG,
    consumer: Annotated[
        str, typer.Option("--consumer", help="The applicant's account id; may be left out when there is one.")
    ] = "",
    as_json: JSON = False,
) -> None:
    """Let an applicant call your service."""
    from service_registry.views import only_applicant

    identity, named = identifier(service, "SERVICE"), identifier(consumer, "--consumer") if consumer else b""

    async def work(session: Session) -> render.Row:
        who = named or await only_applicant(session.chain, identity)
        receipt = await session.submit("confirm", service=identity, consumer=who)
        return _done(receipt, service=service, consumer=who.hex(), done="confirm")

    _tell(config, as_json, work)


_consumer_command("refuse", "Turn an applicant down.")
_consumer_command("revoke", "End a consumer's use of your service.")
_service_command("withdraw", "Take your own application back, or give up your use.")


@app.command()
def call(
    service: SERVICE,
    request: Annotated[str, typer.Option("--request", help='The request as JSON, for example {"security": "..."}.')],
    config: CONFIG,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the answer here with its source mark, for `check-source`.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Call a service through the gateway; the answer is printed when all of it has been verified."""
    from service_registry.publishing.asking import request_bytes
    from service_registry.publishing.files import write_file
    from service_registry.source_marks import kept

    identity = identifier(service, "SERVICE")

    async def work(session: Session) -> render.Row:
        consumer = session.consumer()
        try:
            answered = await consumer.call(identity, await request_bytes(session.chain, identity, request))
            if keep is not None:
                write_file(keep, await kept(session.chain, answered))
        finally:
            await consumer.close()
        row: render.Row = {
            "service": service,
            "call_id": answered.call.call_id,
            "signed_by_publisher": True,
            **_recorded(answered.record),
        }
        if answered.roll is None:
            return row | {"response": answered.value}
        roll = answered.roll
        return row | {
            "chain": answered.value["genesis_hash"],
            "security": roll.security.hex(),
            "proven_at_height": roll.header.height,
            "total": roll.total,
            "holders": len(roll.holders),
            "roll": {holder.hex(): holding.total for holder, holding in roll.holders},
        }

    _tell(config, as_json, work)


def _recorded(record: VerifiedReceipt | SignedPromise) -> render.Row:
    if isinstance(record, VerifiedReceipt):
        transaction = record.receipt.transaction_id.hex()
        return {"recorded_at_height": record.header.height, "record_transaction": transaction}
    promise = read_promise(record.promise)
    told = {"promise": record.promise.hex(), "signature": record.signature.hex()}
    return {"recorded_by_batch": True, "record": promise.record.hex(), "final_until_ms": promise.deadline_ms, **told}


@app.command()
def records(
    service: SERVICE,
    config: CONFIG,
    audit: Annotated[
        bool, typer.Option("--audit", help="Read all blocks, show each record, recompute digests.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Who called a service how often, proven; with --audit each record, and with [gateway] what is in its batches."""
    from service_registry.settlement import audited
    from service_registry.views import access_logs

    identity = identifier(service, "SERVICE")
    if audit:
        _tell(config, as_json, lambda session: audited(session, identity))
    else:
        _tell(config, as_json, lambda session: access_logs(session.chain, identity))


settlement_cli.add_to(app)
trust_cli.add_to(app)
publishing_cli.add_to(app)
