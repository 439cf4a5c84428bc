"""Drawing free loopback ports for a network, before its genesis; kept in its configuration over restarts."""

from __future__ import annotations

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def draw_ports(count: int) -> list[int]:
    """``count`` different ports that are free now; held open until all are drawn, so that none is drawn twice."""
    with ExitStack() as stack:
        drawn = []
        for _ in range(count):
            opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            opened.bind((LOOPBACK, 0))
            drawn.append(int(opened.getsockname()[1]))
        return drawn
