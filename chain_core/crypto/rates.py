"""What each provider of this machine does a second of one thread's CPU time, and what its library alone could do.

Messages are 96 bytes (the signed message M), Merkle records 65 bytes. Works that are compared with one another take
turns, and each figure is the best of its turns, so that a busy neighbour counts less.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.provider import CryptoProvider, ManySigner, RawVerifier
from chain_core.crypto.providers import available_providers, generate_private_key, provider_named

MESSAGE_SIZE, RECORD_SIZE = 96, 65
BATCH, SLOW_BATCH = 256, 8
TURNS = 3
SM4_SIZE = 65_536

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Work:
    """A call that does ``units`` of what is counted."""

    units: int
    act: Callable[[], object]


def rates(works: dict[str, Work], seconds: float) -> dict[str, float]:
    """Units a second of CPU time of each work; the best of three turns of ``seconds``, the works taking turns."""
    best = dict.fromkeys(works, 0.0)
    for _ in range(TURNS):
        for name, work in works.items():
            calls, spent, start = 0, 0.0, time.thread_time()
            while spent < seconds:
                work.act()
                calls += 1
                spent = time.thread_time() - start
            best[name] = max(best[name], calls * work.units / spent)
    return best


def measure(provider: CryptoProvider, seconds: float) -> Figures:
    """Figures of one provider, ``seconds`` a turn. Raises CryptoUnavailable when it refuses right signatures.

    ``raw_verify_per_s`` is what the library makes of the same signatures when they lie ready in its own form, and
    ``verify_ratio`` what is left of it behind the provider's port; only of providers that can tell.
    """
    batch = SLOW_BATCH if provider.name == "gmssl" else BATCH
    signer = provider_named("openssl") if not available_providers()["openssl"] else provider
    keys = [generate_private_key() for _ in range(batch)]
    messages = [index.to_bytes(MESSAGE_SIZE, "big") for index in range(batch)]
    signed = list(zip(keys, messages, strict=True))
    items = [(signer.sm2_public_key(key), message, signer.sm2_sign(key, message)) for key, message in signed]
    if provider.sm2_verify_many(items) != [True] * batch:
        raise CryptoUnavailable("it refuses right signatures", where=provider.name, next_step="choose another provider")
    verifying = {"verify_many_per_s": Work(batch, lambda: provider.sm2_verify_many(items))}
    if isinstance(provider, RawVerifier):
        verifying["raw_verify_per_s"] = Work(batch, provider.raw_verification(items))
    figures = rates(verifying, seconds)
    ratio = {"verify_ratio": figures["verify_many_per_s"] / raw} if (raw := figures.get("raw_verify_per_s")) else {}
    records, nonce = bytes(RECORD_SIZE * 4 * batch), bytes(12)
    payload = bytes(SM4_SIZE)
    others = {
        "verify_per_s": Work(1, lambda: provider.sm2_verify(*items[0])),
        "sign_per_s": Work(1, lambda: provider.sm2_sign(*signed[0])),
        "sm3_per_s": Work(8, lambda: [provider.sm3(records[:RECORD_SIZE]) for _ in range(8)]),
        "sm3_records_per_s": Work(4 * batch, lambda: provider.sm3_records(records, RECORD_SIZE)),
        "sm4_gcm_bytes_per_s": Work(SM4_SIZE, lambda: provider.sm4_gcm_seal(payload[:16], nonce, payload, b"")),
    }
    if isinstance(provider, ManySigner):
        sign_many = provider.sm2_sign_many_for_clients
        others["sign_many_per_s"] = Work(batch, lambda: sign_many(signed))
    figures |= rates(others, seconds)
    return {name: round(figure) for name, figure in figures.items()} | {k: round(v, 3) for k, v in ratio.items()}


def processor() -> str:
    """The CPU's own name, as far as the system tells it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, object]:
    """What figures are to be read with."""
    return {"machine": platform.machine(), "processor": processor(), "cores": os.cpu_count()}
