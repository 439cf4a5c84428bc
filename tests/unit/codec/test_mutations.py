"""Every truncation, extension and flip of every record: a value written as exactly these bytes, or MalformedBytes."""

import pytest

from chain_core.types.errors import MalformedBytes
from tests.vectors.records import Kind, kinds
from tests.vectors.samples import Samples

NAMES = [
    "value",
    "map",
    "seen-key",
    "seen-value",
    "genesis",
    "transaction-body",
    "envelope",
    "receipt",
    "header",
    "certificate",
    "batch",
    "block",
    "vote",
    "signed-vote",
    "header-vote",
    "prepared-certificate",
    "view-change",
    "signed-view-change",
    "new-view",
    "equivocation",
    "signed-new-view",
    "reopening-order-body",
    "reopening-order",
    "statement",
    "signed-statement",
    "reopening",
    "packet",
    "inclusion-proof",
    "consistency-proof",
    "state-proof",
]
# Longer records get fewer patterns a byte, so that all of them together take seconds.
ALL_BITS = tuple(1 << bit for bit in range(8))
SOME_BITS = (0x01, 0x80, 0xFF)
LONG, VERY_LONG = 600, 3_000


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest, samples: Samples) -> Kind:
    return next(kind for kind in kinds(samples) if kind.name == request.param)


def test_no_kind_is_left_out(samples: Samples) -> None:
    assert [kind.name for kind in kinds(samples)] == NAMES


def accepted(kind: Kind, raw: bytes) -> bool:
    """Whether ``raw`` decodes; then it must be the one encoding of what it decodes to."""
    try:
        value = kind.decode(raw)
    except MalformedBytes:
        return False
    assert kind.rewrite(value) == raw
    return True


def test_samples(kind: Kind) -> None:
    for name, raw in kind.samples:
        assert accepted(kind, raw), name


def test_truncations(kind: Kind) -> None:
    for _, raw in kind.samples:
        assert not any(accepted(kind, raw[:size]) for size in range(len(raw)))


def test_extensions(kind: Kind) -> None:
    for _, raw in kind.samples:
        assert not any(accepted(kind, raw + tail) for tail in (b"\0", b"\x01", b"\xff", raw))
        assert not accepted(kind, b"\0" + raw)


def test_flips(kind: Kind) -> None:
    for _, raw in kind.samples:
        masks = ALL_BITS if len(raw) < LONG else SOME_BITS
        for position in range(len(raw)):
            # What is very long has rows of one kind: each byte meets one pattern, the next byte the next one.
            chosen = masks if len(raw) < VERY_LONG else masks[position % len(masks) :][:1]
            for mask in chosen:
                flipped = bytearray(raw)
                flipped[position] ^= mask
                accepted(kind, bytes(flipped))
