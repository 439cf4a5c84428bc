"""``python -m dualchain``: the same as the console script."""

from dualchain.cli import main

main()
