"""[quotas] of a node's configuration: how much one caller may ask for (docs/spec/access.md §4)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

from chain_core.network.channel_options import MAX_MESSAGE_BYTES
from chain_core.network.handshake_gate import AN_ADDRESS, IN_ALL
from chain_core.network.quota import DEFAULT_LIMITS, Limit, Quota

_LEAST_BURST = {Quota.BYTES: MAX_MESSAGE_BYTES, Quota.SIGNATURES: 2_000}
_ADDRESS, _ALL = "handshakes_of_address", "handshakes"
MOST = 1_000_000_000


class QuotaSection(BaseModel):
    """[quotas]: ``<name> = [a second, at once]``; what is not named keeps its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    read: list[int] = []
    bulk: list[int] = []
    submit: list[int] = []
    subscribe: list[int] = []
    link: list[int] = []
    bytes: list[int] = []
    signatures: list[int] = []
    handshakes_of_address: list[int] = []
    handshakes: list[int] = []

    @model_validator(mode="after")
    def _pairs(self) -> QuotaSection:
        for name in type(self).model_fields:
            pair = getattr(self, name)
            if pair and (len(pair) != 2 or not all(1 <= number <= MOST for number in pair)):
                raise ValueError(f"{name} is [a second, at once], both from 1 to {MOST}")
        for quota, least in _LEAST_BURST.items():
            if self.limits()[quota].burst < least:
                raise ValueError(f"{quota}: at once at least {least}, which one request may hold")
        return self

    def limits(self) -> dict[Quota, Limit]:
        """Of each caller."""
        return {quota: self._limit(quota.value, DEFAULT_LIMITS[quota]) for quota in Quota}

    def handshake_limits(self) -> tuple[Limit, Limit]:
        """Of one address, of all."""
        return self._limit(_ADDRESS, AN_ADDRESS), self._limit(_ALL, IN_ALL)

    def _limit(self, name: str, default: Limit) -> Limit:
        pair = getattr(self, name)
        return Limit(*pair) if pair else default
