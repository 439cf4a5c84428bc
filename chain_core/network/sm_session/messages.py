"""Handshake messages of RFC 8446 section 4 in the one form that occurs here (docs/spec/sm-session.md section 2).

``encode_*`` gives the whole message, ``read_*`` takes the reader of a message's body. All raise SessionRefused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chain_core.crypto.der import signature_from_der, signature_to_der
from chain_core.crypto.errors import MalformedSignature
from chain_core.network.sm_session.binding import Binding, encode_binding, read_binding
from chain_core.network.sm_session.reading import Reader, extension, extensions, message, vector
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import (
    CIPHER_SUITE,
    DOWNGRADES,
    GROUP,
    HASH_SIZE,
    HELLO_RETRY_RANDOM,
    LEGACY_VERSION,
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    POINT_SIZE,
    RANDOM_SIZE,
    SCHEME,
    VERSION,
    Extension,
    HandshakeType,
)

_CLIENT_EXTENSIONS: Final = (
    Extension.SUPPORTED_VERSIONS,
    Extension.SUPPORTED_GROUPS,
    Extension.SIGNATURE_ALGORITHMS,
    Extension.KEY_SHARE,
    Extension.BINDING,
)
_SERVER_EXTENSIONS: Final = (Extension.SUPPORTED_VERSIONS, Extension.KEY_SHARE)


@dataclass(frozen=True, slots=True)
class ClientHello:
    """``point``: the client's ephemeral public key, 64 bytes x || y."""

    random: bytes
    point: bytes
    binding: Binding


@dataclass(frozen=True, slots=True)
class ServerHello:
    """``point``: the server's ephemeral public key, 64 bytes x || y."""

    random: bytes
    point: bytes


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _share(point: bytes) -> bytes:
    return _u16(GROUP) + vector(2, b"\x04" + point)


def encode_client_hello(hello: ClientHello) -> bytes:
    """Section 4.1.2."""
    block = b"".join(
        (
            extension(Extension.SUPPORTED_VERSIONS, vector(1, _u16(VERSION))),
            extension(Extension.SUPPORTED_GROUPS, vector(2, _u16(GROUP))),
            extension(Extension.SIGNATURE_ALGORITHMS, vector(2, _u16(SCHEME))),
            extension(Extension.KEY_SHARE, vector(2, _share(hello.point))),
            extension(Extension.BINDING, encode_binding(hello.binding)),
        )
    )
    fixed = _u16(LEGACY_VERSION) + hello.random + b"\0" + vector(2, _u16(CIPHER_SUITE)) + b"\x01\0"
    return message(HandshakeType.CLIENT_HELLO, fixed + vector(2, block))


def read_client_hello(reader: Reader) -> ClientHello:
    """Section 4.1.2, with exactly our version, suite, group and scheme on offer."""
    _exactly(reader.number(2), LEGACY_VERSION, Reason.UNSUPPORTED_VERSION, reader)
    random = reader.take(RANDOM_SIZE)
    reader.vector(1, 0, 0)
    _only(reader.vector(2, 2, 0xFFFE), CIPHER_SUITE, Reason.UNSUPPORTED_SUITE, reader)
    if reader.vector(1, 1, 255) != b"\0":
        reader.malformed("compression is offered")
    versions, groups, schemes, shares, binding = extensions(reader, _CLIENT_EXTENSIONS)
    reader.end()
    _only(versions.vector(1, 2, 254), VERSION, Reason.UNSUPPORTED_VERSION, versions)
    _only(groups.vector(2, 2, 0xFFFF), GROUP, Reason.UNSUPPORTED_GROUP, groups)
    _only(schemes.vector(2, 2, 0xFFFE), SCHEME, Reason.UNSUPPORTED_SCHEME, schemes)
    for part in (versions, groups, schemes):
        part.end()
    listed = Reader(shares.vector(2, 0, 0xFFFF), shares.name)
    shares.end()
    point = _read_share(listed)
    listed.end()
    return ClientHello(random, point, read_binding(binding))


def encode_server_hello(hello: ServerHello) -> bytes:
    """Section 4.1.3."""
    block = extension(Extension.SUPPORTED_VERSIONS, _u16(VERSION)) + extension(Extension.KEY_SHARE, _share(hello.point))
    fixed = _u16(LEGACY_VERSION) + hello.random + b"\0" + _u16(CIPHER_SUITE) + b"\0"
    return message(HandshakeType.SERVER_HELLO, fixed + vector(2, block))


def read_server_hello(reader: Reader) -> ServerHello:
    """Section 4.1.3; a HelloRetryRequest and the sentinels of older versions are refused by name."""
    _exactly(reader.number(2), LEGACY_VERSION, Reason.UNSUPPORTED_VERSION, reader)
    random = reader.take(RANDOM_SIZE)
    if random == HELLO_RETRY_RANDOM:
        raise SessionRefused(Reason.HELLO_RETRY, "there is but one group to retry with", where=reader.name)
    if random.endswith(DOWNGRADES):
        what = "the server says it was made to speak an older version"
        raise SessionRefused(Reason.UNSUPPORTED_VERSION, what, where=reader.name)
    reader.vector(1, 0, 0)
    _exactly(reader.number(2), CIPHER_SUITE, Reason.UNSUPPORTED_SUITE, reader)
    if reader.number(1):
        reader.malformed("compression is selected")
    version, share = extensions(reader, _SERVER_EXTENSIONS)
    reader.end()
    _exactly(version.number(2), VERSION, Reason.UNSUPPORTED_VERSION, version)
    version.end()
    point = _read_share(share)
    share.end()
    return ServerHello(random, point)


