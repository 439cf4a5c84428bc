"""An honest gateway's batches on the house's chain, without a gateway: records, rows, root, paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.providers import signing_provider
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry.batch_records import (
    GatewayLog,
    Judged,
    batch_root,
    batch_tree,
    decode_gateway,
    gateway_key,
    sum_up,
)
from service_registry.bodies import Promise, encode_promise, promise_message, read_call, record_hash
from service_registry.records import SERVICES
from service_registry.usage import Usage, decode_usage, month_of, usage_key
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import SERVICE, House, assertion_key, private

Row = dict[str, Value]


def judged(row: Row, publisher: str = "publisher") -> Judged:
    """A record of the house with the keys by which it was judged."""
    consumer = read_call(cast(bytes, row["call"])).consumer
    who = next(name for name in ("consumer", "tester", "second consumer") if account(name) == consumer)
    return Judged(row, assertion_key(who), assertion_key(publisher))


@dataclass
class Made:
    """A batch as it was handed in."""

    records: list[Judged]
    args: dict[str, Any]

    @property
    def rows(self) -> list[Row]:
        return cast(list[Row], self.args["rows"])

    def evidence(self, index: int) -> dict[str, Any]:
        """What leads from the record at ``index`` to the root."""
        tree = batch_tree([record_hash(record.row) for record in self.records])
        path = list(tree.path(index)) if index < tree.count else []
        return {"number": self.args["number"], "rows": self.rows, "index": index, "path": path}

    def dispute(self, index: int, row: int = 0, **changes: Any) -> dict[str, Any]:
        """Arguments of ``dispute``."""
        record = encode_value(self.records[index].row)
        return {
            **self.evidence(index),
            "gateway": account("gateway"),
            "row": row,
            "record": record,
            **changes,
        }


def gateway_log(house: House, name: str = "gateway") -> GatewayLog:
    return decode_gateway(house.world.state.get(state_key(SERVICES, gateway_key(account(name)))))


def batch(house: House, records: Sequence[Judged], **changes: Any) -> Made:
    """The next batch of these records."""
    args: dict[str, Any] = {
        "number": gateway_log(house).next,
        "root": batch_root(records),
        "count": len(records),
        "key": assertion_key("gateway"),
        "rows": sum_up(records),
    }
    return Made(list(records), {**args, **changes})


def hand_in(house: House, made: Made) -> Receipt:
    return house.do("gateway", "record_batch", **made.args)


def recorded(house: House, *rows: Row) -> Made:
    """A batch of these records, taken."""
    made = batch(house, [judged(row) for row in rows])
    house.ok("gateway", "record_batch", **made.args)
    return made


def usage(house: House, who: str = "consumer", time_ms: int = 0) -> Usage:
    month = month_of(day_of(time_ms or house.world.time_ms))
    return decode_usage(house.world.state.get(state_key(SERVICES, usage_key(SERVICE, account(who), month))))


def promise(house: House, made: Judged, **changes: Any) -> dict[str, Any]:
    """Arguments of ``claim_record``: a promise that fell due."""
    call = made.call
    fields: dict[str, Any] = {
        "gateway": account("gateway"),
        "record": record_hash(made.row),
        "service": call.service,
        "consumer": call.consumer,
        "call_id": call.call_id,
        "deadline_ms": house.world.time_ms - 1,
        **changes,
    }
    raw = encode_promise(Promise(**fields))
    signature = signing_provider().sm2_sign(private("gateway"), promise_message(GENESIS_HASH, raw))
    return {"promise": raw, "signature": signature}
