"""Effects of the core that only touch the world outside."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from chain_core.consensus import effects as fx
from chain_core.network.frames import ConsensusFrame
from chain_core.node.block_exchange import BlockExchange
from chain_core.node.ports import Ports

Outside: TypeAlias = fx.Broadcast | fx.SendTo | fx.FetchBlocks | fx.SetTimer | fx.CancelTimer | fx.Alarm


def perform_outside(effect: Outside, ports: Ports, exchange: BlockExchange) -> None:
    """Send, ask, set timers, tell."""
    match effect:
        case fx.Broadcast(message):
            ports.transport.broadcast(ConsensusFrame(message))
        case fx.SendTo(peer, message):
            ports.transport.send(peer, ConsensusFrame(message))
        case fx.FetchBlocks(start, end, sources):
            exchange.fetch(start, end, sources, ports.clock.now_ms())
        case fx.SetTimer(timer, after_ms):
            ports.timers.set(timer, after_ms)
        case fx.CancelTimer(timer):
            ports.timers.cancel(timer)
        case fx.Alarm(code, facts):
            ports.observer.alarm(code, dict(facts))
        case _:
            assert_never(effect)
