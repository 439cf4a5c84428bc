"""The two state machines against each other, and against everybody who stands between or pretends."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto.hashing import sm3
from chain_core.crypto.hkdf import SM3
from chain_core.network.sm_session import flights, key_schedule, messages
from chain_core.network.sm_session.binding import ALL_LEDGERS, Binding, Role
from chain_core.network.sm_session.client import ClientHandshake, State
from chain_core.network.sm_session.ports import Identity
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.sealed_part import open_part, seal_part
from chain_core.network.sm_session.server import ServerHandshake
from chain_core.network.sm_session.server import State as ServerState
from chain_core.network.sm_session.suite import MAX_MESSAGE_BYTES, ContentType, Direction
from chain_core.network.sm_session.transcript import Transcript
from tests.unit.network.sm_session.support import (
    BINDING,
    GENESIS,
    certificate,
    client,
    expecting,
    identity,
    private,
    public,
    server,
    shake,
    signer,
)


def refused(act: Callable[[], object]) -> SessionRefused:
    with pytest.raises(SessionRefused) as found:
        act()
    return found.value


def test_both_ends_agree_on_everything() -> None:
    one, other = client(), server()
    ours, theirs = shake(one, other)
    assert (ours.session_id, ours.client_secret, ours.server_secret) == (
        theirs.session_id,
        theirs.client_secret,
        theirs.server_secret,
    )
    assert (ours.peer.subject, ours.peer.roles, ours.peer.public_key) == ("node", ("peer",), public("node"))
    assert (theirs.peer.subject, theirs.peer.fingerprint) == ("alice", sm3(certificate("alice", "client")))
    assert theirs.peer_certificates == (certificate("alice", "client"),)
    assert (one.state, other.state) == (State.ESTABLISHED, ServerState.ESTABLISHED)
    assert "secret" not in repr(ours)


def test_sessions_differ_by_randomness() -> None:
    first, _ = shake(client(), server())
    again, _ = shake(client(), server())
    assert first.session_id != again.session_id  # the signatures' own nonces are in the transcript
    secret = sm3(b"another ephemeral")
    fresh = ClientHandshake(
        identity("alice", "client"), BINDING, expecting("peer"), random=sm3(b"client random"), ephemeral=secret
    )
    assert shake(fresh, server())[0].client_secret != first.client_secret


def test_certificates_do_not_travel_in_the_clear() -> None:
    one, other = client(), server()
    hello = one.hello()
    flight = other.answer(hello)
    back = one.answer(flight)
    other.decide(back)
    on_the_wire = hello + flight + back + other.verdict
    for secret in (b"alice", b"our authority", public("node"), public("alice")):
        assert secret not in on_the_wire


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["hello", "server flight", "client flight", "verdict"]), st.data())
def test_altered_flight(which: str, data: st.DataObject) -> None:
    """One altered bit anywhere: no session on either side, by a reason."""
    drawn = data.draw(st.integers(0, 1 << 20))  # signatures in DER differ in length from run to run
    one, other = client(), server()

    def passed(name: str, content: bytes) -> bytes:
        if name != which:
            return content
        place = drawn % (8 * len(content))
        altered = bytearray(content)
        altered[place // 8] ^= 1 << place % 8
        return bytes(altered)

    failure: SessionRefused | None = None
    try:
        flight = passed("server flight", other.answer(passed("hello", one.hello())))
        other.decide(passed("client flight", one.answer(flight)))
        one.finish(passed("verdict", other.verdict))
    except SessionRefused as refusal:
        failure = refusal
    assert failure is not None and failure.reason in set(Reason)
    assert one.state is not State.ESTABLISHED


class Parts:
    """A server's or client's flight taken to pieces by somebody who holds its keys: a faulty end, not the wire."""

    def __init__(self, random: bytes = b"server random") -> None:
        self.client = client()
        self.hello = self.client.hello()
        self.transcript = Transcript(SM3)
        self.transcript.add(self.hello)
        server_hello = messages.encode_server_hello(messages.ServerHello(sm3(random), public("ephemeral")))
        self.server_hello = server_hello
        self.transcript.add(server_hello)
        shared = flights.shared_secret(private("ephemeral"), self._client_point())
        self.secrets = key_schedule.handshake_secrets(SM3, shared, self.transcript.hash())

    def _client_point(self) -> bytes:
        flight = flights.Flight(self.hello, "test")
        return messages.read_client_hello(flight.next(messages.HandshakeType.CLIENT_HELLO)[1]).point

    def messages(self, who: Identity, binding: Binding = BINDING) -> list[bytes]:
        """EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished."""
        made = [messages.encode_encrypted_extensions(binding), messages.encode_certificate_request()]
        for one in made:
            self.transcript.add(one)
        made.append(messages.encode_certificate(who.certificates))
        self.transcript.add(made[-1])
        content = flights.signed_content(Direction.SERVER, self.transcript.hash())
        made.append(messages.encode_certificate_verify(who.sign(content)))
        self.transcript.add(made[-1])
        data = key_schedule.verify_data(SM3, self.secrets.server, self.transcript.hash())
        return [*made, messages.encode_finished(data)]

    def answered(self, content: Sequence[bytes], kind: ContentType = ContentType.HANDSHAKE) -> SessionRefused:
        key = key_schedule.traffic_key(SM3, self.secrets.server)
        sealed = seal_part(key, Direction.SERVER, kind, b"".join(content))
        return refused(lambda: self.client.answer(self.server_hello + sealed))


NODE = identity("node", "peer")
NAMES = ("extensions", "request", "certificate", "verify", "finished")


def test_the_pieces_are_a_whole() -> None:
    parts = Parts()
    key = key_schedule.traffic_key(SM3, parts.secrets.server)
    sealed = seal_part(key, Direction.SERVER, ContentType.HANDSHAKE, b"".join(parts.messages(NODE)))
    assert parts.client.answer(parts.server_hello + sealed)


def orders() -> dict[str, tuple[list[int], Reason]]:
    """What is done to the five messages of the server's part, and the reason that names it."""
    table: dict[str, tuple[list[int], Reason]] = {}
    for place, name in enumerate(NAMES):
        without = [n for n in range(5) if n != place]
        missing = Reason.UNEXPECTED_MESSAGE if place < 4 else Reason.MISSING_MESSAGE
        table[f"without {name}"] = (without, missing)
        table[f"{name} twice"] = (sorted([*range(5), place]), Reason.UNEXPECTED_MESSAGE)
        if place < 4:
            swapped = [*range(place), place + 1, place, *range(place + 2, 5)]
            table[f"{name} after its successor"] = (swapped, Reason.UNEXPECTED_MESSAGE)
    table["nothing"] = ([], Reason.MISSING_MESSAGE)
    return table


