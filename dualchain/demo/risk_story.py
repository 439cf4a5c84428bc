"""Step: a drill of a risk alarm (风险报警演练): a threshold is lowered, alarms are cases (art. 25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.packets import CASES
from dualchain.demo.actors import Actor, Desk, StoryFault
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove
from supervisory_chain.cases import case_key
from supervisory_chain.risk.contract import alarms_place, threshold_place
from supervisory_chain.risk.indicators import RISK
from supervisory_chain.risk.thresholds import INDICATORS, Threshold

RAISED, CLEARED = "risk raised", "risk cleared"
INDICATOR = "lag_ms"
DRILL = Threshold(1, 0, 2)
"""Whatever was followed is older than that: block time has moved on since."""


async def drill(upper: Desk, anybody: Actor, markets: Sequence[bytes], book: EvidenceBook) -> None:
    """Lowered, alarmed, set back, cleared, closed: a threshold holds for every market."""
    assess = [Operation(RISK, "assess", {"chain": market}) for market in markets]
    places = [state_key(RISK, alarms_place(market)) for market in markets]
    await _set(upper, DRILL)
    await upper.accepted([upper.sign("risk assessed", anybody, assess)])
    values = await prove(upper, book, RAISED, [lambda _: [*places, state_key(RISK, threshold_place(INDICATOR))]])
    cases = [(market, _case(values[place])) for market, place in zip(markets, places, strict=True)]
    await _set(upper, INDICATORS[INDICATOR].default)
    await upper.accepted([upper.sign("risk assessed again", anybody, assess)])
    closing = [
        Operation(CASES, "close", {"chain": market, "number": number, "reference": "演练 drill"})
        for market, number in cases
    ]
    await upper.accepted([upper.sign("risk alarms closed", upper.genesis_actor("csrc-checker"), closing)])
    keys = [*places, *(case_key(market, number) for market, number in cases)]
    await prove(upper, book, CLEARED, [lambda _: keys])


def _case(raw: bytes | None) -> int:
    """The case of the alarm that stands. StoryFault when none does."""
    alarms = {} if raw is None else cast(Mapping[str, Mapping[str, int]], decode_map(raw, "alarms"))
    if INDICATOR not in alarms:
        raise StoryFault("the alarm was not raised", where="risk")
    return alarms[INDICATOR]["case"]


async def _set(upper: Desk, threshold: Threshold) -> None:
    """Named by one officer, confirmed by another."""
    wanted: dict[str, Value] = {"indicator": INDICATOR, **threshold.row()}
    for who in ("csrc-issuer", "csrc-checker"):
        officer = upper.genesis_actor(who)
        transaction = upper.sign("risk threshold", officer, [Operation(RISK, "set_threshold", wanted)])
        await upper.accepted([transaction])
