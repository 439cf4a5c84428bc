"""``python -m benchmarks.crypto --json``: the same as ``dualchain crypto bench --json``."""

from __future__ import annotations

import sys

from chain_core.node.crypto_cli import app

if __name__ == "__main__":
    app(["bench", *sys.argv[1:]])
