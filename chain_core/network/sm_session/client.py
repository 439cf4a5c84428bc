"""The client's state machine (RFC 8446 appendix A.1): ``hello``, ``answer``, ``finish``, each once, in order."""

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

    START = "hello"
    WAIT_SERVER = "answer"
    WAIT_VERDICT = "finish"
    ESTABLISHED = "established"
    REFUSED = "refused"


class ClientHandshake:
    """One handshake; ``random`` 32 bytes, ``ephemeral`` a private key made for it. Every refusal ends it for good."""

    def __init__(
        self, identity: Identity, binding: Binding, verify: Verify, *, random: bytes, ephemeral: bytes
    ) -> None:
        self.state = State.START
        self.alert = b""
        """After a refusal by ``answer``: what tells the server why, sealed; empty before there are keys."""
        self._identity, self._binding, self._verify = identity, binding, verify
        self._random, self._ephemeral = random, ephemeral
        self._transcript = Transcript(SM3)
        self._verdict_key: key_schedule.TrafficKey | None = None
        self._established: Established | None = None

    def hello(self) -> bytes:
        """The first message."""
        guarded_turn(State.START.value, self.state.value)
        point = signing_provider().sm2_public_key(self._ephemeral)
        whole = messages.encode_client_hello(messages.ClientHello(self._random, point, self._binding))
        self._transcript.add(whole)
        self.state = State.WAIT_SERVER
        return whole

    def answer(self, data: bytes) -> bytes:
        """The server's flight to ours. Raises SessionRefused; send ``alert`` then, if there is one."""
        guarded_turn(State.WAIT_SERVER.value, self.state.value)
        self.state = State.REFUSED
        answered = self._answer(data)
        self.state = State.WAIT_VERDICT
        return answered

    def _answer(self, data: bytes) -> bytes:
        check_size(data, "server flight")
        # The ServerHello stands in the clear before the sealed part: its own length says where that begins.
        size = 4 + int.from_bytes(data[1:4], "big")
        hello_bytes, sealed = data[:size], data[size:]
        opened = Flight(hello_bytes, "server flight")
        whole, body = opened.next(HandshakeType.SERVER_HELLO)
        hello = messages.read_server_hello(body)
        opened.end()
        self._transcript.add(whole)
        shared = shared_secret(self._ephemeral, hello.point)
        secrets = key_schedule.handshake_secrets(SM3, shared, self._transcript.hash())
        our_key = key_schedule.traffic_key(SM3, secrets.client)
        try:
            content = open_part(key_schedule.traffic_key(SM3, secrets.server), Direction.SERVER, sealed)
            return self._take_flight(Flight(content, "server flight"), secrets, our_key)
        except SessionRefused as refusal:
            if not refusal.by_peer:
                alert = encode_alert(refusal)
                self.alert = seal_part(our_key, Direction.CLIENT, ContentType.ALERT, alert)
            raise
        finally:
            self._ephemeral = b""

    def _take_flight(
        self, flight: Flight, secrets: key_schedule.HandshakeSecrets, our_key: key_schedule.TrafficKey
    ) -> bytes:
        transcript = self._transcript
        whole, body = flight.next(HandshakeType.ENCRYPTED_EXTENSIONS)
        check_binding(self._binding, messages.read_encrypted_extensions(body))
        transcript.add(whole)
        whole, body = flight.next(HandshakeType.CERTIFICATE_REQUEST)
        messages.read_certificate_request(body)
        transcript.add(whole)
        peer, certificates = judge(flight, Direction.SERVER, transcript, secrets.server, self._verify)
        application = key_schedule.application_secrets(SM3, secrets.master, transcript.hash())
        ours = authenticate(self._identity, Direction.CLIENT, transcript, secrets.client)
        self._verdict_key = key_schedule.traffic_key(SM3, application.server)
        session_id = key_schedule.export(SM3, application.exporter, SESSION_ID_LABEL, b"", SESSION_ID_SIZE)
        self._established = Established(
            session_id, self._binding, peer, certificates, application.client, application.server
        )
        return seal_part(our_key, Direction.CLIENT, ContentType.HANDSHAKE, ours)

    def finish(self, verdict: bytes) -> Established:
        """What the server made of our flight. Raises SessionRefused: its refusal, or BAD_RECORD."""
        guarded_turn(State.WAIT_VERDICT.value, self.state.value)
        self.state = State.REFUSED
        assert self._verdict_key is not None and self._established is not None
        check_size(verdict, "verdict")
        content = open_part(self._verdict_key, Direction.SERVER, verdict, VERDICT_NUMBER)
        Flight(content, "verdict").end()
        self.state = State.ESTABLISHED
        return self._established
