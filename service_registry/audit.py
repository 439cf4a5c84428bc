"""Following the access records of a service through the blocks: each one shown, and the digests recomputed
(guideline art. 19; docs/spec/service-registry.md §6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from chain_core.codec.block import decode_block
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.network.ingress import check_block_contents
from chain_core.network.raw_rpc import RawChannel
from chain_core.node import render
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from service_registry.authority import Key
from service_registry.batch_audit import check_batch, fetch_batch
from service_registry.batches import row_digest
from service_registry.bodies import AccessCode, next_digest, read_call, record_hash
from service_registry.chain import RegistryChain
from service_registry.records import SERVICES, AccessLog, decode, log_key


async def audit(chain: RegistryChain, service: bytes, gateway: RawChannel | None = None) -> render.Row:
    """All access records of a service, from every block since genesis, each block verified; the proven access logs must
    count and chain exactly these. Raises InvalidProof when they do not.

    Batches are told by their rows. With ``gateway`` its records are fetched and held against root and rows.
    """
    counted: dict[bytes, tuple[int, bytes]] = {}
    rows: list[render.Row] = []
    done, through = 0, (await chain.client.header()).height
    while done < through:
        await _follow(chain, service, range(done + 1, through + 1), counted, rows, gateway)
        # Records that came meanwhile are followed too, until logs and blocks are of one moment.
        done, through = through, await _compare(chain, service, counted, through)
    return {"service": service.hex(), "through_height": through, "records": rows, "digests": "equal"}


async def _follow(
    chain: RegistryChain,
    service: bytes,
    heights: Iterable[int],
    counted: dict[bytes, tuple[int, bytes]],
    rows: list[render.Row],
    gateway: RawChannel | None,
) -> None:
    """Adds the service's records in these blocks to ``rows`` and to what each caller's log must say."""
    for height in heights:
        for who, method, args in await _operations_at(chain, height):
            if method == "record_access":
                found = _singles(service, height, args)
            else:
                found = _of_batch(service, height, args)
                if found and gateway is not None:
                    records = await fetch_batch(gateway, who, cast(int, args["number"]))
                    if records is not None:
                        check_batch(chain.genesis_hash, args, records)
                    for *_, row in found:
                        row["records_verified"] = records is not None
            for caller, new_calls, link, row in found:
                calls, digest = counted.get(caller, (0, ZERO_HASH))
                counted[caller] = (calls + new_calls, next_digest(digest, link))
                rows.append(row)


Found = tuple[bytes, int, bytes, render.Row]
"""Caller, calls, what his digest chains, and the row for people."""


def _singles(service: bytes, height: int, args: Mapping[str, Value]) -> list[Found]:
    found: list[Found] = []
    for record in cast(Sequence[Mapping[str, Value]], args["records"]):
        call = read_call(cast(bytes, record["call"]))
        if call.service != service:
            continue
        hashed = record_hash(record)
        row: render.Row = {
            "height": height,
            "caller": call.consumer.hex(),
            "version": call.version,
            "call_id": call.call_id,
            "time_ms": call.time_ms,
            "code": AccessCode(cast(int, record["code"])).name,
            "request_hash": call.request_hash.hex(),
            "record": hashed.hex(),
        }
        found.append((call.consumer, 1, hashed, row))
    return found


def _of_batch(service: bytes, height: int, args: Mapping[str, Value]) -> list[Found]:
    found: list[Found] = []
    for summed in cast(Sequence[Mapping[str, Value]], args["rows"]):
        if summed["service"] != service:
            continue
        codes, caller = cast(Sequence[int], summed["codes"]), cast(bytes, summed["consumer"])
        row: render.Row = {
            "height": height,
            "caller": caller.hex(),
            "version": summed["version"],
            "batch": args["number"],
            "calls": sum(codes),
            "by_code": {AccessCode(code).name: calls for code, calls in enumerate(codes) if calls},
            "root": cast(bytes, args["root"]).hex(),
        }
        found.append((caller, sum(codes), row_digest(cast(bytes, args["root"]), summed), row))
    return found


async def _operations_at(chain: RegistryChain, height: int) -> list[tuple[bytes, str, Mapping[str, Value]]]:
    """(account, method, arguments) of a block's successful operations that record calls, in the order they ran."""
    view, node = chain.client.view, chain.client.nodes[0]
    answer = await node.block(height)
    block = decode_block(answer.block)
    certified = await node.header(height)
    header = view.check_header(certified)
    if block.header != certified.header or header.height != height:
        raise InvalidProof("the block has another header", where=f"height {height}")
    check_block_contents(block, header)
    view.check_receipts(header, answer.receipts)
    found: list[tuple[bytes, str, Mapping[str, Value]]] = []
    for raw, receipt in zip(block.envelopes, answer.receipts, strict=True):
        if decode_receipt(receipt).code == 0:
            body = decode_envelope(raw).body
            for operation in body.operations:
                if operation.contract == SERVICES and operation.method in ("record_access", "record_batch"):
                    found.append((body.account, operation.method, operation.args))
    return found


async def _compare(
    chain: RegistryChain, service: bytes, counted: Mapping[bytes, tuple[int, bytes]], height: int
) -> int:
    """The height to which logs reach; InvalidProof when those within ``height`` do not count what the blocks hold."""
    keys: dict[bytes, Key] = {caller: (SERVICES, log_key(service, caller)) for caller in counted}
    values = await chain.values(list(keys.values()), not_below=height)
    through = height
    for caller, (calls, digest) in counted.items():
        raw = values[keys[caller]]
        log = AccessLog() if raw is None else decode(AccessLog, raw)
        through = max(through, log.height)
        if log.height <= height and (log.calls, log.digest) != (calls, digest):
            raise InvalidProof(
                f"the blocks hold {calls} records of this caller, the access log counts {log.calls} or others",
                where=f"caller {caller.hex()}",
                next_step="report it to the supervisory chain's operator",
            )
    return through
