"""How far a computing event loop holds verification in a worker thread back: python -m benchmarks.threads [--json].

Verifications a second of one worker thread while the main thread waits, and while it computes with the interpreter's
default switch interval and with the nodes' own. The interpreter lock goes back and forth at each verification.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

from benchmarks.execution_engine import GENESIS_HASH
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.node.lifetime import SWITCH_S

ROUNDS, SIGNATURES = 3, 300


def verified_per_s(items: list[VerifyItem], switch_s: float, *, busy: bool) -> float:
    """The best of some rounds."""
    default, best = sys.getswitchinterval(), 0.0
    sys.setswitchinterval(switch_s)
    for _ in range(ROUNDS):
        rates: list[float] = []

        def work(rates: list[float] = rates) -> None:
            began = time.perf_counter()
            if not all(provider().sm2_verify_many(items)):
                raise SystemExit("a good signature was refused: the benchmark measures nothing")
            rates.append(len(items) / (time.perf_counter() - began))

        thread = threading.Thread(target=work)
        thread.start()
        count = 0
        while busy and thread.is_alive():
            count += 1
        thread.join()
        best = max([best, *rates])
    sys.setswitchinterval(default)
    return round(best, 1)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description="Verification beside a thread that computes.")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    arguments = parser.parse_args()
    crypto, key = provider(), bytes(31) + b"\x07"
    public = crypto.sm2_public_key(key)
    texts = [GENESIS_HASH + number.to_bytes(4, "big") for number in range(SIGNATURES)]
    items = [(public, text, crypto.sm2_sign(key, text)) for text in texts]
    default = sys.getswitchinterval()
    alone = verified_per_s(items, default, busy=False)
    found = {
        "provider": crypto.name,
        "alone_per_s": alone,
        "beside_default_ratio": round(verified_per_s(items, default, busy=True) / alone, 3),
        "beside_node_ratio": round(verified_per_s(items, SWITCH_S, busy=True) / alone, 3),
    }
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>22}  {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
