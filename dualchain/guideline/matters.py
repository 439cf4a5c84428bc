"""The newest records of the regulator's desk, proven: their numbers have no gaps (docs/spec/desk.md §4)."""

from __future__ import annotations

from chain_core.types.errors import InvalidProof
from crosschain.packets import count_in
from dualchain.guideline.asking import AskedChain, Found, Place
from supervisory_chain.desk.records import DESK, Matter, Taken, decode_matter, matter_key, next_key

NEWEST = 400


async def matters(upper: AskedChain, machine: str) -> list[tuple[int, Matter, Place]]:
    """Those of one machine among the newest records, oldest first. Raises InvalidProof when a number is missing."""
    last = count_in((await upper.value(next_key()))[0])
    numbers = range(max(0, last - NEWEST), last)
    proven = await upper.state([matter_key(number) for number in numbers])
    found = []
    for number in numbers:
        raw = proven[matter_key(number)]
        if raw is None:
            raise InvalidProof(f"record {number} of the desk is proven absent", where="desk")
        matter = decode_matter(raw)
        if matter.machine == machine:
            found.append((number, matter, proven.place(matter_key(number))))
    return found


async def transaction_of(upper: AskedChain, taken: Taken) -> Found | None:
    """The transaction that took a step."""
    return await upper.at(
        taken.height,
        lambda found: (
            not found.receipt.code
            and found.envelope.body.account == taken.by
            and bool(found.operations(DESK, taken.step))
        ),
    )
