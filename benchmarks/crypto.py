"""What each crypto provider of this machine does a second, in one thread: `python -m benchmarks.crypto --json`.

Messages are 96 bytes (the signed message M), Merkle records 65 bytes. Each figure is the best of three runs, so that
a busy neighbour counts less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable

from chain_core.crypto.provider import CryptoProvider, ManySigner
from chain_core.crypto.providers import available_providers, generate_private_key, provider_named

MESSAGE_SIZE, RECORD_SIZE = 96, 65
RUNS = 3


def rate(work: Callable[[], object], units: int, seconds: float) -> float:
    """Units a second of ``work``, which does ``units`` of them a call; the best of three runs of ``seconds``."""
    best = 0.0
    for _ in range(RUNS):
        calls, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            work()
            calls += 1
        best = max(best, calls * units / elapsed)
    return best


def measure(provider: CryptoProvider, seconds: float) -> dict[str, float]:
    """Figures of one provider; ``seconds`` a run."""
    batch = 8 if provider.name == "gmssl" else 256
    reference = provider_named("openssl") if not available_providers()["openssl"] else provider
    signed = []
    for index in range(batch):
        private_key, message = generate_private_key(), index.to_bytes(MESSAGE_SIZE, "big")
        public_key = reference.sm2_public_key(private_key)
        signed.append((private_key, public_key, message, reference.sm2_sign(private_key, message)))
    private_key, *item = signed[0]
    items = [(public_key, message, signature) for _, public_key, message, signature in signed]
    records = bytes(range(256)) * (RECORD_SIZE * batch // 4)
    count = len(records) // RECORD_SIZE
    if provider.sm2_verify_many(items) != [True] * batch:
        raise SystemExit(f"{provider.name} refuses right signatures; there is nothing to measure")
    figures = {
        "sign_per_s": rate(lambda: provider.sm2_sign(private_key, item[1]), 1, seconds),
        "verify_per_s": rate(lambda: provider.sm2_verify(*items[0]), 1, seconds),
        "verify_many_per_s": rate(lambda: provider.sm2_verify_many(items), batch, seconds),
        "sm3_per_s": rate(lambda: provider.sm3(records[:RECORD_SIZE]), 1, seconds),
        "sm3_records_per_s": rate(lambda: provider.sm3_records(records, RECORD_SIZE), count, seconds),
    }
    if isinstance(provider, ManySigner):
        pairs = [(private_key, message) for private_key, _, message, _ in signed]
        signer = provider
        figures["sign_many_per_s"] = rate(lambda: signer.sm2_sign_many_for_clients(pairs), batch, seconds)
    return {name: round(figure) for name, figure in figures.items()}


def main(arguments: list[str] | None = None) -> None:
    """Prints a table, or with --json one line: cores, machine, providers (figures), unavailable (reasons)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crypto", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON line on stdout")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of each run (default 0.5)")
    chosen = parser.parse_args(arguments)
    reasons = available_providers()
    figures: dict[str, dict[str, float]] = {}
    for name, reason in reasons.items():
        if reason:
            print(f"{name}: not measured: {reason}", file=sys.stderr)
            continue
        print(f"{name}: measuring", file=sys.stderr)
        figures[name] = measure(provider_named(name), chosen.seconds)
    if chosen.json:
        print(
            json.dumps(
                {
                    "machine": platform.machine(),
                    "cores": os.cpu_count(),
                    "providers": figures,
                    "unavailable": {name: reason for name, reason in reasons.items() if reason},
                }
            )
        )
        return
    for name, row in figures.items():
        print(name)
        for figure, value in row.items():
            print(f"  {figure:<20} {value:>12,.0f}")


if __name__ == "__main__":
    main()
