"""Signatures between r||s and DER: one encoding each, everything else refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from chain_core.crypto.der import signature_from_der, signature_to_der
from chain_core.crypto.errors import MalformedSignature
from chain_core.crypto.sm2_domain import N
from tests.unit.crypto.support import be

SCALARS = st.one_of(st.integers(1, N - 1), st.integers(1, 2**17), st.integers(0, 31).map(lambda n: 1 << 8 * n))


@given(SCALARS, SCALARS)
@example(0x7F, 0x80)
@example(N - 1, 1)
def test_both_ways(r: int, s: int) -> None:
    der = signature_to_der(be(r) + be(s))
    assert der == encode_dss_signature(r, s)
    assert signature_from_der(der) == be(r) + be(s)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (N, 1), (1, N), (2**256 - 1, 1)])
def test_out_of_range(r: int, s: int) -> None:
    with pytest.raises(MalformedSignature):
        signature_to_der(be(r) + be(s))
    with pytest.raises(MalformedSignature):
        signature_from_der(encode_dss_signature(r, s))


@pytest.mark.parametrize(
    ("what", "der"),
    [
        ("nothing", ""),
        ("no sequence", "020101020101"),
        ("one integer", "3003020101"),
        ("three integers", "3009020101020101020101"),
        ("trailing byte", "300602010102010100"),
        ("trailing byte counted in", "300702010102010100"),
        ("length in long form", "308106020101020101"),
        ("indefinite length", "30800201010201010000"),
        ("padded integer", "300702020001020101"),
        ("negative integer", "3006020181020101"),
        ("empty integer", "30050200020101"),
        ("integer cut short", "300602010102"),
        ("integer without its byte", "30050201010201"),
        ("sequence shorter than its bytes", "3005020101020101"),
        ("sequence longer than its bytes", "3007020101020101"),
        ("integer beyond the end", "3006020101020201"),
        ("a bit string inside", "3006030101020101"),
    ],
)
def test_refused(what: str, der: str) -> None:
    with pytest.raises(MalformedSignature):
        signature_from_der(bytes.fromhex(der))


def test_integer_of_257_bits() -> None:
    with pytest.raises(MalformedSignature):
        signature_from_der(encode_dss_signature(2**256, 1))


@given(st.binary(max_size=80))
def test_any_bytes_give_a_signature_or_a_refusal(data: bytes) -> None:
    try:
        raw = signature_from_der(data)
    except MalformedSignature:
        return
    assert signature_to_der(raw) == data