@pytest.mark.parametrize("case", list(orders()))
def test_message_order(case: str) -> None:
    places, reason = orders()[case]
    parts = Parts()
    made = parts.messages(NODE)
    refusal = parts.answered([made[place] for place in places])
    assert refusal.reason is reason
    assert parts.client.alert


def test_content_of_another_type() -> None:
    parts = Parts()
    assert parts.answered(parts.messages(NODE), ContentType(21)).reason is Reason.MALFORMED_MESSAGE


def test_a_signature_over_another_transcript() -> None:
    parts = Parts()
    made = parts.messages(NODE)
    other = messages.encode_certificate_verify(signer("node")(b"something else"))
    assert parts.answered([*made[:3], other, made[4]]).reason is Reason.BAD_CERTIFICATE_VERIFY


def test_a_client_signature_is_no_server_signature() -> None:
    """The context strings differ: what a peer signed as a client cannot be turned against it as a server."""
    parts = Parts()
    made = parts.messages(NODE)
    transcript = Transcript(SM3)
    for one in (parts.hello, parts.server_hello, *made[:3]):
        transcript.add(one)
    signature = signer("node")(flights.signed_content(Direction.CLIENT, transcript.hash()))
    refusal = parts.answered([*made[:3], messages.encode_certificate_verify(signature), made[4]])
    assert refusal.reason is Reason.BAD_CERTIFICATE_VERIFY


