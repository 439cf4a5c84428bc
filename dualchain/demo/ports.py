"""Drawing loopback ports for a network, all of them before its genesis; kept in its configuration over restarts."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import SystemRandom

LOOPBACK = "127.0.0.1"

RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000
"""Below are ports that well-known services listen on."""
FEWEST = 2_000
"""With fewer numbers to draw from, any free port will do."""


def draw_ports(count: int) -> list[int]:
    """``count`` different ports that are free now; held open until all are drawn, so that none is drawn twice.

    They lie outside the range from which the system takes the near end of outgoing connections: a port that is drawn
    now and listened on a minute later would else be taken, sooner or later, by a connection of the network's own.
    """
    numbers = _numbers()
    SystemRandom().shuffle(numbers)
    with ExitStack() as stack:
        drawn: list[int] = []
        for number in (*numbers, *(0 for _ in range(count))):
            if len(drawn) == count:
                break
            opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):
                opened.bind((LOOPBACK, number))
                drawn.append(int(opened.getsockname()[1]))
        return drawn


def _numbers() -> list[int]:
    """Ports that no outgoing connection gets; none where the system does not say, or leaves too few."""
    try:
        low, high = (int(word) for word in RANGE_FILE.read_text("ascii").split())
    except (OSError, ValueError):
        return []
    found = [number for number in range(LOWEST, 65_536) if not low <= number <= high]
    return found if len(found) >= FEWEST else []
