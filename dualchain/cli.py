"""The root command ``dualchain``: a table of sub-commands, each imported only when it is called.

A persona's module exposes ``app: typer.Typer``; one row of SUB_COMMANDS puts it on the command line.
"""

import importlib
import os
import platform
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import typer

from chain_core.crypto.dumps import forbid_dumps
from chain_core.types.errors import DualchainError
from dualchain import __version__

COMPLETE = "_DUALCHAIN_COMPLETE"
"""Set by the completion scripts that `dualchain --install-completion` writes."""


class SubCommand(NamedTuple):
    """One row of the root command."""

    name: str
    module: str
    """Dotted name of a module with ``app: typer.Typer``."""
    help: str


SUB_COMMANDS: tuple[SubCommand, ...] = (
    SubCommand("local", "local_chain.cli", "A market's chain 地方业务链: make it, ask its books with proofs."),
    SubCommand(
        "supervisory", "supervisory_chain.cli", "The regulator's chain 监管链: make it, ask what it has verified."
    ),
    SubCommand("template", "local_chain.filing.cli", "Contract templates 合约模板: check, test, file, approve."),
    SubCommand("key", "chain_core.node.key_cli", "Make, encrypt, decrypt and show key files."),
    SubCommand(
        "crypto", "chain_core.node.crypto_cli", "Crypto providers 密码库: which are used here, what each can do."
    ),
    SubCommand("ca", "chain_core.node.ca_cli", "Certificates with SM2 证书: an authority, requests, revocation lists."),
    SubCommand("node", "dualchain.nodes", "Run a node, and ask one: status, blocks, receipts, state."),
    SubCommand("signer", "chain_core.node.signer.cli", "Hold consensus keys outside of the node, serve votes only."),
    SubCommand("demo", "dualchain.demo.cli", "Run the demonstration, verify its evidence."),
    SubCommand("relayer", "crosschain.relayer.cli", "Carry headers, reports and directives between two chains."),
    SubCommand("guideline", "dualchain.guideline.cli", "The guideline's articles 建设指引, asked of a network."),
    SubCommand("evidence", "dualchain.evidence.cli", "Evidence bundles 证据包 for openssl and a shell alone."),
    SubCommand(
        "registry", "dualchain.registry", "Services 赋能服务 between markets: publish, test, apply, call, audit."
    ),
    SubCommand("gateway", "service_registry.gateway_cli", "Run the gateway through which services are called."),
    SubCommand(
        "conformance", "crosschain.conformance.cli", "Joint tests 联调测试: a chain's node interface by JR/T 0314."
    ),
    SubCommand("lookup", "service_registry.lookup_cli", "Run a market's proven holder-roll look-up 股东名册查询."),
    SubCommand("deposits", "service_registry.deposits.cli", "Evidence deposits 存证 on another market's chain."),
    SubCommand(
        "govdata", "service_registry.govdata.cli", "Government data 政务数据 by the enterprise's authorisation."
    ),
)


def load(row: SubCommand) -> typer.Typer:
    """Import the module of a row and return its ``app``; a broken row is a bug and raises."""
    app = importlib.import_module(row.module).app
    if not isinstance(app, typer.Typer):
        raise TypeError(f"{row.module}.app is {type(app).__name__}, not a typer.Typer")
    return app


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the root command for these arguments.

    Rows that the arguments do not name are listed by their help text alone, so that ``--help`` and each
    persona's commands start without importing the other personas.
    """
    root = typer.Typer(
        help="A market's chain and its supervisory chain: nodes, queries, verification.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
    )
    for row in SUB_COMMANDS:
        root.add_typer(load(row) if row.name in arguments else _listed_only(), name=row.name, help=row.help)
    root.command(help="Print the versions of dualchain, Python and OpenSSL.")(version)
    # With a callback, a root of a single command is still called by that command's name.
    root.callback()(lambda: None)
    return root


def _listed_only() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    return app


def version() -> None:
    """Print one line a component, for reports and support."""
    import ssl

    typer.echo(f"dualchain {__version__}")
    typer.echo(f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}")
    typer.echo(ssl.OPENSSL_VERSION)


def _typed_words() -> list[str]:
    """The arguments; while a shell asks for completions, the words of the line that is being typed."""
    typed = " ".join(os.environ.get(name, "") for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"))
    return sys.argv[1:] + (typed.split() if COMPLETE in os.environ else [])


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 refused (said on stderr), 2 wrong usage, 130 Ctrl-C.

    No process of ours leaves its memory to others (docs/spec/keys.md §4); DUALCHAIN_ALLOW_DUMPS=1 is for debugging.
    """
    forbid_dumps()
    try:
        build(_typed_words())(prog_name="dualchain")
    except DualchainError as refusal:
        typer.echo(str(refusal), err=True)
        raise SystemExit(1) from refusal
    raise SystemExit(0)


if __name__ == "__main__":
    main()