def test_a_wrong_finished() -> None:
    parts = Parts()
    made = parts.messages(NODE)
    assert parts.answered([*made[:4], messages.encode_finished(bytes(32))]).reason is Reason.BAD_FINISHED


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (replace(BINDING, genesis_hash=sm3(b"another chain")), Reason.WRONG_CHAIN),
        (replace(BINDING, ledger=3), Reason.WRONG_LEDGER),
        (replace(BINDING, role=Role.PEER), Reason.WRONG_ROLE),
        (replace(BINDING, protocol_version=0), Reason.WRONG_VERSION),
    ],
)
def test_binding(theirs: Binding, reason: Reason) -> None:
    """The server refuses the client's; the client refuses that of a server which let it pass."""
    assert refused(lambda: server().answer(client(theirs).hello())).reason is reason
    parts = Parts()
    assert parts.answered(parts.messages(NODE, theirs)).reason is reason
    assert BINDING.ledger == ALL_LEDGERS and BINDING.genesis_hash == GENESIS


CERTIFICATES: dict[str, tuple[Identity, Reason, str]] = {
    "a foreign authority's": (
        identity("node", "peer", "client", issuer="their authority"),
        Reason.CERTIFICATE_REFUSED,
        "UNTRUSTED",
    ),
    "of another role": (identity("node", "auditor"), Reason.CERTIFICATE_REFUSED, "WRONG_USAGE"),
    "that is none": (Identity((b"bytes",), signer("node")), Reason.CERTIFICATE_REFUSED, "MALFORMED"),
    "of somebody else": (
        Identity((certificate("node", "peer", "client"),), signer("mallory")),
        Reason.BAD_CERTIFICATE_VERIFY,
        "did not sign",
    ),
}


@pytest.mark.parametrize("case", list(CERTIFICATES))
def test_refused_certificates(case: str) -> None:
    who, reason, words = CERTIFICATES[case]
    # the server's
    one, other = client(), server(who=who)
    refusal = refused(lambda: one.answer(other.answer(one.hello())))
    assert refusal.reason is reason and words in refusal.what
    told = refused(lambda: other.decide(one.alert))
    assert told.reason is reason and told.by_peer and other.verdict == b""
    # the client's
    one, other = client(who=who), server()
    flight = one.answer(other.answer(one.hello()))
    refusal = refused(lambda: other.decide(flight))
    assert refusal.reason is reason and words in refusal.what
    told = refused(lambda: one.finish(other.verdict))
    assert told.reason is reason and told.by_peer


def test_man_in_the_middle() -> None:
    """Mallory has a valid certificate of the same authority and shakes hands with both: each knows whom it talks to,
    and what the node signed for Mallory is worth nothing towards Alice.
    """
    one, mallory_server = client(), server(who=identity("mallory", "peer"))
    established = one.answer(mallory_server.answer(one.hello()))
    assert established  # a valid peer: so a client that means one node pins its key
    pinned = client(verify=_pinned(public("node")))
    other = server(who=identity("mallory", "peer"))
    assert refused(lambda: pinned.answer(other.answer(pinned.hello()))).reason is Reason.NOT_A_VALIDATOR
    # the real node's certificate, request and signature from a handshake of Mallory's own, under Alice's keys
    stolen = Parts(b"towards mallory").messages(NODE)
    parts = Parts()
    made = parts.messages(identity("mallory", "peer"))
    assert parts.answered([*made[:2], *stolen[2:4], made[4]]).reason is Reason.BAD_CERTIFICATE_VERIFY


def _pinned(key: bytes) -> Callable[[Sequence[bytes]], object]:
    inner = expecting("peer")

    def verify(certificates: Sequence[bytes]) -> object:
        peer = inner(certificates)
        if peer.public_key != key:
            raise SessionRefused(Reason.NOT_A_VALIDATOR, f"{peer.subject} has another key")
        return peer

    return verify


