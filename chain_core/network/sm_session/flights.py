"""What client and server have in common: authenticating oneself and judging the other (RFC 8446 section 4.4)."""

from __future__ import annotations

from hmac import compare_digest

from chain_core.crypto.errors import InvalidKey
from chain_core.crypto.hkdf import SM3
from chain_core.crypto.sm2_exchange import shared_x
from chain_core.crypto.sm2_identified import verify_as
from chain_core.network.sm_session import messages
from chain_core.network.sm_session.key_schedule import verify_data
from chain_core.network.sm_session.ports import Identity, PeerIdentity, Verify
from chain_core.network.sm_session.reading import Flight
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import MAX_MESSAGE_BYTES, SIGNER_ID, Direction, HandshakeType
from chain_core.network.sm_session.transcript import Transcript, signed_content
from chain_core.types.errors import DualchainError


def check_size(data: bytes, name: str) -> None:
    """Raises SessionRefused OVERSIZE_MESSAGE."""
    if len(data) > MAX_MESSAGE_BYTES:
        what = f"{len(data)} bytes, at most {MAX_MESSAGE_BYTES} are allowed"
        raise SessionRefused(Reason.OVERSIZE_MESSAGE, what, where=name)


def shared_secret(ephemeral: bytes, point: bytes) -> bytes:
    """The ECDHE secret. Raises SessionRefused BAD_POINT."""
    try:
        return shared_x(ephemeral, point)
    except InvalidKey as error:
        raise SessionRefused(Reason.BAD_POINT, error.what, where="key_share") from error


def authenticate(identity: Identity, side: Direction, transcript: Transcript, secret: bytes) -> bytes:
    """Certificate, CertificateVerify, Finished of this ``side``, added to the transcript; ``secret``: its traffic's."""
    certificate = messages.encode_certificate(identity.certificates)
    transcript.add(certificate)
    signature = identity.sign(signed_content(side, transcript.hash()))
    proof = messages.encode_certificate_verify(signature)
    transcript.add(proof)
    finished = messages.encode_finished(verify_data(SM3, secret, transcript.hash()))
    transcript.add(finished)
    return certificate + proof + finished


def judge(
    flight: Flight, side: Direction, transcript: Transcript, secret: bytes, verify: Verify
) -> tuple[PeerIdentity, tuple[bytes, ...]]:
    """The other ``side``'s Certificate, CertificateVerify, Finished, and nothing behind them.

    Raises SessionRefused: CERTIFICATE_REFUSED, BAD_CERTIFICATE_VERIFY, BAD_FINISHED, and what is wrong in form.
    """
    whole, body = flight.next(HandshakeType.CERTIFICATE)
    certificates = messages.read_certificate(body)
    transcript.add(whole)
    signed = transcript.hash()
    whole, body = flight.next(HandshakeType.CERTIFICATE_VERIFY)
    signature = messages.read_certificate_verify(body)
    transcript.add(whole)
    finished_over = transcript.hash()
    whole, body = flight.next(HandshakeType.FINISHED)
    finished = messages.read_finished(body)
    flight.end()
    try:
        peer = verify(certificates)
    except SessionRefused:
        raise
    except DualchainError as error:
        raise SessionRefused(Reason.CERTIFICATE_REFUSED, error.what, where="certificate") from error
    if not verify_as(peer.public_key, signed_content(side, signed), signature, SIGNER_ID):
        what = f"{peer.subject} did not sign this handshake"
        raise SessionRefused(Reason.BAD_CERTIFICATE_VERIFY, what, where="certificate verify")
    if not compare_digest(finished, verify_data(SM3, secret, finished_over)):
        raise SessionRefused(Reason.BAD_FINISHED, "the two sides saw different handshakes", where="finished")
    transcript.add(whole)
    return peer, certificates


def guarded_turn(turn: str, state: str) -> None:
    """Raises SessionRefused OUT_OF_TURN unless this is the state's turn."""
    if turn != state:
        raise SessionRefused(Reason.OUT_OF_TURN, f"{turn} in state {state}", where="handshake")
