"""The light client, a predicate at a time: what breaks which, in which order, with which verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.block import (
    decode_certificate,
    decode_header,
    encode_certificate,
    encode_header,
    header_hash,
)
from chain_core.types.block import Certificate, Header
from crosschain.light_client import (
    MAX_FUTURE_MS,
    NAMES,
    ClientState,
    Verdict,
    is_fork,
    predicates,
    verifier,
    verify_next,
    verify_past,
)
from crosschain.light_client.predicates import Case
from crosschain.light_client.state import Shown
from local_chain.assembly import local_assembly
from tests.unit.crosschain.chains import Chain, local_genesis, validators

Forge = Callable[["Sample"], tuple[bytes, bytes]]


class Sample:
    """A chain of five blocks, and a client that has accepted height 2."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        for _ in range(5):
            chain.block()
        self.start = ClientState.at_genesis(chain.hash, chain.genesis)
        accepted = verify_next(self.start, *chain.certified(2), now_ms=chain.time_ms).shown
        assert accepted is not None
        self.client = self.start.advanced(accepted)
        self.header_bytes, self.certificate_bytes = chain.certified(3)

    @property
    def header(self) -> Header:
        return decode_header(self.header_bytes)

    def verdict(self, header: bytes, certificate: bytes) -> tuple[Verdict, str]:
        finding = verify_next(self.client, header, certificate, now_ms=self.chain.time_ms)
        return finding.verdict, finding.predicate

    def forged(self, signers: list[int] | None = None, **changes: object) -> tuple[bytes, bytes]:
        """Another header, signed by validators as if it were theirs: more than f of them would have to collude."""
        header = encode_header(replace(self.header, **changes))  # type: ignore[arg-type]
        return header, self.chain.certify(header, signers)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    made = Sample(Chain.begin(tmp_path_factory.mktemp("chain"), local_genesis(), local_assembly))
    yield made
    made.chain.store.close()


def test_every_header_above_the_last_is_accepted_gaps_or_not(sample: Sample) -> None:
    for height in (3, 4, 5):
        finding = verify_next(sample.client, *sample.chain.certified(height), now_ms=sample.chain.time_ms)
        assert (finding.verdict, finding.predicate) == (Verdict.OK, "")
        assert finding.shown is not None
        moved = sample.client.advanced(finding.shown)
        assert (moved.height, moved.time_ms) == (height, finding.shown.header.time_ms)
        assert moved.header_hash == header_hash(sample.chain.certified(height)[0])


def test_any_quorum_certifies(sample: Sample) -> None:
    for signers in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]):
        assert sample.verdict(sample.header_bytes, sample.chain.certify(sample.header_bytes, signers))[0] is Verdict.OK


OTHER = bytes(31) + b"\x01"

FORGERIES: dict[str, tuple[str, Forge]] = {
    "a header cut short": ("format", lambda s: (s.header_bytes[:-1], s.certificate_bytes)),
    "a header of another version": ("format", lambda s: (b"\x00\x02" + s.header_bytes[2:], s.certificate_bytes)),
    "no certificate": ("format", lambda s: (s.header_bytes, b"")),
    "trailing bytes": ("format", lambda s: (s.header_bytes, s.certificate_bytes + b"\x00")),
    "another chain's": ("genesis", lambda s: s.forged(genesis_hash=OTHER)),
    "another ledger's": ("ledger", lambda s: s.forged(ledger=1)),
    "the last one again": ("height", lambda s: s.chain.certified(2)),
    "an older one": ("height", lambda s: s.chain.certified(1)),
    "time that stands still": ("time", lambda s: s.forged(height=4, time_ms=s.client.time_ms)),
    "time in the future": ("future", lambda s: s.forged(height=4, time_ms=s.chain.time_ms + MAX_FUTURE_MS + 1)),
    "another history": ("previous", lambda s: s.forged(prev_hash=OTHER)),
    "another validator set": ("validators", lambda s: s.forged(validator_set_hash=OTHER)),
    "another header's certificate": ("certified", lambda s: (s.header_bytes, s.chain.certified(4)[1])),
    "a changed state root": ("certified", lambda s: (s.forged(state_root=OTHER)[0], s.certificate_bytes)),
    "too few votes": ("quorum", lambda s: (s.header_bytes, s.chain.certify(s.header_bytes, [0, 1]))),
    "more votes than the quorum": ("quorum", lambda s: (s.header_bytes, s.chain.certify(s.header_bytes, [0, 1, 2, 3]))),
    "a stranger's vote": ("members", lambda s: (s.header_bytes, renamed(s, 2, 4))),
    "a vote under another's name": ("signatures", lambda s: (s.header_bytes, renamed(s, 2, 3))),
    "a forged vote": ("signatures", lambda s: (s.header_bytes, flipped(s))),
}