def test_reflected_handshake() -> None:
    """A client that gets its own messages back talks to nobody."""
    one = client()
    hello = one.hello()
    assert refused(lambda: one.answer(hello)).reason is Reason.UNEXPECTED_MESSAGE
    one, other = client(), server()
    flight = one.answer(other.answer(one.hello()))
    assert refused(lambda: one.finish(flight)).reason is Reason.BAD_RECORD


def test_long_term_keys_open_nothing() -> None:
    """With both signing keys and the whole traffic, but neither ephemeral key, no secret comes out."""
    one, other = client(), server()
    hello = one.hello()
    flight = other.answer(hello)
    other.decide(one.answer(flight))
    size = 4 + int.from_bytes(flight[1:4], "big")
    transcript = Transcript(SM3)
    transcript.add(hello)
    transcript.add(flight[:size])
    for guess in (
        flights.shared_secret(private("alice"), public("node")),
        flights.shared_secret(private("node"), public("alice")),
    ):
        secrets = key_schedule.handshake_secrets(SM3, guess, transcript.hash())
        key = key_schedule.traffic_key(SM3, secrets.server)
        assert refused(lambda key=key: open_part(key, Direction.SERVER, flight[size:])).reason is Reason.BAD_RECORD  # type: ignore[misc]
    for machine in (one, other):
        assert sm3(b"client ephemeral") not in vars(machine).values()
        assert sm3(b"server ephemeral") not in vars(machine).values()


def test_a_point_off_the_curve() -> None:
    one = client()
    hello = one.hello()
    point = public_of(hello)
    bad = hello.replace(point, point[:63] + bytes([point[63] ^ 1]))
    assert refused(lambda: server().answer(bad)).reason is Reason.BAD_POINT


def public_of(hello: bytes) -> bytes:
    flight = flights.Flight(hello, "test")
    return messages.read_client_hello(flight.next(messages.HandshakeType.CLIENT_HELLO)[1]).point


@pytest.mark.parametrize("act", ["answer", "finish"])
def test_out_of_turn(act: str) -> None:
    one = client()
    assert refused(lambda: getattr(one, act)(b"")).reason is Reason.OUT_OF_TURN
    other = server()
    assert refused(lambda: other.decide(b"")).reason is Reason.OUT_OF_TURN
    one.hello()
    assert refused(one.hello).reason is Reason.OUT_OF_TURN


def test_who_refused_once_answers_nothing_more() -> None:
    one, other = client(), server()
    flight = other.answer(one.hello())
    assert refused(lambda: one.answer(b"")).reason is Reason.MISSING_MESSAGE
    assert refused(lambda: one.answer(flight)).reason is Reason.OUT_OF_TURN
    assert refused(lambda: other.decide(b"")).reason is Reason.BAD_RECORD
    assert refused(lambda: other.decide(b"")).reason is Reason.OUT_OF_TURN
    spent = server()
    assert refused(lambda: spent.answer(b"\x01")).reason is Reason.MALFORMED_MESSAGE
    assert refused(lambda: spent.answer(client().hello())).reason is Reason.OUT_OF_TURN


def test_oversize() -> None:
    large = bytes(MAX_MESSAGE_BYTES + 1)
    assert refused(lambda: server().answer(large)).reason is Reason.OVERSIZE_MESSAGE
    one, other = client(), server()
    flight = other.answer(one.hello())
    assert refused(lambda: one.answer(large)).reason is Reason.OVERSIZE_MESSAGE
    assert flight and refused(lambda: other.decide(large)).reason is Reason.OVERSIZE_MESSAGE


def test_a_replayed_hello_or_flight_is_worth_nothing() -> None:
    one, other = client(), server()
    hello = one.hello()
    flight = one.answer(other.answer(hello))
    other.decide(flight)
    again = ServerHandshake(
        NODE, BINDING, expecting("client"), random=sm3(b"other random"), ephemeral=sm3(b"other ephemeral")
    )
    again.answer(hello)
    assert refused(lambda: again.decide(flight)).reason is Reason.BAD_RECORD


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    one, other = client(), server()
    one.hello()
    assert refused(lambda: other.answer(data)).reason in set(Reason)
    assert refused(lambda: one.answer(data)).reason in set(Reason)
