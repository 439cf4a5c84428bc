"""A process that may hold keys leaves no core and is read by nobody; a named switch allows it for debugging."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource
from chain_core.crypto.dumps import dumpable, forbid_dumps
before = dumpable()
done = forbid_dumps()
print(json.dumps([before, done, dumpable(), resource.getrlimit(resource.RLIMIT_CORE)]))
"""


def run(**environment: str) -> list[object]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    found = json.loads(ended.stdout)
    assert isinstance(found, list)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_DUMPABLE is Linux's")
def test_no_dumps_unless_asked_for() -> None:
    before, done, after, limits = run()
    assert (before, done, after, limits) == (True, True, False, [0, 0])
    before, done, after, _ = run(DUALCHAIN_ALLOW_DUMPS="1")
    assert (before, done, after) == (True, False, True)