def renamed(sample: Sample, signer: int, name: int) -> bytes:
    certificate = decode_certificate(sample.certificate_bytes)
    votes = tuple((name if i == signer else i, signature) for i, signature in certificate.signatures)
    return encode_certificate(Certificate(certificate.header_hash, votes))


def flipped(sample: Sample) -> bytes:
    certificate = decode_certificate(sample.certificate_bytes)
    (first, signature), *others = certificate.signatures
    broken = bytes((signature[0] ^ 1,)) + signature[1:]
    return encode_certificate(Certificate(certificate.header_hash, ((first, broken), *others)))


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_by_the_name_of_what_it_breaks(sample: Sample, name: str) -> None:
    predicate, forge = FORGERIES[name]
    assert sample.verdict(*forge(sample)) == (Verdict.INVALID, predicate)


def test_a_later_epoch_is_not_invalid_but_beyond_this_client(sample: Sample) -> None:
    assert sample.verdict(*sample.forged(epoch=1, height=4)) == (Verdict.NOT_ENOUGH_TRUST, "epoch")
    assert sample.verdict(*sample.forged(epoch=2**64 - 1, height=4)) == (Verdict.NOT_ENOUGH_TRUST, "epoch")


def test_an_earlier_epoch_is_invalid(sample: Sample) -> None:
    later = replace(sample.client, epoch=1)
    finding = verify_next(later, *sample.chain.certified(3), now_ms=sample.chain.time_ms)
    assert (finding.verdict, finding.predicate) == (Verdict.INVALID, "epoch")


def test_signers_out_of_order_fail_as_values_and_have_no_encoding(sample: Sample) -> None:
    certificate = decode_certificate(sample.certificate_bytes)
    turned = Certificate(certificate.header_hash, certificate.signatures[::-1])
    shown = Shown(sample.header_bytes, sample.header, certificate.header_hash, turned)
    assert "not strictly ascending" in predicates.signers(Case(sample.client, shown, sample.chain.time_ms, None))
    doubled = replace(shown, certificate=Certificate(certificate.header_hash, certificate.signatures[:1] * 3))
    assert predicates.signers(Case(sample.client, doubled, sample.chain.time_ms, None)) != ""
    with pytest.raises(ValueError, match="ascending"):
        encode_certificate(turned)


def test_quorum_and_names_follow_the_size_of_the_set(tmp_path: Path) -> None:
    big = Chain.begin(tmp_path, local_genesis(members=validators("beijing", 7)), local_assembly)
    big.block()
    client = ClientState.at_genesis(big.hash, big.genesis)
    header = big.certified(1)[0]
    findings = {n: verify_next(client, header, big.certify(header, range(n)), now_ms=big.time_ms) for n in range(1, 8)}
    assert {n for n, finding in findings.items() if finding.verdict is Verdict.OK} == {5}
    assert {finding.predicate for finding in findings.values()} == {"", "quorum"}
    big.store.close()


def test_the_order_is_the_documented_one() -> None:
    text = (Path(__file__).parents[3] / "docs/spec/light-client.md").read_text("utf-8")
    rows = [
        line.split("|") for line in text.splitlines() if line.startswith("| ") and line.split("|")[1].strip().isdigit()
    ]
    assert tuple(row[2].strip().strip("`") for row in rows) == NAMES


