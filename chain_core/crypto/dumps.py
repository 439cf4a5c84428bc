"""Keeping this process's memory out of files and from other processes of the same user (docs/spec/keys.md §4)."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

ALLOW = "DUALCHAIN_ALLOW_DUMPS"
_LINUX = sys.platform.startswith("linux")
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def forbid_dumps() -> bool:
    """No core file, no /proc/PID/mem, no ptrace by the same user. False, and nothing done, with the switch ``ALLOW``.

    On systems other than Linux only the core file is forbidden. Children inherit the limit, not the flag.
    """
    if os.environ.get(ALLOW) == "1":
        return False
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return True


def dumpable() -> bool:
    """Whether the kernel would let memory be read (Linux); elsewhere whether a core file may be written."""
    if _LINUX:
        return bool(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
    return resource.getrlimit(resource.RLIMIT_CORE)[0] != 0
