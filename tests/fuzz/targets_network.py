"""What peers, clients and signers send: links, SM sessions, requests and answers of every service."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

from google.protobuf.message import Message

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core._pb.dualchain.node.v1.refusal_pb2 import Refusal
from chain_core._pb.dualchain.registry.v1 import registry_pb2
from chain_core.codec import signed
from chain_core.codec.transaction import decode_envelopes
from chain_core.crypto.der import signature_from_der, signature_to_der
from chain_core.crypto.hashing import sm3
from chain_core.network.frame_codec import decode_frame, encode_frame
from chain_core.network.hello import Hello, decode_hello, encode_hello
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import parse
from chain_core.network.refusals import from_metadata
from chain_core.network.sm_session import messages
from chain_core.network.sm_session.reading import Flight, Reader
from chain_core.network.sm_session.records import HEADER_SIZE, RECORD_OVERHEAD, Kind, read_header
from chain_core.network.sm_session.sealed_part import read_alert
from chain_core.network.sm_session.suite import HandshakeType
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.event_filter import EventFilter
from chain_core.node.queries import Queries
from chain_core.node.scope import OwnScope
from chain_core.node.signer import protocol as signer
from local_chain.assembly import local_assembly
from service_registry.bodies import Call, encode_call
from service_registry.calls import SignedCall, open_call
from tests.fuzz.target import ROOT, Target, scratch
from tests.fuzz.targets_ledger import samples
from tests.unit.ledger.support import GENESIS, make_block, new_store, used
from tests.unit.network.sm_session import support
from tests.unit.network.test_frame_codec import FRAMES
from tests.vectors.samples import OPERATOR, TIME_MS, local_genesis

_CALLER = Caller("127.0.0.1:1", "fuzz")


def _golden(*names: str) -> Callable[[], list[bytes]]:
    def read() -> list[bytes]:
        text = (ROOT / "tests/vectors/sm_session/handshake.json").read_text("utf-8")
        values = json.loads(text)["values"]
        return [b"".join(bytes.fromhex(values[name]) for name in names)]

    return read


# ---- SM session


def _message(kind: HandshakeType, read: Callable[[Reader], Any]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        flight = Flight(data, "fuzz")
        value = read(flight.next(kind)[1])
        flight.end()
        return value

    return decode


def _handshake_messages() -> Iterator[Target]:
    rows: list[tuple[HandshakeType, Callable[[Reader], Any], Callable[[Any], bytes], str]] = [
        (HandshakeType.CLIENT_HELLO, messages.read_client_hello, messages.encode_client_hello, "ClientHello"),
        (HandshakeType.SERVER_HELLO, messages.read_server_hello, messages.encode_server_hello, "ServerHello"),
        (
            HandshakeType.ENCRYPTED_EXTENSIONS,
            messages.read_encrypted_extensions,
            messages.encode_encrypted_extensions,
            "EncryptedExtensions",
        ),
        (
            HandshakeType.CERTIFICATE_REQUEST,
            messages.read_certificate_request,
            lambda _: messages.encode_certificate_request(),
            "CertificateRequest",
        ),
        (HandshakeType.CERTIFICATE, messages.read_certificate, messages.encode_certificate, "server Certificate"),
        (
            HandshakeType.CERTIFICATE_VERIFY,
            messages.read_certificate_verify,
            messages.encode_certificate_verify,
            "server CertificateVerify",
        ),
        (HandshakeType.FINISHED, messages.read_finished, messages.encode_finished, "server Finished"),
    ]
    for kind, read, write, name in rows:
        short = "session-" + kind.name.lower().replace("_", "-")
        yield Target(short, _message(kind, read), _golden(name), write, compare=True)


def _answer(data: bytes) -> Any:
    """A server before anybody is authenticated: what every stranger reaches."""
    return support.server().answer(data)


def _client_answer(data: bytes) -> Any:
    client = support.client()
    client.hello()
    return client.answer(data)


def _flight(data: bytes) -> Any:
    """What stands behind the server's seal, as a client takes it."""
    flight = Flight(data, "fuzz")
    found = [
        messages.read_encrypted_extensions(flight.next(HandshakeType.ENCRYPTED_EXTENSIONS)[1]),
        messages.read_certificate_request(flight.next(HandshakeType.CERTIFICATE_REQUEST)[1]),
        messages.read_certificate(flight.next(HandshakeType.CERTIFICATE)[1]),
        messages.read_certificate_verify(flight.next(HandshakeType.CERTIFICATE_VERIFY)[1]),
        messages.read_finished(flight.next(HandshakeType.FINISHED)[1]),
    ]
    flight.end()
    return found


_FLIGHT = (
    "EncryptedExtensions",
    "CertificateRequest",
    "server Certificate",
    "server CertificateVerify",
    "server Finished",
)


def _alert(data: bytes) -> Any:
    refusal = read_alert(data)
    assert refusal.what.isprintable()
    return refusal


def _record(data: bytes) -> Any:
    return support.sessions()[1].accept("/m", data)


def _record_seeds() -> list[bytes]:
    client = support.sessions()[0]
    return [client.begin("/m").seal(b"payload", Kind.DATA, last=True), bytes([1]) + bytes(RECORD_OVERHEAD)]


# ---- requests to a node, and its answers


@cache
def _queries() -> Queries:
    store = new_store(scratch() / "served")
    seen = dict([used(1, 1)])
    store.commit_block(make_block(store, {b"\x04coin x": b"1"}, seen, nonces=[1], outbox=(b"packet",)))
    proofs = BlockProofs(store, local_assembly(local_genesis()).messages())
    return Queries(OwnScope("fuzz", GENESIS, 0), b"genesis", store, proofs)