def test_signatures_are_not_looked_at_before_all_else_holds(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attacker cannot make the client verify signatures over what it would refuse anyway."""
    asked: list[object] = []
    monkeypatch.setattr(verifier, "provider", lambda: asked.append(None))
    cheap = [name for name, (predicate, _) in FORGERIES.items() if predicate != "signatures"]
    forged = [FORGERIES[name][1](sample) for name in cheap]
    for header, certificate in forged:
        assert sample.verdict(header, certificate)[0] is Verdict.INVALID
    assert asked == []


def test_any_altered_byte_of_a_header_is_refused(sample: Sample) -> None:
    reasons: dict[str, int] = {}
    raw = sample.header_bytes
    for offset in range(len(raw)):
        altered = raw[:offset] + bytes((raw[offset] ^ 0x01,)) + raw[offset + 1 :]
        verdict, predicate = sample.verdict(altered, sample.certificate_bytes)
        assert verdict is not Verdict.OK, f"offset {offset}"
        reasons[predicate] = reasons.get(predicate, 0) + 1
    # Fields by their width: versions 4, genesis 32, ledger 4, epoch 8, previous and validator set 32 each; the time's
    # upper bytes lead into the future, and what is left only the certificate can tell.
    assert reasons == {
        "format": 4,
        "genesis": 32,
        "ledger": 4,
        "epoch": 8,
        "height": 1,
        "time": reasons["time"],
        "future": reasons["future"],
        "previous": 32,
        "validators": 32,
        "certified": 408 - 4 - 32 - 4 - 8 - 1 - reasons["time"] - reasons["future"] - 64,
    }


def test_any_altered_byte_of_a_certificate_is_refused(sample: Sample) -> None:
    reasons: dict[str, int] = {}
    raw = sample.certificate_bytes
    for offset in range(len(raw)):
        for mask in (0x01, 0x80):
            altered = raw[:offset] + bytes((raw[offset] ^ mask,)) + raw[offset + 1 :]
            verdict, predicate = sample.verdict(sample.header_bytes, altered)
            assert verdict is Verdict.INVALID, f"offset {offset}"
            reasons[predicate] = reasons.get(predicate, 0) + 1
    assert set(reasons) == {"format", "certified", "members", "signatures"}
    assert reasons["certified"] == 2 * 32
    assert reasons["signatures"] >= 2 * 3 * 64


def test_a_past_header_is_final_wherever_it_stands_but_moves_nothing(sample: Sample) -> None:
    client, now = sample.client, sample.chain.time_ms
    for height in (1, 2, 5):
        assert verify_past(client, *sample.chain.certified(height), now_ms=now).verdict is Verdict.OK
    below = header_hash(sample.chain.certified(2)[0])
    assert verify_past(client, *sample.chain.certified(3), now_ms=now, previous_hash=below).verdict is Verdict.OK
    wrong = verify_past(client, *sample.chain.certified(3), now_ms=now, previous_hash=OTHER)
    assert (wrong.verdict, wrong.predicate) == (Verdict.INVALID, "previous")
    few = verify_past(client, sample.header_bytes, sample.chain.certify(sample.header_bytes, [0, 1]), now_ms=now)
    assert few.predicate == "quorum"


def test_height_zero_is_never_certified(sample: Sample) -> None:
    genesis_header = sample.chain.store.header(0)
    assert genesis_header is not None
    certificate = sample.chain.certify(genesis_header)
    for check in (verify_next, verify_past):
        finding = check(sample.start, genesis_header, certificate, now_ms=sample.chain.time_ms)
        assert (finding.verdict, finding.predicate) == (Verdict.INVALID, "height")


def test_two_certified_headers_of_one_height_are_a_fork(sample: Sample) -> None:
    now = sample.chain.time_ms
    first = verify_past(sample.client, *sample.chain.certified(3), now_ms=now)
    second = verify_past(sample.client, *sample.forged(state_root=OTHER), now_ms=now)
    assert is_fork(first, second)
    assert not is_fork(first, first)
    assert not is_fork(first, verify_past(sample.client, *sample.chain.certified(4), now_ms=now))
    unsigned = sample.forged(state_root=OTHER)[0], sample.certificate_bytes
    assert not is_fork(first, verify_past(sample.client, *unsigned, now_ms=now))


def test_a_frozen_client_accepts_nothing(sample: Sample) -> None:
    frozen = replace(sample.client, frozen=True)
    for check in (verify_next, verify_past):
        for header, certificate in (sample.chain.certified(3), (b"", b"")):
            finding = check(frozen, header, certificate, now_ms=sample.chain.time_ms)
            assert (finding.verdict, finding.predicate) == (Verdict.INVALID, "frozen")
