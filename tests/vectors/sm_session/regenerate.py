"""The golden handshake: ``python -m tests.vectors.sm_session.regenerate`` writes it, keeping stored signatures.

Everything but the signatures is determined by its inputs: private keys are SM3 of the texts in ``private_keys``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chain_core.crypto.hashing import sm3
from chain_core.crypto.hkdf import SM3
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_exchange import shared_x
from chain_core.crypto.sm2_identified import sign_as, verify_as
from chain_core.network.sm_session import key_schedule as ks
from chain_core.network.sm_session import messages
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.records import Kind, Limits, Sealer, associated_tail
from chain_core.network.sm_session.sealed_part import VERDICT_NUMBER, seal_part
from chain_core.network.sm_session.suite import (
    SESSION_ID_LABEL,
    SESSION_ID_SIZE,
    SIGNER_ID,
    ContentType,
    Direction,
)
from chain_core.network.sm_session.transcript import Transcript, signed_content

PATH = Path(__file__).parent / "handshake.json"
KEYS = {
    "client": "golden client key",
    "server": "golden server key",
    "client ephemeral": "golden client ephemeral",
    "server ephemeral": "golden server ephemeral",
}
METHOD = "/dualchain.node.v1.NodeService/Submit"


def _key(name: str) -> bytes:
    return sm3(KEYS[name].encode())


def _public(name: str) -> bytes:
    return signing_provider().sm2_public_key(_key(name))


class _Golden:
    """One handshake, computed from the schedule alone: the state machines are not asked."""

    def __init__(self, signatures: dict[str, str]) -> None:
        self.signatures = signatures
        self.values: dict[str, str] = {}
        self.transcript = Transcript(SM3)

    def put(self, name: str, value: bytes) -> bytes:
        self.values[name] = value.hex()
        return value

    def message(self, name: str, whole: bytes) -> bytes:
        self.transcript.add(whole)
        self.put(f"transcript hash after {name}", self.transcript.hash())
        return self.put(name, whole)

    def signature(self, side: str, content: bytes) -> bytes:
        stored = bytes.fromhex(self.signatures.get(side, ""))
        if not verify_as(_public(side), content, stored, SIGNER_ID):
            stored = sign_as(_key(side), content, SIGNER_ID)
            self.signatures[side] = stored.hex()
        return stored

    def authenticate(self, side: str, direction: Direction, secret: bytes) -> bytes:
        certificate = b"golden certificate of the " + side.encode()
        first = self.message(f"{side} Certificate", messages.encode_certificate([certificate]))
        content = self.put(f"{side} signed content", signed_content(direction, self.transcript.hash()))
        proof = messages.encode_certificate_verify(self.signature(side, content))
        second = self.message(f"{side} CertificateVerify", proof)
        data = ks.verify_data(SM3, secret, self.transcript.hash())
        return first + second + self.message(f"{side} Finished", messages.encode_finished(data))


def made(signatures: dict[str, str]) -> dict[str, Any]:
    """The document; stored ``signatures`` that verify are kept."""
    golden = _Golden(dict(signatures))
    binding = Binding(sm3(b"golden genesis"), Role.PEER)
    randoms = {side: sm3(f"golden {side} random".encode()) for side in ("client", "server")}
    hello = messages.ClientHello(randoms["client"], _public("client ephemeral"), binding)
    golden.message("ClientHello", messages.encode_client_hello(hello))
    server_hello = messages.ServerHello(randoms["server"], _public("server ephemeral"))
    golden.message("ServerHello", messages.encode_server_hello(server_hello))
    shared = golden.put("ECDHE secret", shared_x(_key("client ephemeral"), _public("server ephemeral")))
    secrets = ks.handshake_secrets(SM3, shared, golden.transcript.hash())
    golden.put("c hs traffic", secrets.client)
    golden.put("s hs traffic", secrets.server)
    golden.put("master secret", secrets.master)
    extensions = golden.message("EncryptedExtensions", messages.encode_encrypted_extensions(binding))
    request = golden.message("CertificateRequest", messages.encode_certificate_request())
    flight = extensions + request + golden.authenticate("server", Direction.SERVER, secrets.server)
    server_key = ks.traffic_key(SM3, secrets.server)
    golden.put("server sealed part", seal_part(server_key, Direction.SERVER, ContentType.HANDSHAKE, flight))
    application = ks.application_secrets(SM3, secrets.master, golden.transcript.hash())
    golden.put("c ap traffic", application.client)
    golden.put("s ap traffic", application.server)
    golden.put("exp master", application.exporter)
    ours = golden.authenticate("client", Direction.CLIENT, secrets.client)
    client_key = ks.traffic_key(SM3, secrets.client)
    golden.put("client sealed part", seal_part(client_key, Direction.CLIENT, ContentType.HANDSHAKE, ours))
    key = ks.traffic_key(SM3, application.server)
    golden.put("verdict", seal_part(key, Direction.SERVER, ContentType.HANDSHAKE, b"", VERDICT_NUMBER))
    session_id = ks.export(SM3, application.exporter, SESSION_ID_LABEL, b"", SESSION_ID_SIZE)
    golden.put("session id", session_id)
    sealer = Sealer(session_id, application.client, Limits(rekey_records=1))
    tail = associated_tail(Direction.CLIENT, METHOD)
    golden.put("record of generation 0", sealer.seal(0, 0, Kind.DATA, False, b"golden payload", tail))
    golden.put("record of generation 1", sealer.seal(0, 1, Kind.END, True, b"", tail))
    return {
        "source": "made for this project: docs/spec/sm-session.md",
        "private_keys": KEYS,
        "method": METHOD,
        "signatures": golden.signatures,
        "values": golden.values,
    }


if __name__ == "__main__":
    before = json.loads(PATH.read_text("utf-8")) if PATH.exists() else {"signatures": {}}
    PATH.write_text(json.dumps(made(before["signatures"]), indent=2) + "\n", "utf-8")
