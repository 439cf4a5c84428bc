"""The client port of a node with several ledgers: the request's scope says whose it is; one page of metrics for all."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TypeVar

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, Stream, Unary, parse
from chain_core.network.refusals import WrongChain
from chain_core.types.ids import MAIN_LEDGER

T = TypeVar("T", Unary, ServerStream)

_NAME = re.compile(r"[a-zA-Z0-9_:]+")


class SharedTable:
    """``tables`` by ledger, each with the same methods; more of them may come while it serves."""

    def __init__(self, chain_id: str) -> None:
        self._chain_id = chain_id
        self.tables: dict[int, Mapping[str, Method]] = {}

    def methods(self) -> dict[str, Method]:
        """What the client port serves: each method hands a request to the ledger that its scope names."""
        return {name: self._shared(name, method) for name, method in self.tables[MAIN_LEDGER].items()}

    def _shared(self, name: str, method: Method) -> Method:
        if isinstance(method, Unary):

            async def call(caller: Caller, data: bytes) -> bytes:
                return await self._meant(Unary, name, data).handler(caller, data)

            return Unary(call)
        assert not isinstance(method, Stream), "the node API has no methods with two streams"

        async def stream(caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
            async with aclosing(self._meant(ServerStream, name, data).handler(caller, data)) as responses:
                async for response in responses:
                    try:
                        yield response
                    except TimeoutError as late:
                        await responses.athrow(late)

        return ServerStream(stream, method.patience_s)

    def _meant(self, kind: type[T], name: str, data: bytes) -> T:
        """The method of the ledger that a request means. Raises MalformedBytes, WrongChain."""
        ledger = parse(pb.AnyRequest, data).scope.ledger if len(self.tables) > 1 else MAIN_LEDGER
        table = self.tables.get(ledger)
        if table is None:
            raise WrongChain(
                f"this node runs ledgers {', '.join(map(str, sorted(self.tables)))} of {self._chain_id}",
                where=f"scope.ledger {ledger}",
                next_step="ask for one of them; a new one runs when the block that creates it is final here",
                code="WRONG_LEDGER",
            )
        found = table[name]
        assert isinstance(found, kind)
        return found


def merged_metrics(pages: Mapping[int, str]) -> str:
    """One page of all ledgers' pages: a family stands once, samples of sub-ledgers carry a label ``ledger``."""
    families: dict[str, list[str]] = {}
    for ledger, text in sorted(pages.items()):
        name = ""
        for line in text.splitlines():
            if line.startswith("# "):
                name = line.split(" ", 3)[2]
                lines = families.setdefault(name, [])
                if line not in lines:
                    lines.append(line)
            else:
                families[name].append(line if ledger == MAIN_LEDGER else _labelled(line, ledger))
    return "\n".join(line for lines in families.values() for line in lines) + "\n"


def _labelled(sample: str, ledger: int) -> str:
    found = _NAME.match(sample)
    assert found is not None, "a sample begins with its name"
    name, rest = found.group(), sample[found.end() :]
    label = f'ledger="{ledger}"'
    return f"{name}{{{label},{rest[1:]}" if rest.startswith("{") else f"{name}{{{label}}}{rest}"
