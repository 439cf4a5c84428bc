"""The gate before handshakes: by address, in all, and what counts as one address."""

import pytest

from chain_core.network.handshake_gate import MAX_ADDRESSES, HandshakeGate, address_block
from chain_core.network.quota import SECOND_NS, Limit
from chain_core.network.sm_session.refused import Reason, SessionRefused


class Clock:
    ns = 0

    def __call__(self) -> int:
        return self.ns


def test_an_address_has_its_rate_and_others_are_not_affected() -> None:
    clock = Clock()
    gate = HandshakeGate(clock, Limit(2, 3), Limit(1_000, 1_000))
    for _ in range(3):
        gate.admit("10.0.0.1")
    with pytest.raises(SessionRefused) as told:
        gate.admit("10.0.0.1")
    assert (told.value.reason, told.value.retry_after_ms) == (Reason.TOO_MANY_HANDSHAKES, 500)
    gate.admit("10.0.0.2")
    clock.ns += SECOND_NS // 2
    gate.admit("10.0.0.1")


def test_all_addresses_together_have_a_rate() -> None:
    gate = HandshakeGate(Clock(), Limit(10, 10), Limit(1, 5))
    for number in range(5):
        gate.admit(f"10.0.0.{number}")
    with pytest.raises(SessionRefused, match="this port"):
        gate.admit("10.0.1.1")


def test_validators_get_in_when_strangers_have_used_up_the_whole() -> None:
    validators = ["10.0.1.1"]
    gate = HandshakeGate(Clock(), Limit(1, 2), Limit(1, 5), lambda: validators)
    for number in range(5):
        gate.admit(f"10.0.0.{number}")
    gate.admit("10.0.1.1")
    gate.admit("10.0.1.1")
    with pytest.raises(SessionRefused, match=r"10\.0\.1\.1"):
        gate.admit("10.0.1.1")  # its own limit holds for it too
    validators.clear()
    with pytest.raises(SessionRefused):
        gate.admit("10.0.1.2")


def test_a_flood_from_one_address_uses_nothing_of_the_whole() -> None:
    gate = HandshakeGate(Clock(), Limit(1, 2), Limit(1, 3))
    for _ in range(100):
        try:
            gate.admit("10.0.0.1")
        except SessionRefused:
            continue
    gate.admit("10.0.0.2")


def test_the_table_is_bounded() -> None:
    gate = HandshakeGate(Clock(), Limit(1, 1), Limit(1, 10 * MAX_ADDRESSES))
    for number in range(MAX_ADDRESSES + 100):
        gate.admit(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(gate._addresses) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("%5B2001:db8:1:2:ffff::1%5D", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("unix:", "unix:"),
    ],
)
def test_one_address(address: str, block: str) -> None:
    assert address_block(address) == block
