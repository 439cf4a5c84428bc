"""Usage statements as people read them, each proven (docs/spec/service-records.md §4)."""

from __future__ import annotations

from chain_core.codec.wire import U32
from chain_core.node import render
from service_registry.authority import Key
from service_registry.bodies import AccessCode
from service_registry.chain import RegistryChain
from service_registry.records import SERVICES
from service_registry.usage import Usage, decode_usage
from service_registry.views import browse

_CONSUMER, _MONTH = slice(17, 33), slice(33, 37)


async def statements(chain: RegistryChain, service: bytes, month: int = 0) -> render.Row:
    """What each consumer of a service used and owes, by month (yyyymm; 0 is all)."""
    await chain.service(service)
    listed = [key for key in await browse(chain, b"u" + service) if not month or key[_MONTH] == U32.pack(month)]
    asked: list[Key] = [(SERVICES, key) for key in listed]
    values = await chain.values(asked)
    rows = [
        statement_row(key[_CONSUMER], int.from_bytes(key[_MONTH], "big"), decode_usage(raw))
        for (_, key), raw in values.items()
        if raw is not None
    ]
    return {
        "service": service.hex(),
        "statements": sorted(rows, key=lambda row: (row["month"], row["consumer"])),
        "due_fen": sum(row["due_fen"] for row in rows),
        "each_proven": True,
    }


def statement_row(consumer: bytes, month: int, usage: Usage) -> render.Row:
    """One consumer's month."""
    by_code = {AccessCode(code).name: calls for code, calls in enumerate(usage.codes) if calls}
    struck = {AccessCode(code).name: calls for code, calls in enumerate(usage.struck) if calls}
    return {
        "consumer": consumer.hex(),
        "month": month,
        "calls": sum(usage.codes),
        "by_code": by_code,
        "amount_fen": usage.amount_fen,
        "struck": struck,
        "struck_fen": usage.struck_fen,
        "due_fen": usage.due_fen,
    }
