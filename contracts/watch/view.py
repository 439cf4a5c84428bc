"""What a supervision rule can ask: its own memory, holdings, securities. It changes nothing of the market's."""

from __future__ import annotations

from typing import Any

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.types.values import Value
from contracts.engine.refusals import Abort
from contracts.engine.values import Meter, check_walk
from contracts.kernel.records import HOLDING, KERNEL, SECURITY, decode_holding, decode_security

MAX_VALUE_BYTES = 1_024
MAX_READS, MAX_WRITES = 32, 8
MAX_KEY = 96


class RuleView:
    """One look of one rule at one movement. ``memory`` is the prefix of its keys in the hook's namespace."""

    __slots__ = ("_ctx", "_memory", "_reads", "_writes")

    def __init__(self, ctx: CallContext, memory: bytes) -> None:
        self._ctx = ctx
        self._memory = memory
        self._reads = self._writes = 0

    def get(self, key: str) -> Value:
        """A value of the rule's memory; None when there is none."""
        self._read()
        raw = self._ctx.get(self._memory + key.encode("utf-8"))
        return None if raw is None else decode_value(raw, "rule's memory")

    @staticmethod
    def put(view: RuleView, meter: Meter, line: int, key: Any, value: Any) -> None:
        """Sets a value of the rule's memory. Aborts above the limits."""
        check_walk(meter, value, line)
        if type(key) is not str or not 0 < len(key.encode("utf-8")) <= MAX_KEY:
            raise Abort("bad_argument", line)
        raw = encode_value(value)
        view._writes += 1
        if len(raw) > MAX_VALUE_BYTES or view._writes > MAX_WRITES:
            raise Abort("too_long", line)
        view._ctx.put(view._memory + key.encode("utf-8"), raw)

    def holding(self, security: bytes, account: bytes) -> dict[str, Value]:
        """Available, pledged and frozen units; zeros for no holder."""
        self._read()
        raw = self._ctx.read(KERNEL, HOLDING + security + account)
        if raw is None:
            return {"available": 0, "pledged": 0, "frozen": 0}
        holding = decode_holding(raw)
        return {"available": holding.available, "pledged": holding.pledged, "frozen": holding.frozen}

    def security(self, security: bytes) -> dict[str, Value] | None:
        """Status, layer, issuer and total; None when there is none."""
        self._read()
        raw = self._ctx.read(KERNEL, SECURITY + security)
        if raw is None:
            return None
        record = decode_security(raw)
        return {"status": record.status, "layer": record.layer, "issuer": record.issuer, "total": record.total}

    def _read(self) -> None:
        self._reads += 1
        if self._reads > MAX_READS:
            raise Abort("too_long", 0)
