"""Links between validators stand on the keys that the state lists at that moment; this node's own among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.files import load_certificates
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.node.peer_security import PeerSecurity
from tests.unit.node.test_security import World

OTHER = signing_provider().sm2_public_key(generate_private_key())


class Links:
    """The security of n0's links; ``keys`` is what the state lists."""

    def __init__(self, directory: Path) -> None:
        world = World(directory)
        self.keys: dict[str, tuple[bytes, ...]] = {}
        self.chains = {
            name: tuple(one.der for one in load_certificates(directory / name / "transport.pem"))
            for name in ("n0", "n1")
        }
        private = load_private_key(directory / "n0" / "transport.key")
        self.own = signing_provider().sm2_public_key(private)
        self.peer = signing_provider().sm2_public_key(load_private_key(directory / "n1" / "transport.key"))
        self.alarms: list[str] = []
        self.security = PeerSecurity(
            bytes(32), "n0", (self.chains["n0"], private), world.security(), lambda: self.keys, lambda: True
        )

    def look(self) -> list[str]:
        self.alarms.clear()
        self.security.look_at_own(lambda code, facts: self.alarms.append(f"{code} {facts['node']}"))
        return self.alarms


@pytest.fixture
def links(tmp_path: Path) -> Links:
    return Links(tmp_path)


def test_a_peer_is_believed_as_long_as_its_key_is_listed(links: Links) -> None:
    for listed in ((links.peer,), (OTHER, links.peer)):
        links.keys = {"n1": listed}
        assert links.security.verify(links.chains["n1"]).subject == "n1"
    links.keys = {"n1": (OTHER,)}
    with pytest.raises(SessionRefused, match="n1: its key is no other validator's") as refused:
        links.security.verify(links.chains["n1"])
    assert refused.value.reason is Reason.NOT_A_VALIDATOR


def test_a_node_whose_own_key_was_replaced_says_so(links: Links) -> None:
    links.keys = {"n0": (links.own,), "n1": (links.peer,)}
    assert links.look() == []
    links.keys["n0"] = (OTHER, links.own)  # scheduled, and not yet in force
    assert links.look() == []
    links.keys["n0"] = (OTHER,)
    assert links.look() == ["TRANSPORT_KEY_REPLACED n0"]
    del links.keys["n0"]  # no validator, or not yet
    assert links.look() == []
