"""Calling services from a Python program, in ten lines::

    from service_registry.client import Client

    with Client("consumer.toml") as client:
        answer = client.call("0123456789abcdef0123456789abcdef", {"security": "900001.BJ", "days": 5})
        print(answer["index"])
        for value in client.stream("fedcba9876543210fedcba9876543210", {"days": 250}):
            print(value)

``consumer.toml`` is the file of ``dualchain registry`` with ``[actor]`` and ``[gateway]``. An answer is signed by the
publisher, of the service's interface, and recorded, or promised to be (docs/spec/service-records.md §1); anything else
is raised by its name. A call whose fate is unknown is sent again as it was: it is carried out once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from service_registry.bodies import AccessCode
from service_registry.chain import RegistryChain
from service_registry.config import UserConfig, load
from service_registry.consumer import CALL_S, Answered, Consumer, ServiceAnsweredError
from service_registry.facts_cache import CachedChain
from service_registry.interfaces import requests
from service_registry.publishing.asking import definition_in_force
from service_registry.session import Session


class AsyncClient:
    """Services as one actor, through one gateway; sessions stay open between calls."""

    def __init__(self, config: Path | str) -> None:
        """Raises ConfigRefused, KeyFileRefused."""
        file = load(UserConfig, Path(config))
        above = file.supervisory
        self.chain: RegistryChain = CachedChain(file.view(above, "supervisory"), above.nodes, file.security(above))
        self.consumer: Consumer = Session(file, self.chain).consumer()

    async def close(self) -> None:
        """Ends the sessions."""
        await self.consumer.close()
        await self.chain.close()

    async def call(self, service: str, request: Any, *, within_s: float = CALL_S) -> Any:
        """The answer's value. Raises ServiceAnsweredError for a typed error, refusals by their codes."""
        return (await self.ask(service, request, within_s=within_s)).value

    async def ask(self, service: str, request: Any, *, within_s: float = CALL_S) -> Answered:
        """The whole verified answer: call, reply, record or promise."""
        identity = bytes.fromhex(service)
        raw = requests(await definition_in_force(self.chain, identity)).write(request)
        return await self.consumer.call(identity, raw, within_s=within_s)

    async def stream(self, service: str, request: Any, *, within_s: float = CALL_S) -> Sequence[Any]:
        """The values of an answer that comes in pieces, once all of them are verified."""
        identity = bytes.fromhex(service)
        raw = requests(await definition_in_force(self.chain, identity)).write(request)
        answered = await self.consumer.stream(identity, raw, lambda _: None, within_s=within_s)
        if answered.code is AccessCode.SERVICE_ERROR:
            raise ServiceAnsweredError(answered)
        values: Sequence[Any] = answered.value
        return values


class Client:
    """The same for a program without an event loop of its own."""

    def __init__(self, config: Path | str) -> None:
        """Raises ConfigRefused, KeyFileRefused."""
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._open(config))

    @staticmethod
    async def _open(config: Path | str) -> AsyncClient:
        return AsyncClient(config)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the sessions."""
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def call(self, service: str, request: Any, *, within_s: float = CALL_S) -> Any:
        """The answer's value. Raises ServiceAnsweredError for a typed error, refusals by their codes."""
        return self._loop.run_until_complete(self._client.call(service, request, within_s=within_s))

    def stream(self, service: str, request: Any, *, within_s: float = CALL_S) -> Sequence[Any]:
        """The values of an answer that comes in pieces, once all of them are verified."""
        return self._loop.run_until_complete(self._client.stream(service, request, within_s=within_s))