def encode_encrypted_extensions(binding: Binding) -> bytes:
    """Section 4.3.1."""
    block = extension(Extension.BINDING, encode_binding(binding))
    return message(HandshakeType.ENCRYPTED_EXTENSIONS, vector(2, block))


def read_encrypted_extensions(reader: Reader) -> Binding:
    """Section 4.3.1: the binding and nothing else."""
    (binding,) = extensions(reader, (Extension.BINDING,))
    reader.end()
    return read_binding(binding)


def encode_certificate_request() -> bytes:
    """Section 4.3.2."""
    block = extension(Extension.SIGNATURE_ALGORITHMS, vector(2, _u16(SCHEME)))
    return message(HandshakeType.CERTIFICATE_REQUEST, b"\0" + vector(2, block))


def read_certificate_request(reader: Reader) -> None:
    """Section 4.3.2: our one scheme is asked for."""
    reader.vector(1, 0, 0)
    (schemes,) = extensions(reader, (Extension.SIGNATURE_ALGORITHMS,))
    reader.end()
    _only(schemes.vector(2, 2, 0xFFFE), SCHEME, Reason.UNSUPPORTED_SCHEME, schemes)
    schemes.end()


def encode_certificate(certificates: Sequence[bytes]) -> bytes:
    """Section 4.4.2: DER, leaf first. ValueError for a chain that nobody would take."""
    if not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise ValueError(f"a chain of {len(certificates)} certificates; 1 to {MAX_CERTIFICATES} are allowed")
    if not all(1 <= len(certificate) <= MAX_CERTIFICATE_BYTES for certificate in certificates):
        raise ValueError(f"a certificate has 1 to {MAX_CERTIFICATE_BYTES} bytes")
    entries = b"".join(vector(3, certificate) + b"\0\0" for certificate in certificates)
    return message(HandshakeType.CERTIFICATE, b"\0" + vector(3, entries))


def read_certificate(reader: Reader) -> tuple[bytes, ...]:
    """Section 4.4.2: 1 to 8 certificates, leaf first; what they say is not looked at."""
    reader.vector(1, 0, 0)
    entries = Reader(reader.vector(3, 0, 0xFFFFFF), reader.name)
    reader.end()
    found: list[bytes] = []
    while entries.left:
        if len(found) == MAX_CERTIFICATES:
            entries.malformed(f"more than {MAX_CERTIFICATES} certificates")
        found.append(entries.vector(3, 1, MAX_CERTIFICATE_BYTES))
        extensions(entries, ())
    if not found:
        entries.malformed("no certificate; both sides must show one")
    return tuple(found)


def encode_certificate_verify(signature: bytes) -> bytes:
    """Section 4.4.3 with a 64-byte signature."""
    return message(HandshakeType.CERTIFICATE_VERIFY, _u16(SCHEME) + vector(2, signature_to_der(signature)))


def read_certificate_verify(reader: Reader) -> bytes:
    """Section 4.4.3: the 64-byte signature."""
    _exactly(reader.number(2), SCHEME, Reason.UNSUPPORTED_SCHEME, reader)
    der = reader.vector(2, 1, 72)
    reader.end()
    try:
        return signature_from_der(der)
    except MalformedSignature as error:
        reader.malformed(error.what)


def encode_finished(data: bytes) -> bytes:
    """Section 4.4.4."""
    return message(HandshakeType.FINISHED, data)


def read_finished(reader: Reader) -> bytes:
    """Section 4.4.4."""
    data = reader.take(HASH_SIZE)
    reader.end()
    return data


def _read_share(reader: Reader) -> bytes:
    _exactly(reader.number(2), GROUP, Reason.UNSUPPORTED_GROUP, reader)
    encoded = reader.vector(2, POINT_SIZE, POINT_SIZE)
    if encoded[0] != 4:
        raise SessionRefused(Reason.BAD_POINT, "a point is sent uncompressed", where=reader.name)
    return encoded[1:]


def _exactly(found: int, ours: int, reason: Reason, reader: Reader) -> None:
    if found != ours:
        raise SessionRefused(reason, f"{found:#06x} instead of {ours:#06x}", where=reader.name)


def _only(listed: bytes, ours: int, reason: Reason, reader: Reader) -> None:
    """A list of 16-bit values that holds ours and nothing else: no choice, no downgrade."""
    if listed != _u16(ours):
        raise SessionRefused(reason, f"{listed[:16].hex()} instead of {ours:#06x} alone", where=reader.name)
