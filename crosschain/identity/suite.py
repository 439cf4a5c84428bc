"""The proof suite ``SM2Signature2022`` (JR/T 0325-2024 annex F; docs/spec/identity.md §5)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.crypto.sm2_domain import signature_in_range
from crosschain.identity.canonical import canonical_quads

SUITE = "SM2Signature2022"
JWS_HEADER = b'{"b64":false,"crit":["b64"],"alg":"SM2"}'
"""RFC 7797, exactly these bytes: the header is never transmitted."""
_SIGNING_PREFIX = base64.urlsafe_b64encode(JWS_HEADER).rstrip(b"=") + b"."
SIGNATURE_BYTES = 64

Sign = Callable[[bytes], bytes]
"""Signs a message with SM2 and the usual identifier; 64 bytes r||s."""


def signing_input(document: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    """The 119 bytes that are signed: JWS header, dot, SM3 of the options' quads, SM3 of the document's quads.

    ``document`` has no ``proof`` of its own any more, ``options`` no ``proofValue``. Raises NotSignable.
    """
    with_context = {"@context": document["@context"], **options}
    return signing_input_of(canonical_quads(with_context), canonical_quads(document))


def signing_input_of(options_quads: bytes, document_quads: bytes) -> bytes:
    """The same from canonical quads."""
    return _SIGNING_PREFIX + sm3(options_quads) + sm3(document_quads)


def prove(document: Mapping[str, Any], options: Mapping[str, Any], sign: Sign) -> dict[str, Any]:
    """The document with its proof. Raises NotSignable."""
    signature = sign(signing_input(document, options))
    return {**document, "proof": {**options, "proofValue": encode_proof_value(signature)}}


def holds(document: Mapping[str, Any], proof: Mapping[str, Any], key: bytes) -> bool:
    """Whether this proof over the document (without any proof) verifies under the key. Raises NotSignable."""
    signature = decode_proof_value(proof.get("proofValue"))
    if signature is None:
        return False
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    return provider().sm2_verify(key, signing_input(document, options), signature)


def encode_proof_value(signature: bytes) -> str:
    """Base64URL of r||s with its padding: 88 characters."""
    return base64.urlsafe_b64encode(signature).decode("ascii")


def decode_proof_value(text: object) -> bytes | None:
    """r||s in range, with or without padding; None for every other form (multibase, JWS, DER)."""
    if not isinstance(text, str) or len(text) not in (86, 88):
        return None
    try:
        raw = base64.b64decode(text[:86] + "==", b"-_", validate=True)
    except ValueError:
        return None
    if text[86:] not in ("", "==") or encode_proof_value(raw)[:86] != text[:86]:
        return None
    return raw if signature_in_range(raw) else None
