"""Commands of ``dualchain registry`` for publishers (docs/spec/publishing.md §3)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.command import JSON, identifier, show
from chain_core.types.errors import MalformedBytes
from service_registry.session import Session, run

CONFIG = Annotated[Path, typer.Option("--config", help="TOML file that says who you are and which nodes you ask.")]
FOLDER = Annotated[Path, typer.Argument(help="The service's folder, or its definition.json.")]
REFERENCE = Annotated[str, typer.Option("--reference", help="Your own name for the service; else the folder's.")]
ID_FILE = "service.id"
"""In the folder: the service's id on the chain on which it was published last."""
FOUND = 3
"""Exit code when something was found."""


def add_to(app: typer.Typer) -> None:
    """Puts them among the others."""
    app.command("init-service")(init_service)
    app.command()(lint)
    app.command("test")(try_handler)
    app.command()(serve)
    app.command()(publish)
    app.command("generate-client")(generate_client)


def init_service(
    name: Annotated[str, typer.Argument(help="Name of the service and its folder: a-z, 0-9 and -.")],
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Where your host will listen, host:port.")
    ] = "127.0.0.1:7400",
    parent: Annotated[Path, typer.Option("--in", help="Where the folder is made.")] = Path(),
) -> None:
    """Begin a service: a folder with definition, handler and README, to be changed to your own."""
    from service_registry.publishing.scaffold import write_folder

    folder = write_folder(parent, name, endpoint)
    for file in sorted(folder.iterdir()):
        typer.echo(f"wrote {file}")
    typer.echo(f"next: dualchain registry lint {folder}; dualchain registry test {folder}")


def lint(
    folder: FOLDER,
    former: Annotated[
        Path | None, typer.Option("--former", help="A former definition: say what breaks its consumers.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Say everything that is wrong with a definition: where, what, and what to do. Exit code 3: something is."""
    from service_registry.compatibility import breaks
    from service_registry.definition import encode_definition, read_definition
    from service_registry.publishing.files import definition_path, faults_of, read_definition_file

    path = definition_path(folder)
    faults = [fault.row() for fault in faults_of(path)]
    row: render.Row = {"definition": str(path), "faults": faults}
    broken: tuple[str, ...] = ()
    if not faults:
        definition = read_definition(encode_definition(read_definition_file(path)))
        row["definition_hash"] = definition.hash.hex()
        if former is not None:
            old = read_definition(encode_definition(read_definition_file(definition_path(former))))
            broken = breaks(old, definition)
            row["compatible"], row["breaks"] = not broken, list(broken)
    if as_json:
        show(row, True)
    else:
        for fault in faults:
            typer.echo(f"{fault['where']}: {fault['what']}; next: {fault['next']}")
        for text in broken:
            typer.echo(f"breaks consumers: {text}; next: announce it (docs/spec/desk.md §1), or keep it as it was")
        if not faults and not broken:
            typer.echo(f"nothing is wrong with {path}; definition hash {row['definition_hash']}")
    if faults or broken:
        raise typer.Exit(FOUND)


def try_handler(folder: FOLDER, as_json: JSON = False) -> None:
    """Ask the handler what the joint test will ask, without a chain. Exit code 3: something did not hold."""
    from service_registry.definition import encode_definition, read_definition
    from service_registry.publishing.files import definition_path, read_definition_file
    from service_registry.publishing.handlers import load_handler, try_out

    path = definition_path(folder)
    definition = read_definition(encode_definition(read_definition_file(path)))
    tried = asyncio.run(try_out(definition, load_handler(path.parent)))
    held = all(one.held for one in tried)
    if as_json:
        rows = [{"request": one.request, "ended": one.ended, "held": one.held} for one in tried]
        show({"held": held, "tried": rows}, True)
    else:
        for one in tried:
            typer.echo(f"{'ok  ' if one.held else 'FAIL'} {one.request}: {one.ended}")
        typer.echo("all held" if held else "mend handler.py or the definition, then test again")
    if not held:
        raise typer.Exit(FOUND)


def serve(
    folder: FOLDER,
    config: CONFIG,
    listen: Annotated[str, typer.Option("--listen", help="host:port; else the definition's first endpoint.")] = "",
    reference: REFERENCE = "",
) -> None:
    """Answer calls by the folder's handler until SIGTERM or Ctrl-C. It prints READY once it takes calls."""
    from service_registry.config import UserConfig, load
    from service_registry.definition import encode_definition, read_definition
    from service_registry.publishing.files import definition_path, read_definition_file
    from service_registry.publishing.handlers import load_handler
    from service_registry.publishing.serving import serve_handler
    from service_registry.serving import set_up_log

    path = definition_path(folder)
    definition = read_definition(encode_definition(read_definition_file(path)))
    answer = load_handler(path.parent)
    loaded = load(UserConfig, config)
    set_up_log(loaded.log)
    where = listen or definition.endpoints[0]
    asyncio.run(serve_handler(loaded, reference or _reference(path), where, answer))


def publish(folder: FOLDER, config: CONFIG, reference: REFERENCE = "", as_json: JSON = False) -> None:
    """Take the next step: draft, change, or once tested register and go online. Says what comes after it."""
    from service_registry.publishing.files import definition_path, read_definition_file, write_file
    from service_registry.publishing.publish import publish as take

    path = definition_path(folder)
    row = read_definition_file(path)
    told = run(config, lambda session: take(session, reference or _reference(path), row))
    write_file(path.parent / ID_FILE, f"{told['service']}\n".encode("ascii"))
    show(told, as_json)


def generate_client(
    source: Annotated[str, typer.Argument(help="The service's folder, its definition.json, or a service id.")],
    out: Annotated[Path, typer.Option("--out", help="The Python file to write.")],
    config: Annotated[Path | None, typer.Option("--config", help="Your TOML file; needed for a service id.")] = None,
) -> None:
    """Write a typed Python client of a service's interface; from an id, of the version in force, proven."""
    from service_registry.definition import Definition, encode_definition, read_definition
    from service_registry.publishing.asking import definition_in_force
    from service_registry.publishing.client_source import client_source
    from service_registry.publishing.files import definition_path, read_definition_file, write_file

    service, found = "", list[Definition]()
    if Path(source).exists():
        found.append(read_definition(encode_definition(read_definition_file(definition_path(Path(source))))))
    else:
        service, identity = source, identifier(source, "SERVICE")
        if config is None:
            raise MalformedBytes("needed for a service id", where="--config", next_step="name your TOML file")

        async def work(session: Session) -> render.Row:
            found.append(await definition_in_force(session.chain, identity))
            return {}

        run(config, work)
    write_file(out, client_source(found[0], service).encode("utf-8"))
    typer.echo(f"wrote {out}")


def _reference(path: Path) -> str:
    return path.resolve().parent.name
