"""The server's state machine (RFC 8446 appendix A.2): ``answer``, ``decide``, each once, in order."""

from __future__ import annotations

from enum import Enum

from chain_core.crypto.hkdf import SM3
from chain_core.crypto.providers import signing_provider
from chain_core.network.sm_session import key_schedule, messages
from chain_core.network.sm_session.binding import Binding, check_binding
from chain_core.network.sm_session.flights import authenticate, check_size, guarded_turn, judge, shared_secret
from chain_core.network.sm_session.ports import Established, Identity, Verify
from chain_core.network.sm_session.reading import Flight
from chain_core.network.sm_session.refused import SessionRefused
from chain_core.network.sm_session.sealed_part import VERDICT_NUMBER, encode_alert, open_part, seal_part
from chain_core.network.sm_session.suite import (
    SESSION_ID_LABEL,
    SESSION_ID_SIZE,
    ContentType,
    Direction,
    HandshakeType,
)
from chain_core.network.sm_session.transcript import Transcript


class State(Enum):
    """Whose turn it is."""

    WAIT_CLIENT_HELLO = "answer"
    WAIT_CLIENT_FLIGHT = "decide"
    ESTABLISHED = "established"
    REFUSED = "refused"


class ServerHandshake:
    """One handshake; ``random`` 32 bytes, ``ephemeral`` a private key made for it. Every refusal ends it for good."""

    def __init__(
        self, identity: Identity, binding: Binding, verify: Verify, *, random: bytes, ephemeral: bytes
    ) -> None:
        self.state = State.WAIT_CLIENT_HELLO
        self.verdict = b""
        """After ``decide``, refused or not: the sealed message that tells the client."""
        self._identity, self._binding, self._verify = identity, binding, verify
        self._random, self._ephemeral = random, ephemeral
        self._transcript = Transcript(SM3)
        self._secrets: key_schedule.HandshakeSecrets | None = None
        self._application: key_schedule.ApplicationSecrets | None = None

    def answer(self, data: bytes) -> bytes:
        """The ClientHello to our flight. Raises SessionRefused; there are no keys yet that could seal why."""
        guarded_turn(State.WAIT_CLIENT_HELLO.value, self.state.value)
        self.state = State.REFUSED
        check_size(data, "client hello")
        flight = Flight(data, "client hello")
        whole, body = flight.next(HandshakeType.CLIENT_HELLO)
        hello = messages.read_client_hello(body)
        flight.end()
        check_binding(self._binding, hello.binding)
        shared = shared_secret(self._ephemeral, hello.point)
        point = signing_provider().sm2_public_key(self._ephemeral)
        self._ephemeral = b""
        transcript = self._transcript
        transcript.add(whole)
        ours = messages.encode_server_hello(messages.ServerHello(self._random, point))
        transcript.add(ours)
        secrets = self._secrets = key_schedule.handshake_secrets(SM3, shared, transcript.hash())
        extensions = messages.encode_encrypted_extensions(self._binding) + messages.encode_certificate_request()
        transcript.add(extensions)
        content = extensions + authenticate(self._identity, Direction.SERVER, transcript, secrets.server)
        self._application = key_schedule.application_secrets(SM3, secrets.master, transcript.hash())
        key = key_schedule.traffic_key(SM3, secrets.server)
        self.state = State.WAIT_CLIENT_FLIGHT
        return ours + seal_part(key, Direction.SERVER, ContentType.HANDSHAKE, content)

    def decide(self, data: bytes) -> Established:
        """The client's flight to a session; ``verdict`` is to be sent. Raises SessionRefused, ``verdict`` says it."""
        guarded_turn(State.WAIT_CLIENT_FLIGHT.value, self.state.value)
        self.state = State.REFUSED
        assert self._secrets is not None and self._application is not None
        key = key_schedule.traffic_key(SM3, self._application.server)
        try:
            established = self._decide(data, self._secrets, self._application)
        except SessionRefused as refusal:
            if not refusal.by_peer:
                alert = encode_alert(refusal)
                self.verdict = seal_part(key, Direction.SERVER, ContentType.ALERT, alert, VERDICT_NUMBER)
            raise
        self.verdict = seal_part(key, Direction.SERVER, ContentType.HANDSHAKE, b"", VERDICT_NUMBER)
        self.state = State.ESTABLISHED
        return established

    def _decide(
        self, data: bytes, secrets: key_schedule.HandshakeSecrets, application: key_schedule.ApplicationSecrets
    ) -> Established:
        check_size(data, "client flight")
        content = open_part(key_schedule.traffic_key(SM3, secrets.client), Direction.CLIENT, data)
        flight = Flight(content, "client flight")
        peer, certificates = judge(flight, Direction.CLIENT, self._transcript, secrets.client, self._verify)
        session_id = key_schedule.export(SM3, application.exporter, SESSION_ID_LABEL, b"", SESSION_ID_SIZE)
        return Established(session_id, self._binding, peer, certificates, application.client, application.server)
