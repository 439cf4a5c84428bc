"""Every decoder, given anything: a value, which is then written as exactly the same bytes, or a typed refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.types.errors import MalformedBytes
from tests.vectors.keys import Signatures
from tests.vectors.records import Kind, kinds
from tests.vectors.samples import Samples

KINDS = {kind.name: kind for kind in kinds(Samples(Signatures(may_sign=False)))}
ALL_SAMPLES = [raw for kind in KINDS.values() for _, raw in kind.samples]


def decode(kind: Kind, raw: bytes) -> None:
    refused: MalformedBytes | None = None
    try:
        value = kind.decode(raw)
    except MalformedBytes as refusal:
        refused = refusal
    if refused is None:
        assert kind.rewrite(value) == raw
    else:
        assert refused.what and refused.where and refused.next_step


@st.composite
def mutated(draw: st.DrawFn, raw: bytes) -> bytes:
    """A sample with some pieces overwritten, cut out, doubled or taken from other records."""
    data = raw
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        donor = draw(st.sampled_from(ALL_SAMPLES))
        at = draw(st.integers(0, len(donor)))
        piece = draw(
            st.one_of(
                st.just(b""),
                st.just(data[start:end] * 2),
                st.binary(max_size=9),
                st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]),
                st.just(donor[at : at + 40]),
            )
        )
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", KINDS)
@given(st.data())
def test_anything(name: str, data: st.DataObject) -> None:
    decode(KINDS[name], data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("name", KINDS)
@given(st.data())
def test_mutations_of_good_records(name: str, data: st.DataObject) -> None:
    kind = KINDS[name]
    _, raw = data.draw(st.sampled_from(kind.samples))
    decode(kind, data.draw(mutated(raw)))


@pytest.mark.parametrize("name", KINDS)
def test_records_of_other_kinds(name: str) -> None:
    for raw in ALL_SAMPLES:
        decode(KINDS[name], raw)
