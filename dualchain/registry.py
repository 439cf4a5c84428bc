"""``dualchain registry``: the registry's commands, and a network to try them in."""

from __future__ import annotations

from dualchain.testbed.cli import keep_testbed
from service_registry.cli import app

app.command("testbed")(keep_testbed)
