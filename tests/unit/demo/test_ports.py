"""Ports are drawn once, for everything, where no outgoing connection can take them before they are listened on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dualchain.demo import ports
from dualchain.demo.days import Calendar
from dualchain.demo.layout import lay_out


@pytest.fixture
def outgoing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the system says where outgoing connections begin."""
    path = tmp_path / "ip_local_port_range"
    monkeypatch.setattr(ports, "RANGE_FILE", path)
    return path


def test_drawn_ports_are_no_outgoing_connection_s(outgoing: Path) -> None:
    outgoing.write_text("12000\t65535\n")
    drawn = ports.draw_ports(40)
    assert len(set(drawn)) == 40
    assert all(10_000 <= number < 12_000 for number in drawn)


@pytest.mark.parametrize("text", [None, "", "ten eleven", "1024 65535"])
def test_any_free_port_where_the_system_leaves_none(outgoing: Path, text: str | None) -> None:
    if text is not None:
        outgoing.write_text(text)
    assert len(set(ports.draw_ports(40))) == 40


def test_a_port_in_use_is_not_drawn(outgoing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind((ports.LOOPBACK, 0))
        number = taken.getsockname()[1]
        monkeypatch.setattr(ports, "FEWEST", 1)
        monkeypatch.setattr(ports, "LOWEST", number)
        outgoing.write_text(f"{number + 1} 65535")
        assert ports._numbers() == [number]
        (drawn,) = ports.draw_ports(1)
        assert drawn != number


def test_every_port_of_the_network_is_drawn_before_genesis(tmp_path: Path) -> None:
    layout = lay_out(tmp_path, Calendar(frozenset(), frozenset()), 1_790_000_000_000)
    addresses = [layout.gateway, layout.lookup]
    for chain in layout.chains.values():
        addresses += [f"{plan.host}:{port}" for plan in chain.plans for port in (plan.peer_port, plan.client_port)]
    assert len(addresses) == len(set(addresses)) == 2 + 3 * 4 * 2
