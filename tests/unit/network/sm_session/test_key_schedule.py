"""The schedule against RFC 8448 section 3 (SHA-256); ours against golden vectors."""

import json
from pathlib import Path

import pytest

from chain_core.crypto.hkdf import SHA256, SM3
from chain_core.network.sm_session import key_schedule as ks
from tests.vectors.sm_session.regenerate import made

VECTORS = Path(__file__).parents[3] / "vectors" / "sm_session" / "handshake.json"

SHARED = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"
HELLO_HASH = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"
FINISHED_HASH = "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_rfc_8448_simple_1_rtt_handshake() -> None:
    assert ks.early_secret(SHA256).hex() == "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"
    secrets = ks.handshake_secrets(SHA256, h(SHARED), h(HELLO_HASH))
    assert secrets.client.hex() == "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"
    assert secrets.server.hex() == "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
    assert secrets.master.hex() == "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"
    key = ks.traffic_key(SHA256, secrets.server)
    assert (key.key.hex(), key.iv.hex()) == ("3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30")
    application = ks.application_secrets(SHA256, secrets.master, h(FINISHED_HASH))
    assert application.client.hex() == "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
    assert application.server.hex() == "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
    assert application.exporter.hex() == "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50"


def test_rfc_8446_nonce() -> None:
    key = ks.TrafficKey(bytes(16), h("5d313eb2671276ee13000b30"))
    assert key.nonce(0) == key.iv
    assert key.nonce(1).hex() == "5d313eb2671276ee13000b31"
    assert key.nonce((1 << 64) - 1).hex() == "5d313eb298ed8911ecfff4cf"


def test_secrets_do_not_show() -> None:
    secrets = ks.handshake_secrets(SM3, bytes(32), bytes(32))
    for value in (secrets, ks.application_secrets(SM3, secrets.master, bytes(32)), ks.traffic_key(SM3, bytes(32))):
        assert "b'" not in repr(value)


def test_secrets_differ() -> None:
    """Each derived value is another one: labels, transcripts and generations separate them."""
    secrets = ks.handshake_secrets(SM3, bytes(32), bytes(32))
    application = ks.application_secrets(SM3, secrets.master, bytes(32))
    values = [secrets.client, secrets.server, secrets.master, application.client, application.server]
    values += [application.exporter, ks.next_secret(SM3, application.client), ks.next_secret(SM3, application.server)]
    values += [ks.application_secrets(SM3, secrets.master, b"\1" * 32).client]
    values += [ks.verify_data(SM3, secrets.client, bytes(32)), ks.verify_data(SM3, secrets.server, bytes(32))]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", list(json.loads(VECTORS.read_text("utf-8"))["values"]))
def test_golden(name: str) -> None:
    """Every message and secret of one handshake whose keys, randoms and signatures are stored."""
    stored = json.loads(VECTORS.read_text("utf-8"))
    assert made(stored["signatures"])["values"][name] == stored["values"][name]


def test_rfc_8448_finished() -> None:
    """The client's Finished key of the same trace, and the exporter's shape of RFC 8446 section 7.5."""
    secret = h("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
    key = ks.expand_label(SHA256, secret, b"finished", b"", 32)
    assert key.hex() == "b80ad01015fb2f0bd65ff7d4da5d6bf83f84821d1f87fdc7d3c75b5a7b42d9c4"
    assert ks.verify_data(SHA256, secret, b"x") == SHA256.hmac(key, b"x")
    exporter = h("fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50")
    derived = ks.expand_label(SHA256, exporter, b"label", SHA256.digest(b""), 32)
    wanted = ks.expand_label(SHA256, derived, b"exporter", SHA256.digest(b"context"), 16)
    assert ks.export(SHA256, exporter, b"label", b"context", 16) == wanted
