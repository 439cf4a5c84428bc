"""Following the access records of a service through the blocks: each one shown, and the digests recomputed
(guideline art. 19; docs/spec/service-registry.md §6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from chain_core.codec.block import decode_block
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.network.ingress import check_block_contents
from chain_core.node import render
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value
from service_registry.authority import Key
from service_registry.bodies import AccessCode, next_digest, read_call, record_hash
from service_registry.chain import RegistryChain
from service_registry.records import SERVICES, AccessLog, decode, log_key


async def audit(chain: RegistryChain, service: bytes) -> render.Row:
    """All access records of a service, from every block since genesis, each block verified; the proven access logs must
    count and chain exactly these. Raises InvalidProof when they do not.
    """
    counted: dict[bytes, tuple[int, bytes]] = {}
    rows: list[render.Row] = []
    done, through = 0, (await chain.client.header()).height
    while done < through:
        await _follow(chain, service, range(done + 1, through + 1), counted, rows)
        # Records that came meanwhile are followed too, until logs and blocks are of one moment.
        done, through = through, await _compare(chain, service, counted, through)
    return {"service": service.hex(), "through_height": through, "records": rows, "digests": "equal"}


async def _follow(
    chain: RegistryChain,
    service: bytes,
    heights: Iterable[int],
    counted: dict[bytes, tuple[int, bytes]],
    rows: list[render.Row],
) -> None:
    """Adds the service's records in these blocks to ``rows`` and to what each caller's log must say."""
    for height in heights:
        for record in await _records_at(chain, height):
            call = read_call(cast(bytes, record["call"]))
            if call.service != service:
                continue
            hashed = record_hash(record)
            calls, digest = counted.get(call.consumer, (0, ZERO_HASH))
            counted[call.consumer] = (calls + 1, next_digest(digest, hashed))
            rows.append(
                {
                    "height": height,
                    "caller": call.consumer.hex(),
                    "version": call.version,
                    "call_id": call.call_id,
                    "time_ms": call.time_ms,
                    "code": AccessCode(cast(int, record["code"])).name,
                    "request_hash": call.request_hash.hex(),
                    "record": hashed.hex(),
                }
            )


async def _records_at(chain: RegistryChain, height: int) -> list[Mapping[str, Value]]:
    """Arguments of the successful ``record_access`` operations of a block, in the order they ran."""
    view, node = chain.client.view, chain.client.nodes[0]
    answer = await node.block(height)
    block = decode_block(answer.block)
    certified = await node.header(height)
    header = view.check_header(certified)
    if block.header != certified.header or header.height != height:
        raise InvalidProof("the block has another header", where=f"height {height}")
    check_block_contents(block, header)
    view.check_receipts(header, answer.receipts)
    found: list[Mapping[str, Value]] = []
    for raw, receipt in zip(block.envelopes, answer.receipts, strict=True):
        if decode_receipt(receipt).code == 0:
            for operation in decode_envelope(raw).body.operations:
                if (operation.contract, operation.method) == (SERVICES, "record_access"):
                    found += cast(Sequence[Mapping[str, Value]], operation.args["records"])
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
