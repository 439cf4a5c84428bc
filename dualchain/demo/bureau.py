"""A stand-in for a region's data bureau (政务数据主管部门), run as its own process: gives data of enterprises from a
file, signs receipts, gives one request one receipt also after a restart (docs/spec/government-data.md §5).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, field_validator

from chain_core.codec import signed
from chain_core.codec.genesis import genesis_hash
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider, signing_provider
from chain_core.network.identity import require_loopback, split_address
from chain_core.node.config import ConfigRefused, read_genesis
from chain_core.node.key_protection import KeysSection
from chain_core.types.errors import DualchainError, LocalFault
from service_registry.config import KeyPair, load
from service_registry.govdata.bureau import PATH
from service_registry.govdata.receipts import QUERY, RECEIPT, Query, Receipt, read_query

SEE = "see docs/spec/government-data.md §8"
MAX_BODY_BYTES = 65_536
CLOCKS_MS = 600_000
MAX_RECEIPTS = 100_000

Data = Mapping[str, Mapping[str, Any]]
"""Credit code -> item -> value."""


class BureauConfig(BaseModel):
    """bureau.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    listen: str
    key: str
    credit_code: str
    genesis: str
    """The market chain's genesis document: receipts are signed for it."""
    clients: list[str] = Field(min_length=1, max_length=64)
    """Public keys of those who may ask, 128 hexadecimal digits each."""
    data: str
    receipts: str
    keys: KeysSection = KeysSection()
    directory: Path = Field(default=Path(), exclude=True)

    @field_validator("listen")
    @classmethod
    def _here(cls, value: str) -> str:
        try:
            require_loopback(value)
        except LocalFault as fault:
            raise ValueError(f"{fault.what}: {fault.where!r}; {fault.next_step}") from fault
        return value


class Refused(Exception):
    """Nothing is given: HTTP status, code, why."""

    def __init__(self, status: int, code: str, what: str) -> None:
        super().__init__(status, code, what)
        self.status, self.code, self.what = status, code, what


class DataBureau:
    """Answers queries. ``receipts`` is a file of one line a receipt, read again at start."""

    def __init__(self, chain: bytes, code: str, key: KeyPair, clients: frozenset[bytes], data: Data, log: Path) -> None:
        self._chain, self._code, self._key, self._clients, self._data, self._log = chain, code, key, clients, data, log
        self._given: dict[str, dict[str, str]] = {}
        if log.exists():
            for line in log.read_text("utf-8").splitlines():
                row = json.loads(line)
                self._given[row.pop("request")] = row

    def answer(self, query: bytes, signature: bytes, now_ms: int) -> dict[str, str]:
        """Receipt, signature and data. Raises Refused."""
        message = signed.message(QUERY, self._chain, query)
        if not any(len(signature) == 64 and provider().sm2_verify(key, message, signature) for key in self._clients):
            raise Refused(403, "UNKNOWN_CLIENT", "signed by no market that may ask")
        try:
            asked = read_query(query)
        except DualchainError as error:
            raise Refused(400, "MALFORMED", str(error)) from error
        given = self._given.get(asked.request.hex())
        if given is not None:
            return given
        if asked.bureau != self._code or abs(now_ms - asked.time_ms) > CLOCKS_MS:
            raise Refused(400, "NOT_FOR_US", "for another bureau, or of another time")
        return self._give(asked, now_ms)

    def _give(self, asked: Query, now_ms: int) -> dict[str, str]:
        known = self._data.get(asked.credit_code)
        if known is None:
            raise Refused(404, "UNKNOWN_ENTERPRISE", f"nothing is known of {asked.credit_code}")
        missing = [item for item in asked.items if item not in known]
        if missing:
            raise Refused(404, "UNKNOWN_ITEM", f"there is no item {missing[0]!r}")
        if len(self._given) >= MAX_RECEIPTS:
            raise Refused(503, "FULL", f"{MAX_RECEIPTS} receipts are kept: begin a new file")
        data = json.dumps({item: known[item] for item in asked.items}, ensure_ascii=False, sort_keys=True)
        receipt = Receipt(
            asked.request,
            self._code,
            asked.credit_code,
            asked.items,
            asked.authorisation,
            sm3(data.encode("utf-8")),
            now_ms,
        ).encode()
        signature = signing_provider().sm2_sign(self._key.private, signed.message(RECEIPT, self._chain, receipt))
        row = {
            "receipt": base64.b64encode(receipt).decode(),
            "signature": base64.b64encode(signature).decode(),
            "data": data,
        }
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"request": asked.request.hex(), **row}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._given[asked.request.hex()] = row
        return row

    def application(self) -> web.Application:
        """One path: ``POST /v1/query``."""
        made = web.Application(client_max_size=MAX_BODY_BYTES)
        made.router.add_post(PATH, self._query)
        return made

    async def _query(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
            query, signature = (base64.b64decode(body[name], validate=True) for name in ("query", "signature"))
            return web.json_response(self.answer(query, signature, time.time_ns() // 1_000_000))
        except Refused as refused:
            return web.json_response({"error": refused.code, "what": refused.what}, status=refused.status)
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            return web.json_response({"error": "MALFORMED", "what": "not {query, signature}"}, status=400)


async def run(path: Path) -> None:
    """Until SIGTERM or Ctrl-C; says READY once it serves. Raises ConfigRefused, KeyFileRefused."""
    config = load(BureauConfig, path, SEE)
    folder = config.directory
    chain = genesis_hash(read_genesis(folder / config.genesis)[1])
    key = KeyPair.load(folder / config.key, config.keys.unlock(folder))
    try:
        data = json.loads((folder / config.data).read_text("utf-8"))
        clients = frozenset(bytes.fromhex(one) for one in config.clients)
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"cannot be read: {error}", where=str(path), next_step=SEE) from error
    bureau = DataBureau(chain, config.credit_code, key, clients, data, folder / config.receipts)
    runner = web.AppRunner(bureau.application(), handle_signals=False, access_log=None)
    await runner.setup()
    host, port = split_address(config.listen)
    await web.TCPSite(runner, host, int(port)).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(
        f"READY listen={host}:{runner.addresses[0][1]} bureau={config.credit_code} key={key.public.hex()}", flush=True
    )
    await stop.wait()
    await runner.cleanup()
