"""Handshake messages: one encoding each, and every other byte string is refused by a named reason."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.crypto.hashing import sm3
from chain_core.network.sm_session import messages
from chain_core.network.sm_session.binding import Binding, Role, encode_binding, read_binding
from chain_core.network.sm_session.reading import Flight, Reader, extension, message, vector
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.sealed_part import encode_alert, read_alert
from chain_core.network.sm_session.suite import DOWNGRADES, HELLO_RETRY_RANDOM, Extension, HandshakeType
from tests.unit.network.sm_session.support import public

BINDING = Binding(sm3(b"genesis"), Role.PEER, 7)
CLIENT_HELLO = messages.encode_client_hello(messages.ClientHello(sm3(b"r"), public("e"), BINDING))
SERVER_HELLO = messages.encode_server_hello(messages.ServerHello(sm3(b"r"), public("e")))
SIGNATURE = sm3(b"r") + sm3(b"s")

READERS: dict[HandshakeType, Callable[[Reader], Any]] = {
    HandshakeType.CLIENT_HELLO: messages.read_client_hello,
    HandshakeType.SERVER_HELLO: messages.read_server_hello,
    HandshakeType.ENCRYPTED_EXTENSIONS: messages.read_encrypted_extensions,
    HandshakeType.CERTIFICATE_REQUEST: messages.read_certificate_request,
    HandshakeType.CERTIFICATE: messages.read_certificate,
    HandshakeType.CERTIFICATE_VERIFY: messages.read_certificate_verify,
    HandshakeType.FINISHED: messages.read_finished,
}
WHOLE: dict[HandshakeType, bytes] = {
    HandshakeType.CLIENT_HELLO: CLIENT_HELLO,
    HandshakeType.SERVER_HELLO: SERVER_HELLO,
    HandshakeType.ENCRYPTED_EXTENSIONS: messages.encode_encrypted_extensions(BINDING),
    HandshakeType.CERTIFICATE_REQUEST: messages.encode_certificate_request(),
    HandshakeType.CERTIFICATE: messages.encode_certificate([b"leaf", b"issuer"]),
    HandshakeType.CERTIFICATE_VERIFY: messages.encode_certificate_verify(SIGNATURE),
    HandshakeType.FINISHED: messages.encode_finished(sm3(b"f")),
}


def read(kind: HandshakeType, whole: bytes) -> Any:
    flight = Flight(whole, "test")
    again, body = flight.next(kind)
    flight.end()
    assert again == whole
    return READERS[kind](body)


def encoded(kind: HandshakeType, value: Any) -> bytes:
    match kind:
        case HandshakeType.CLIENT_HELLO:
            return messages.encode_client_hello(value)
        case HandshakeType.SERVER_HELLO:
            return messages.encode_server_hello(value)
        case HandshakeType.ENCRYPTED_EXTENSIONS:
            return messages.encode_encrypted_extensions(value)
        case HandshakeType.CERTIFICATE_REQUEST:
            return messages.encode_certificate_request()
        case HandshakeType.CERTIFICATE:
            return messages.encode_certificate(value)
        case HandshakeType.CERTIFICATE_VERIFY:
            return messages.encode_certificate_verify(value)
        case HandshakeType.FINISHED:
            return messages.encode_finished(value)


def reason(read_it: Callable[[], Any]) -> Reason:
    with pytest.raises(SessionRefused) as refused:
        read_it()
    assert refused.value.what and refused.value.next_step
    return refused.value.reason


@pytest.mark.parametrize("kind", list(WHOLE), ids=lambda kind: kind.name)
def test_round_trip(kind: HandshakeType) -> None:
    assert encoded(kind, read(kind, WHOLE[kind])) == WHOLE[kind]


def test_the_client_hello_byte_by_byte() -> None:
    """RFC 8446 section 4.1.2 with the numbers of RFC 8998."""
    body = CLIENT_HELLO[4:]
    assert CLIENT_HELLO[:4] == b"\x01" + len(body).to_bytes(3, "big")
    assert body[:2] == b"\x03\x03" and body[2:34] == sm3(b"r")
    assert body[34:41].hex() == "00" + "000200c6" + "0100"
    extensions = "002b0003020304" + "000a00040002" + "0029" + "000d000400020708" + "003300470045" + "00290041" + "04"
    assert (
        body[43:].hex()
        == extensions + public("e").hex() + "ffdc0027" + "0001" + sm3(b"genesis").hex() + "00000007" + "01"
    )


@pytest.mark.parametrize("kind", list(WHOLE), ids=lambda kind: kind.name)
def test_shortened_and_lengthened(kind: HandshakeType) -> None:
    whole = WHOLE[kind]
    for size in range(len(whole)):
        assert reason(lambda size=size: read(kind, whole[:size])) in {  # type: ignore[misc]
            Reason.MALFORMED_MESSAGE,
            Reason.MISSING_MESSAGE,
        }
    assert reason(lambda: read(kind, whole + b"\0")) is Reason.UNEXPECTED_MESSAGE
    longer = message(kind, whole[4:] + b"\0")
    assert reason(lambda: read(kind, longer)) is Reason.MALFORMED_MESSAGE


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(WHOLE)), st.data())
def test_altered_bytes(kind: HandshakeType, data: st.DataObject) -> None:
    """A value that has this one encoding, or a refusal."""
    whole = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        value = read(kind, bytes(whole))
    except SessionRefused:
        return
    assert encoded(kind, value) == bytes(whole)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(WHOLE)), st.binary(max_size=200))
def test_any_bytes(kind: HandshakeType, body: bytes) -> None:
    try:
        value = READERS[kind](Reader(body, "test"))
    except SessionRefused:
        return
    assert encoded(kind, value) == message(kind, body)


def client_hello(**changed: bytes) -> bytes:
    """A ClientHello with some of its parts replaced."""
    share = b"\x00\x29" + vector(2, b"\x04" + public("e"))
    parts = {
        "legacy": b"\x03\x03",
        "session": b"\0",
        "suites": b"\x00\x02\x00\xc6",
        "compression": b"\x01\0",
        "versions": extension(Extension.SUPPORTED_VERSIONS, b"\x02\x03\x04"),
        "groups": extension(Extension.SUPPORTED_GROUPS, b"\x00\x02\x00\x29"),
        "schemes": extension(Extension.SIGNATURE_ALGORITHMS, b"\x00\x02\x07\x08"),
        "share": extension(Extension.KEY_SHARE, vector(2, share)),
        "binding": messages.encode_encrypted_extensions(BINDING)[6:],
        "more": b"",
    } | changed
    block = b"".join(parts[name] for name in ("versions", "groups", "schemes", "share", "binding", "more"))
    fixed = parts["legacy"] + sm3(b"r") + parts["session"] + parts["suites"] + parts["compression"]
    return message(HandshakeType.CLIENT_HELLO, fixed + vector(2, block))


VERSIONS, GROUPS, SCHEMES, SHARE = (
    Extension.SUPPORTED_VERSIONS,
    Extension.SUPPORTED_GROUPS,
    Extension.SIGNATURE_ALGORITHMS,
    Extension.KEY_SHARE,
)
REFUSED_HELLOS: dict[str, tuple[dict[str, bytes], Reason]] = {
    "TLS 1.2": ({"versions": b""}, Reason.UNSUPPORTED_VERSION),
    "legacy version of TLS 1.0": ({"legacy": b"\x03\x01"}, Reason.UNSUPPORTED_VERSION),
    "1.2 beside 1.3": ({"versions": extension(VERSIONS, b"\x04\x03\x04\x03\x03")}, Reason.UNSUPPORTED_VERSION),
    "1.2 alone": ({"versions": extension(VERSIONS, b"\x02\x03\x03")}, Reason.UNSUPPORTED_VERSION),
    "AES": ({"suites": b"\x00\x02\x13\x01"}, Reason.UNSUPPORTED_SUITE),
    "AES beside SM4": ({"suites": b"\x00\x04\x00\xc6\x13\x01"}, Reason.UNSUPPORTED_SUITE),
    "SM4-CCM": ({"suites": b"\x00\x02\x00\xc7"}, Reason.UNSUPPORTED_SUITE),
    "P-256": ({"groups": extension(GROUPS, b"\x00\x02\x00\x17")}, Reason.UNSUPPORTED_GROUP),
    "P-256 beside SM2": ({"groups": extension(GROUPS, b"\x00\x04\x00\x29\x00\x17")}, Reason.UNSUPPORTED_GROUP),
    "ECDSA": ({"schemes": extension(SCHEMES, b"\x00\x02\x04\x03")}, Reason.UNSUPPORTED_SCHEME),
    "ECDSA beside SM2": ({"schemes": extension(SCHEMES, b"\x00\x04\x07\x08\x04\x03")}, Reason.UNSUPPORTED_SCHEME),
    "a share of another group": (
        {"share": extension(SHARE, vector(2, b"\x00\x17" + vector(2, b"\x04" + public("e"))))},
        Reason.UNSUPPORTED_GROUP,
    ),
    "no share": ({"share": extension(SHARE, b"\x00\x00")}, Reason.MALFORMED_MESSAGE),
    "two shares": (
        {"share": extension(SHARE, vector(2, 2 * (b"\x00\x29" + vector(2, b"\x04" + public("e")))))},
        Reason.MALFORMED_MESSAGE,
    ),
    "a compressed point": (
        {"share": extension(SHARE, vector(2, b"\x00\x29" + vector(2, b"\x02" + public("e"))))},
        Reason.BAD_POINT,
    ),
    "a session to resume": ({"session": b"\x20" + bytes(32)}, Reason.MALFORMED_MESSAGE),
    "compression": ({"compression": b"\x02\x01\x00"}, Reason.MALFORMED_MESSAGE),
    "a PSK": (
        {"more": b"\x00\x29\x00\x00"},
        Reason.UNEXPECTED_EXTENSION,
    ),
    "early data": ({"more": b"\x00\x2a\x00\x00"}, Reason.UNEXPECTED_EXTENSION),
    "a cookie": ({"more": b"\x00\x2c\x00\x00"}, Reason.UNEXPECTED_EXTENSION),
    "an extension twice": ({"more": extension(GROUPS, b"\x00\x02\x00\x29")}, Reason.UNEXPECTED_EXTENSION),
    "no binding": ({"binding": b""}, Reason.MALFORMED_MESSAGE),
    "no groups": ({"groups": b""}, Reason.MALFORMED_MESSAGE),
    "extensions out of order": (
        {"groups": extension(SCHEMES, b"\x00\x02\x07\x08"), "schemes": extension(GROUPS, b"\x00\x02\x00\x29")},
        Reason.MALFORMED_MESSAGE,
    ),
    "a role that is none": (
        {"binding": messages.encode_encrypted_extensions(BINDING)[6:-1] + b"\x03"},
        Reason.WRONG_ROLE,
    ),
}


@pytest.mark.parametrize("case", list(REFUSED_HELLOS))
def test_refused_hellos(case: str) -> None:
    assert client_hello() == CLIENT_HELLO
    changed, expected = REFUSED_HELLOS[case]
    assert reason(lambda: read(HandshakeType.CLIENT_HELLO, client_hello(**changed))) is expected


def replaced(whole: bytes, old: bytes, new: bytes) -> bytes:
    assert whole.count(old) == 1
    return message(HandshakeType(whole[0]), whole.replace(old, new)[4:])


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (replaced(SERVER_HELLO, sm3(b"r"), HELLO_RETRY_RANDOM), Reason.HELLO_RETRY),
        (replaced(SERVER_HELLO, sm3(b"r")[-8:], DOWNGRADES[0]), Reason.UNSUPPORTED_VERSION),
        (replaced(SERVER_HELLO, sm3(b"r")[-8:], DOWNGRADES[1]), Reason.UNSUPPORTED_VERSION),
        (replaced(SERVER_HELLO, b"\x00\xc6\x00", b"\x13\x01\x00"), Reason.UNSUPPORTED_SUITE),
        (replaced(SERVER_HELLO, b"\x00\x2b\x00\x02\x03\x04", b"\x00\x2b\x00\x02\x03\x03"), Reason.UNSUPPORTED_VERSION),
        (replaced(SERVER_HELLO, b"\x00\x29\x00\x41", b"\x00\x17\x00\x41"), Reason.UNSUPPORTED_GROUP),
    ],
)
def test_refused_server_hellos(whole: bytes, expected: Reason) -> None:
    assert reason(lambda: read(HandshakeType.SERVER_HELLO, whole)) is expected


def test_refused_certificates() -> None:
    kind = HandshakeType.CERTIFICATE
    assert reason(lambda: read(kind, message(kind, b"\0\0\0\0"))) is Reason.MALFORMED_MESSAGE
    nine = b"".join(vector(3, b"c") + b"\0\0" for _ in range(9))
    assert reason(lambda: read(kind, message(kind, b"\0" + vector(3, nine)))) is Reason.MALFORMED_MESSAGE
    stapled = vector(3, b"c") + vector(2, b"\x00\x05\x00\x00")
    assert reason(lambda: read(kind, message(kind, b"\0" + vector(3, stapled)))) is Reason.UNEXPECTED_EXTENSION
    large = vector(3, bytes(8_193)) + b"\0\0"
    assert reason(lambda: read(kind, message(kind, b"\0" + vector(3, large)))) is Reason.MALFORMED_MESSAGE
    for chain in ([], [b"c"] * 9, [b""], [bytes(8_193)]):
        with pytest.raises(ValueError, match="certificate"):
            messages.encode_certificate(chain)


def test_refused_signatures() -> None:
    kind = HandshakeType.CERTIFICATE_VERIFY
    whole = messages.encode_certificate_verify(SIGNATURE)
    assert reason(lambda: read(kind, replaced(whole, b"\x07\x08", b"\x04\x03"))) is Reason.UNSUPPORTED_SCHEME
    loose = message(kind, b"\x07\x08" + vector(2, b"\x30\x07\x02\x02\x00\x01\x02\x01\x01"))
    assert reason(lambda: read(kind, loose)) is Reason.MALFORMED_MESSAGE


@given(st.binary(max_size=60))
def test_any_binding(data: bytes) -> None:
    try:
        binding = read_binding(Reader(data, "test"))
    except SessionRefused:
        return
    assert encode_binding(binding) == data


@given(st.sampled_from(list(Reason)), st.text(max_size=900))
def test_alerts(named: Reason, text: str) -> None:
    said = read_alert(encode_alert(SessionRefused(named, text)))
    assert said.reason is named and said.by_peer
    assert said.what.isprintable()


@given(st.binary(max_size=80))
def test_any_alert(data: bytes) -> None:
    assert read_alert(data).reason in set(Reason)


def test_alerts_that_name_nothing() -> None:
    for data in (b"", b"REPLAYED", b"NO_SUCH_REASON\0text", b"replayed\0", b"REPLAYED\0" + bytes(513)):
        assert read_alert(data).reason is Reason.MALFORMED_MESSAGE
