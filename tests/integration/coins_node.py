"""The node commands for the toy chain of these tests, as a program: ``python -m tests.integration.coins_node``."""

import sys

from chain_core.node.cli import make_app
from chain_core.types.errors import DualchainError
from tests.integration.network import assembly

app = make_app(lambda: {"supervisory": assembly})

if __name__ == "__main__":
    try:
        app()
    except DualchainError as refusal:
        print(refusal, file=sys.stderr)
        raise SystemExit(1) from refusal
