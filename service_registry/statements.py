"""Usage statements as people read them, each proven (docs/spec/service-records.md §4)."""

from __future__ import annotations

from chain_core.node import render
from contracts.kernel.calendar import day_of
from service_registry.authority import Key
from service_registry.bodies import AccessCode
from service_registry.chain import RegistryChain
from service_registry.records import SERVICES, consumers_key, decode_consumers
from service_registry.usage import KEEP_MONTHS, Usage, decode_usage, month_of, months_before, usage_key


async def statements(chain: RegistryChain, service: bytes, month: int = 0) -> render.Row:
    """What each consumer of a service used and owes, by month (yyyymm; 0 is all that are kept).

    Complete: everybody who ever applied stands in a proven list. Raises NotRegistered.
    """
    await chain.service(service)
    listed: Key = (SERVICES, consumers_key(service))
    consumers = decode_consumers((await chain.values([listed]))[listed])
    # A caller's clock may be ahead of the chain's: the last minutes of a month can hold calls of the next one.
    latest = months_before(month_of(day_of((await chain.client.header()).time_ms)), -1)
    months = [month] if month else [months_before(latest, count) for count in range(KEEP_MONTHS + 1)]
    asked: dict[Key, tuple[bytes, int]] = {
        (SERVICES, usage_key(service, consumer, one)): (consumer, one) for consumer in consumers for one in months
    }
    values = await chain.values(list(asked))
    rows = [statement_row(*asked[key], decode_usage(raw)) for key, raw in values.items() if raw is not None]
    return {
        "service": service.hex(),
        "statements": sorted(rows, key=lambda row: (row["month"], row["consumer"])),
        "due_fen": sum(row["due_fen"] for row in rows),
        "proven": True,
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
