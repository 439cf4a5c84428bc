"""What a contract and a hook are to the engine (docs/spec/execution.md §2-§4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from chain_core.execution.arguments import Kind
from chain_core.execution.codes import Code, EngineFault, Refused
from chain_core.execution.context import BlockContext, CallContext
from chain_core.execution.overlay import Namespace, SeenReader, StateReader
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Envelope, Operation
from chain_core.types.values import Value

__all__ = [
    "Arguments",
    "BlockContext",
    "BlockOutcome",
    "CallContext",
    "Code",
    "Contract",
    "EngineFault",
    "Handler",
    "Hook",
    "Lane",
    "Method",
    "Namespace",
    "Refused",
    "RuleText",
    "SeenReader",
    "StateReader",
]


class Lane(IntEnum):
    """A batch runs in this order of lanes, whatever order the primary wrote; inside a lane in the batch's order."""

    GOVERNANCE = 0
    BORDER = 1
    BUSINESS = 2


Arguments = Mapping[str, Value]
Handler = Callable[[CallContext, Arguments], None]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its handler, who may call it (any of ``roles``; empty: anybody), and its arguments' kinds."""

    handler: Handler
    args: Mapping[str, Kind] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule in both languages of its readers; ``{0}``, ``{1}`` ... stand for the refusal's parameters."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class BlockOutcome:
    """What ``end_block`` may look at, by index in the batch: envelopes, codes, rules, encoded events."""

    envelopes: Sequence[Envelope]
    codes: Sequence[int]
    rules: Sequence[str]
    events: Sequence[bytes]


class Contract:
    """Base of all contracts. They keep no state of their own between calls: everything lives in their namespace.

    ``rules`` are the texts of the rule ids it refuses with, ``parameters`` the bounds (low, high) of on-chain
    parameters it adds to the engine's.
    """

    name: str
    lane: Lane = Lane.BUSINESS
    methods: Mapping[str, Method] = {}
    rules: Mapping[str, RuleText] = {}
    parameters: Mapping[str, tuple[int, int]] = {}

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """Writes the contract's state of height 0; ``genesis.documents.get(name)`` is its own document."""

    def text_of(self, rule: str, get: Callable[[bytes], bytes | None]) -> RuleText | None:
        """The text of a rule id that was written on the chain after this build; ``get`` reads the contract's latest
        state. For people: execution never asks.
        """
        return None

    def begin_block(self, ctx: CallContext) -> None:
        """Runs before the block's first transaction, with no caller. A refusal here halts the node."""

    def end_block(self, ctx: CallContext, outcome: BlockOutcome) -> None:
        """Runs after the block's last transaction, with no caller. A refusal here halts the node."""


class Hook(Protocol):
    """A regulatory check around every call, given to the executor at assembly and out of every contract's reach.

    ``ctx`` is in the hook's own namespace (``name``); it may read all state, emit evidence and refuse. ``moves`` are
    what the call recorded with ``record_move``. One derived from this class may leave out what it has no use for.
    """

    name: str
    rules: Mapping[str, RuleText]

    def before_call(self, ctx: CallContext, call: Operation) -> None:
        """Runs when the caller's role and arguments are accepted; refuses to stop the call."""
        return

    def after_call(self, ctx: CallContext, call: Operation, moves: Sequence[object]) -> None:
        """Runs when the handler returned; refuses to undo the transaction."""
        return
