"""Certificates, requests, revocation lists, key files and sealed data."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from chain_core.crypto import pbes2
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import inspect_key_file, load_private_key
from chain_core.crypto.pkcs8 import private_key_info, private_key_pem, read_pem, read_private_key_info
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_encryption import sm2_decrypt, sm2_encrypt
from chain_core.crypto.x509.certificate import parse_certificate
from chain_core.crypto.x509.crl import parse_crl
from chain_core.crypto.x509.index import Index, decode_index, encode_index
from chain_core.crypto.x509.pem import CERTIFICATE, REQUEST, REVOCATION_LIST, from_pem
from chain_core.crypto.x509.request import parse_request
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain
from local_chain.data import items
from tests.fuzz.target import ROOT, Target, from_file, joined, split
from tests.unit.crypto.x509 import pki

_PRIVATE = sm3(b"key of the fuzz targets")
_FILES = ("issued.pem", "nrcac-root.pem", "sheca-sm2.pem")


@cache
def _der(label: str) -> list[bytes]:
    found: list[bytes] = []
    for name in _FILES:
        text = (ROOT / "tests/vectors/x509" / name).read_text("utf-8")
        if f"BEGIN {label}" in text:
            found += from_pem(text, label)
    return found


@cache
def _authority() -> tuple[Anchors, tuple[bytes, ...]]:
    root = pki.root()
    middle = pki.intermediate(root)
    leaf = pki.leaf(middle, "client")
    return Anchors((root.certificate,), pki.CHAIN), (leaf.certificate.der, middle.certificate.der)


def _chain(data: bytes) -> Any:
    anchors, _ = _authority()
    leaf, middle = split(data, 2)
    return verify_chain([leaf, middle], anchors, pki.NOW_MS, usage=Usage.CLIENT, crls=None)


def _pem(data: bytes) -> Any:
    return from_pem(data.decode("utf-8", "replace"), CERTIFICATE)


def _pem_seeds() -> list[bytes]:
    return [(ROOT / "tests/vectors/x509" / name).read_bytes()[:2_000] for name in _FILES]


def _index(data: bytes) -> Any:
    return decode_index(data.decode("utf-8", "replace"), "fuzz")


def _indexes() -> list[bytes]:
    row = {
        "serial": "8030",
        "kind": "signing",
        "subject": "node-1",
        "entity": "示例机构",
        "uris": [],
        "not_before_ms": 1,
        "not_after_ms": 2,
        "fingerprint": "00",
        "revoked_ms": 0,
        "reason": "",
    }
    full = json.dumps({"format": "dualchain ca 1", "crl_number": 3, "certificates": [row]})
    return [encode_index(Index({}, 1)).encode(), full.encode()]


def _encrypted() -> list[bytes]:
    salt = bytes(pbes2.SALT_SIZE)
    key = pbes2.derive(b"passphrase", salt, pbes2.MIN_ITERATIONS)
    return [pbes2.seal(key, salt, pbes2.MIN_ITERATIONS, private_key_info(_PRIVATE))]


def _key_files() -> list[bytes]:
    body = base64.b64encode(_encrypted()[0])
    return [
        private_key_pem(_PRIVATE).encode(),
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + body + b"\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ]


def _named(read: Callable[[bytes, str], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(data, "fuzz")


# ---- sealed data: whoever holds the key may write what he likes inside


@cache
def _sealed() -> tuple[items.Place, dict[str, Any]]:
    document = json.loads((ROOT / "tests/vectors/data_tiers/sealed.json").read_text("utf-8"))
    place = items.Place(
        bytes.fromhex(document["genesis_hash"]),
        document["ledger"],
        bytes.fromhex(document["object"]),
        document["version"],
    )
    return place, document


def _payload(data: bytes) -> Any:
    """The opened payload of limited data."""
    place, document = _sealed()
    key, expected = bytes(16), bytes.fromhex(document["commitment"])
    sealed = items.seal(key, data, items.ITEM + place.associated)
    return items.open_limited(place, key, sealed, expected)


def _package(data: bytes) -> Any:
    place, document = _sealed()
    wrap, sealed = split(data, 2)
    expected = bytes.fromhex(document["commitment"])
    return items.unpack(place, bytes(16), _PRIVATE, items.Package(wrap, sealed), expected)


def _packages() -> list[bytes]:
    place, document = _sealed()
    salt, content = bytes.fromhex(document["salt"]), bytes.fromhex(document["content"])
    made = items.pack(place, bytes(16), signing_provider().sm2_public_key(_PRIVATE), salt, content)
    return [joined(made.wrap, made.sealed)]


def _wrap(data: bytes) -> Any:
    place, _ = _sealed()
    return items.unwrap_outer(place, bytes(16), bytes(64), _PRIVATE, data)


def _ciphertexts() -> list[bytes]:
    return [sm2_encrypt(signing_provider().sm2_public_key(_PRIVATE), b"k" * 16)]


def targets() -> Iterator[Target]:
    """The rows of this part."""
    yield Target("certificate-x509", parse_certificate, lambda: _der(CERTIFICATE))
    yield Target("revocation-list", parse_crl, lambda: _der(REVOCATION_LIST))
    yield Target("certificate-request", parse_request, lambda: _der(REQUEST))
    yield Target("certificate-chain", _chain, lambda: [joined(*_authority()[1])])
    yield Target(
        "certificate-pem", _pem, _pem_seeds, words=(b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----")
    )
    yield Target("authority-index", _index, _indexes, words=(b'"entries"', b"NaN", b"1e999"))
    yield Target("key-encrypted", _named(pbes2.parse), _encrypted, compare=True)
    yield Target("key-plain", _named(read_private_key_info), lambda: [private_key_info(_PRIVATE)], compare=True)
    yield Target("key-pem", _named(read_pem), _key_files)
    yield Target("key-file", from_file(load_private_key, "key.pem"), _key_files)
    yield Target("key-facts", from_file(inspect_key_file, "facts.pem"), _key_files)
    yield Target("sm2-ciphertext", lambda data: sm2_decrypt(_PRIVATE, data), _ciphertexts, compare=True)
    yield Target("data-payload", _payload, lambda: [bytes.fromhex(_sealed()[1]["limited"]["payload"])])
    yield Target("data-package", _package, _packages)
    yield Target("data-wrap", _wrap, _ciphertexts)