def _run(work: Awaitable[bytes]) -> bytes:
    """Handlers answer from the store at once: no loop is needed, and none may be."""
    try:
        work.__await__().send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("a handler waits")


def _asked(handler: str) -> Callable[[bytes], Any]:
    return lambda data: _run(getattr(_queries(), handler)(_CALLER, data))


def _requests() -> Iterator[Target]:
    scope = pb.Scope(genesis_hash=GENESIS)
    rows: dict[str, list[Message]] = {
        "receipt": [
            pb.GetReceiptRequest(scope=scope, transaction_id=bytes(32)),
            pb.GetReceiptRequest(scope=scope, account_nonce=pb.AccountNonce(account=OPERATOR, nonce=1)),
            pb.GetReceiptRequest(scope=scope, account_nonce=pb.AccountNonce(account=b"an account's id.", nonce=1)),
        ],
        "state": [pb.QueryStateRequest(scope=scope, keys=[b"\x04coin x", b"\x04coin y"])],
        "scan": [pb.ScanStateRequest(scope=scope, prefix=b"\x04coin", after=b"\x04coin", limit=3)],
        "header": [pb.GetHeaderRequest(scope=scope, height=1), pb.GetHeaderRequest(scope=scope)],
        "headers": [pb.GetHeadersRequest(scope=scope, start=0, count=3)],
        "block": [pb.GetBlockRequest(scope=scope, height=1)],
        "outbox": [pb.GetOutboxRequest(scope=scope, height=1)],
        "events": [pb.GetEventsRequest(scope=scope, height=1)],
        "equivocations": [pb.GetEquivocationsRequest(scope=scope, start=1)],
    }
    for handler, seeds in rows.items():
        raws = [seed.SerializeToString() for seed in seeds]
        yield Target(f"request-{handler}", _asked(handler), lambda raws=raws: raws)


def _subscription(data: bytes) -> Any:
    return EventFilter.of(parse(pb.SubscribeRequest, data))


def _subscriptions() -> list[bytes]:
    wanted = pb.SubscribeRequest(accounts=[OPERATOR], contracts=["kernel"], kinds=["moved"], from_height=1)
    return [wanted.SerializeToString()]


def _refusals() -> list[bytes]:
    codes = ("MALFORMED", "QUOTA_EXCEEDED", "SLOW_READER", "SOMETHING")
    return [Refusal(code=code, what="w", where="x", retry_after_ms=7).SerializeToString() for code in codes]


def _call(data: bytes) -> Any:
    return open_call(SignedCall.of(parse(registry_pb2.CallRequest, data)), TIME_MS)


def _call_seeds() -> list[bytes]:
    call = Call(OPERATOR, 1, OPERATOR, 1, TIME_MS, sm3(b"{}"))
    return [registry_pb2.CallRequest(call=encode_call(call), signature=bytes(64), request=b"{}").SerializeToString()]


def _submitted(data: bytes) -> Any:
    """As the gate does: what is refused of a batch is an answer of its own."""
    return decode_envelopes(list(parse(pb.SubmitRequest, data).envelopes))


def _submissions() -> list[bytes]:
    s = samples()
    return [pb.SubmitRequest(envelopes=[s.envelope.raw, s.plain_envelope.raw], wait=1).SerializeToString()]


# ---- the signer's frames


def _sign_request(data: bytes) -> Any:
    request = signer.decode_request(data)
    return signer.statements(request) if isinstance(request, signer.SignRequest) else request


def _sign_requests() -> list[bytes]:

    s = samples()
    rows = {
        signed.VOTE: s.commits[0].body,
        signed.HEADER: s.header_bytes,
        signed.VIEW_CHANGE: s.view_change(1).body,
        signed.NEW_VIEW: s.new_view.body,
    }
    asked = [signer.SignRequest(tag, s.chain, b"k" * 64, (body,)) for tag, body in rows.items()]
    return [signer.encode_request(one) for one in (signer.HelloRequest(s.chain), *asked)]


def _sign_answers() -> list[bytes]:
    answers = (signer.Welcome((b"k" * 64,)), signer.Signatures((b"s" * 64,)), signer.Refusal("BUSY", "what", "where"))
    return [signer.encode_answer(one) for one in answers]


def targets() -> Iterator[Target]:
    """The rows of this part."""
    hello = encode_hello(Hello(GENESIS, 0, "node-1"))
    yield Target("peer-frame", decode_frame, lambda: map(encode_frame, FRAMES.values()), max_len=8_192)
    yield Target("peer-hello", decode_hello, lambda: [hello])
    yield Target("refusal-metadata", from_metadata, _refusals)
    yield Target("signature-der", signature_from_der, lambda: [signature_to_der(b"\x01" * 64)], signature_to_der)
    yield from _handshake_messages()
    yield Target("session-server", _answer, lambda: [support.client().hello()], compare=True)
    yield Target("session-client", _client_answer, _golden("ServerHello", "server sealed part"), compare=True)
    yield Target("session-flight", _flight, _golden(*_FLIGHT), compare=True)
    yield Target("session-alert", _alert, lambda: [b"UNTRUSTED\0text", b"WRONG_CHAIN\0other chain"])
    yield Target("session-record-header", read_header, _golden("record of generation 0"), max_len=2 * HEADER_SIZE)
    yield Target("session-record", _record, _record_seeds)
    yield from _requests()
    yield Target("request-subscribe", _subscription, _subscriptions)
    yield Target("request-submit", _submitted, _submissions)
    yield Target("service-call", _call, _call_seeds)
    yield Target("signer-request", signer.decode_request, _sign_requests, signer.encode_request)
    yield Target("signer-statements", _sign_request, _sign_requests)
    yield Target("signer-answer", signer.decode_answer, _sign_answers)
