"""Which provider this process uses: the fastest that runs here, or the one DUALCHAIN_CRYPTO names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from chain_core.crypto import selftest
from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.openssl import OpenSslProvider
from chain_core.crypto.private_key import PrivateKey
from chain_core.crypto.provider import CryptoProvider, ManySigner
from chain_core.crypto.sm2_domain import N, random_scalar

ENVIRONMENT_VARIABLE = "DUALCHAIN_CRYPTO"


def _multibuffer() -> CryptoProvider:
    from chain_core.crypto.multibuffer import MultiBufferProvider

    return MultiBufferProvider()


def _ippcp() -> CryptoProvider:
    from chain_core.crypto.ippcp_provider import IppCpProvider

    return IppCpProvider()


def _gmssl() -> CryptoProvider:
    from chain_core.crypto.gmssl_provider import GmSslProvider

    return GmSslProvider()


# Fastest first; the later ones are imported only when tried.
_MAKERS: dict[str, Callable[[], CryptoProvider]] = {
    "multibuffer": _multibuffer,
    "ippcp": _ippcp,
    "openssl": OpenSslProvider,
    "gmssl": _gmssl,
}


@cache
def provider_named(name: str) -> CryptoProvider:
    """The provider of that name, self-tested, one a process. Raises CryptoUnavailable."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise CryptoUnavailable(
            "no such provider",
            where=name,
            next_step=f"set {ENVIRONMENT_VARIABLE} to one of {', '.join(_MAKERS)}, or unset it",
        )
    made = maker()
    selftest.check(made)
    return made


def available_providers() -> dict[str, str]:
    """Each provider's name -> why it cannot run here, or "" when it can."""
    return {name: "" if missing is None else missing.what for name, missing in _tried().items()}


def _tried() -> dict[str, CryptoUnavailable | None]:
    found: dict[str, CryptoUnavailable | None] = {}
    for name in _MAKERS:
        try:
            provider_named(name)
            found[name] = None
        except CryptoUnavailable as unavailable:
            found[name] = unavailable
    return found


@dataclass(frozen=True, slots=True)
class Choice:
    """What a provider is to a process that starts now, and why."""

    name: str
    chosen: bool
    runs: bool
    why: str


def choices() -> tuple[Choice, ...]:
    """Every provider, the fastest first. None is chosen when DUALCHAIN_CRYPTO names one that does not run here."""
    tried, forced = _tried(), os.environ.get(ENVIRONMENT_VARIABLE, "")
    first = next((name for name, missing in tried.items() if missing is None), "")
    rows: list[Choice] = []
    for name, missing in tried.items():
        chosen = missing is None and name == (forced or first)
        if missing is not None:
            why = f"cannot run here: {missing.what}; next: {missing.next_step}"
        elif chosen:
            why = f"{ENVIRONMENT_VARIABLE} names it" if forced else "the fastest that runs here"
        elif forced:
            why = f"runs here; {ENVIRONMENT_VARIABLE} names {forced}"
        else:
            why = f"runs here; {first} is faster"
        rows.append(Choice(name, chosen, missing is None, why))
    return tuple(rows)


@cache
def provider() -> CryptoProvider:
    """The process's provider for hashing and verification.

    Raises CryptoUnavailable when the forced one, or none at all, can run here.
    """
    forced = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if forced:
        return provider_named(forced)
    missing: list[str] = []
    for name in _MAKERS:
        try:
            return provider_named(name)
        except CryptoUnavailable as unavailable:
            missing.append(f"{name}: {unavailable.what}")
    raise CryptoUnavailable(
        "; ".join(missing),
        where="any provider",
        next_step="install OpenSSL 3 (apt-get install libssl3)",
    )


def signing_provider() -> CryptoProvider:
    """The provider for validators', nodes' and services' signatures: always libcrypto.

    Whatever DUALCHAIN_CRYPTO says: it draws and protects its own nonces, while gmssl's arithmetic leaks
    through time and multi-buffer signing takes the caller's nonces. Raises CryptoUnavailable without it.
    """
    return provider_named("openssl")


def sign_many_for_clients(items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """64-byte signatures over (private key, message) pairs, in order, as fast as this process can.

    For clients and benchmarks: with ``multibuffer`` in 8 lanes, else one by one with libcrypto.
    Raises InvalidKey.
    """
    chosen = provider()
    if isinstance(chosen, ManySigner):
        return chosen.sm2_sign_many_for_clients(items)
    signer = signing_provider()
    return [signer.sm2_sign(private_key, message) for private_key, message in items]


def generate_private_key() -> PrivateKey:
    """A uniform 32-byte private key in [1, n-2] (GB/T 32918.1 section 6.1)."""
    return PrivateKey(random_scalar(N - 2))
