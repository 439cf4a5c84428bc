"""A publisher's handler: loaded from its file, tried out, and guarded (docs/spec/publishing.md §1, §3)."""

from __future__ import annotations

import importlib.util
import inspect
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chain_core.types.errors import DualchainError, LocalFault
from service_registry.definition import Definition
from service_registry.host import Answer, ServiceError
from service_registry.interfaces import requests, responses
from service_registry.publishing.files import HANDLER_FILE

log = logging.getLogger(__name__)


class BadHandler(LocalFault):
    """A handler that cannot be loaded."""

    code = "BAD_HANDLER"


@dataclass(frozen=True, slots=True)
class Tried:
    """One request of a local test: ``held`` says whether it ended as it has to."""

    request: str
    ended: str
    held: bool


def load_handler(folder: Path) -> Answer:
    """``answer`` of the folder's handler.py. Raises BadHandler."""
    path = folder / HANDLER_FILE
    where = str(path)
    spec = importlib.util.spec_from_file_location("service_handler", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadHandler("there is no handler", where=where, next_step="write it, or begin with `init-service`")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        what = f"it cannot be imported: {type(error).__name__}: {error}"
        raise BadHandler(what, where=where, next_step="mend it; `python handler.py` shows more") from error
    answer = getattr(module, "answer", None)
    if not (inspect.iscoroutinefunction(answer) or inspect.isasyncgenfunction(answer)):
        raise BadHandler("it has no `async def answer(request)`", where=where, next_step="add it")
    found: Answer = answer
    return found


def guarded(answer: Answer) -> Answer:
    """The handler, whose own faults are typed errors and lines of the log, not silence."""

    async def call(request: Any) -> Any:
        with _told():
            found = answer(request)
            assert not isinstance(found, AsyncGenerator), "it is called as one"
            return await found

    async def pieces(request: Any) -> AsyncGenerator[Any, None]:
        with _told():
            async with aclosing(cast(AsyncGenerator[Any, None], answer(request))) as values:
                async for value in values:
                    yield value

    return pieces if inspect.isasyncgenfunction(answer) else call


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (ServiceError, DualchainError):
        raise
    except Exception as error:
        log.exception("the handler failed")
        raise ServiceError("INTERNAL", "the publisher's handler failed") from error


async def try_out(definition: Definition, answer: Answer) -> list[Tried]:
    """What the joint test will ask: each example has to be answered, the wrong request refused."""
    tried = []
    for number, example in enumerate(definition.examples):
        ended = await _ended(definition, answer, example)
        tried.append(Tried(f"examples/{number}", ended, ended == _ANSWERED))
    ended = await _ended(definition, answer, definition.wrong_request)
    return [*tried, Tried("wrong_request", ended, ended.startswith(_REFUSED))]


_ANSWERED, _REFUSED = "answered", "refused"


async def _ended(definition: Definition, answer: Answer, data: bytes) -> str:
    try:
        request = requests(definition).read(data)
    except DualchainError as error:
        return f"{_REFUSED}, it does not fit the interface: {error.what} (at {error.where})"
    try:
        told = answer(request)
        response = [value async for value in told] if isinstance(told, AsyncGenerator) else await told
    except ServiceError as error:
        return f"{_REFUSED} by the handler: {error.code}: {error.what}"
    except Exception as error:  # noqa: BLE001 - a publisher's own code, which is being tried out
        return f"the handler failed: {type(error).__name__}: {error}"
    try:
        responses(definition).write(response)
    except DualchainError as error:
        return f"the answer does not fit the interface: {error.what} (at {error.where})"
    return _ANSWERED
