"""Bad signatures of one caller: what waits of it is not verified any more, and nobody else is touched."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.transaction import decode_envelope, encode_envelope
from chain_core.network.identity import Caller
from chain_core.network.quota import Quotas, SignatureQuota
from chain_core.network.refusals import QuotaExceeded
from chain_core.network.verification import ROUND_SIGNATURES
from tests.unit.node.test_inbound import Bench, S, request, run, submissions

VILLAIN, VICTIM = Caller("sm", "villain", fingerprint=b"\x01" * 32), Caller("sm", "victim", fingerprint=b"\x02" * 32)


def forged(number: int) -> bytes:
    """The good envelope with another signature under the same account and key, each one another."""
    envelope = decode_envelope(S.envelope.raw)
    first, *others = envelope.signers
    signature = number.to_bytes(32, "big") + first.signature[32:]
    return encode_envelope(envelope.body_bytes, (replace(first, signature=signature), *others))


def codes(data: bytes) -> Counter[str]:
    return Counter(item.refusal.code for item in pb.SubmitResponse.FromString(data).items)


def test_a_flood_is_verified_for_a_round_and_then_not_looked_at() -> None:
    async def story(bench: Bench) -> None:
        told: list[str] = []
        now = [0]
        service = submissions(bench)
        service.signatures = SignatureQuota(Quotas(), lambda: now[0], lambda key, seconds: told.append(key))
        flood = request(*(forged(1 + number) for number in range(2_000)))
        found = codes(await service.submit(VILLAIN, flood))
        assert found["BAD_SIGNATURE"] + found["QUOTA_EXCEEDED"] == 2_000
        assert found["BAD_SIGNATURE"] <= 2 * ROUND_SIGNATURES
        assert told == [VILLAIN.key]
        verified = bench.inbound.queue._counters["signatures_verified"]
        with pytest.raises(QuotaExceeded) as refused:
            await service.submit(VILLAIN, flood)
        assert refused.value.retry_after_ms == 30_000
        assert bench.inbound.queue._counters["signatures_verified"] == verified
        # The account that the forgeries name goes on as if nothing had been.
        assert codes(await service.submit(VICTIM, request(S.envelope.raw))) == Counter({"": 1})
        now[0] += 30_000_000_000
        assert codes(await service.submit(VILLAIN, request(S.envelope.raw))) == Counter({"": 1})

    run(story)


def test_a_caller_in_trouble_reads_on_and_is_not_charged_for_its_clock() -> None:
    async def story(bench: Bench) -> None:
        service = submissions(bench)
        unknown = [b"no envelope"] * 500
        for _ in range(5):
            found = codes(await service.submit(VILLAIN, request(*unknown)))
            assert set(found) == {"MALFORMED"}  # costs no verification, and blocks nobody
        await asyncio.sleep(0)

    run(story)
