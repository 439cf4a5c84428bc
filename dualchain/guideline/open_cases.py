"""Cases against a market's chain, proven: their numbers have no gaps (docs/spec/registration.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_core.codec.values import decode_map
from chain_core.types.errors import InvalidProof
from crosschain.packets import count_in
from dualchain.guideline.asking import AskedChain, Place
from supervisory_chain.cases import OPEN, case_key, count_key

NEWEST = 400

Case = Mapping[str, Any]


async def cases_of(upper: AskedChain, chain: bytes) -> list[tuple[int, Case, Place]]:
    """The newest cases against a chain, oldest first. Raises InvalidProof when a number is missing."""
    last = count_in((await upper.value(count_key(chain)))[0])
    numbers = range(max(0, last - NEWEST), last)
    proven = await upper.state([case_key(chain, number) for number in numbers])
    found: list[tuple[int, Case, Place]] = []
    for number in numbers:
        raw = proven[case_key(chain, number)]
        if raw is None:
            raise InvalidProof(f"case {number} is proven absent", where="cases")
        found.append((number, decode_map(raw, "case"), proven.place(case_key(chain, number))))
    return found


def is_open(case: Case) -> bool:
    """Whether nobody has decided yet."""
    return bool(case["status"] == OPEN)
