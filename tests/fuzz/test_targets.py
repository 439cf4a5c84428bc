"""Every fuzz target in CI: golden samples, kept corpus, former finds, mutations, and inputs made to hurt a parser."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain_core.codec.values import encode_value
from chain_core.codec.wire import U64
from chain_core.types.errors import MalformedBytes
from tests.fuzz import campaign, stored
from tests.fuzz.__main__ import main
from tests.fuzz.target import Find, Target, from_file, joined, judge, split
from tests.fuzz.targets import HARNESSES, TARGETS, harness

SEEDS = {name: list(target.seeds()) for name, target in TARGETS.items()}
KEPT: dict[str, list[bytes]] = {name: [*SEEDS[name]] for name in TARGETS}
for place in [*(stored.corpus(name) for name in HARNESSES), stored.cases()]:
    for target_name, kept in place:
        KEPT[target_name].append(kept)

NESTED = 3_000
HOSTILE = (
    b"a = " + b"[" * NESTED,
    b"a = " + b"9" * 5_000,
    b"a = " + b"{ b = " * NESTED,
    b"[" * NESTED,
    b'{"a":' * NESTED,
    b'{"a":' + b"9" * 5_000 + b"}",
    b'"' + b"x" * 140_000,
    b'"\\ud800"',
    b"1e999",
    b"\xff" * 100,
    b"\0" * 100,
    b"\x07\x00\x00\x00\x01" * 200,
    b"\x30\x80" * 100,
    b"\x30\x84\x7f\xff\xff\xff",
    "²,³;Ⅷ\u2028\x85".encode(),
    b"",
)


def must(find: Find | None) -> None:
    assert find is None, f"{find.kind}: {find.text} at {find.place}\n{find.reproducer}"


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    for data in KEPT[name]:
        must(judge(TARGETS[name], data))


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_inputs(name: str) -> None:
    for data in HOSTILE:
        must(judge(TARGETS[name], data))


@st.composite
def mutated(draw: st.DrawFn, raw: bytes, words: tuple[bytes, ...]) -> bytes:
    """A sample with some pieces overwritten, cut out, doubled, or words of its language put in."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(len(raw), start + 24)))
        pieces = [st.just(b""), st.just(raw[start:end] * 2), st.binary(max_size=6), st.just(b"\xff\xff\xff\xff")]
        pieces += [st.sampled_from(words)] if words else []
        raw = raw[:start] + draw(st.one_of(pieces)) + raw[end:]
    return raw


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_mutations(name: str, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(SEEDS[name]))
    must(judge(TARGETS[name], data.draw(mutated(raw, TARGETS[name].words))))


def test_json_as_deep_as_the_interpreter_just_reads() -> None:
    """Reading and writing again reach the limit at different depths."""
    for depth in range(850, 1_010):
        must(judge(TARGETS["audit-record"], b'{"n":0,"x":' + b"[" * depth + b"]" * depth + b"}"))


def test_text_that_no_utf8_has() -> None:
    (good, _) = SEEDS["definition-file"]
    must(judge(TARGETS["definition-file"], good.replace(b'"service"', b'"\\ud800"')))


# ---- the judge, the harnesses, what is kept


def small(decode: object, **more: object) -> Target:
    return Target("small", decode, list, **more)  # type: ignore[arg-type]


def refuse(data: bytes) -> bytes:
    raise MalformedBytes("no")


def test_the_judge() -> None:
    assert judge(small(refuse), b"x") is None
    assert judge(small(bytes.hex, rewrite=bytes.fromhex), b"x") is None
    untyped = judge(small(lambda data: data[9]), b"x")
    assert untyped is not None and untyped.kind == "IndexError" and "--target small --input 78" in untyped.reproducer
    second = judge(small(bytes.strip, rewrite=bytes), b" x")
    assert second is not None and second.kind == "second encoding"

    def nothing_said(data: bytes) -> None:
        raise MalformedBytes("")

    unsaid = judge(small(nothing_said), b"x")
    assert unsaid is not None and unsaid.text == "it says nothing"


def test_a_find_names_the_project_s_own_frame() -> None:
    found = judge(small(lambda data: U64.pack(len(data))[9]), b"x")
    assert found is not None and found.place == ""
    found = judge(small(lambda data: encode_value({"a": data[0] / 2})), b"x")
    assert found is not None and found.place.startswith("chain_core/codec/values.py:")
    assert judge(small(from_file(lambda path: path.read_bytes(), "judged"), rewrite=bytes), b"x") is None


def test_inputs_that_have_parts() -> None:
    assert split(joined(b"a", b"", b"rest"), 3) == [b"a", b"", b"rest"]
    assert split(b"\xff", 3) == [b"", b"", b""]


def test_every_target_has_its_byte() -> None:
    for one in HARNESSES.values():
        assert 0 < len(one.targets) < 256
        for target in one.targets:
            assert one.pick(one.wrap(target, b"rest")) == (target, b"rest")
            assert all(len(seed) <= one.max_len for seed in SEEDS[target.name])
    assert sum(len(one.targets) for one in HARNESSES.values()) == len(TARGETS)
    assert harness("header").targets == (TARGETS["header"],)
    with pytest.raises(LookupError):
        harness("nothing")


def test_the_corpus_is_small_and_known() -> None:
    files = list(stored.CORPUS.glob("*.txt"))
    assert {path.stem for path in files} <= HARNESSES.keys()
    assert sum(path.stat().st_size for path in files) <= stored.MAX_CORPUS_BYTES
    assert stored.MAX_HARNESS_BYTES * len(HARNESSES) <= stored.MAX_CORPUS_BYTES
    assert {name for name, _ in stored.cases()} <= TARGETS.keys()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stored, "CORPUS", tmp_path)
    monkeypatch.setattr(stored, "CASES", tmp_path / "cases.txt")


@pytest.mark.usefixtures("places")
def test_what_is_kept_comes_back() -> None:
    assert stored.corpus("peers") == [] and stored.cases() == []
    assert stored.write_corpus("peers", [("a", b"1" * 20_000), ("a", b"12"), ("b", b"1"), ("b", b"")]) == 2
    assert stored.corpus("peers") == [("a", b"12"), ("b", b"1")]
    for _ in range(2):
        stored.add_case("a", b"\x00\x01", "IndexError\nsomewhere")
    assert stored.cases() == [("a", b"\x00\x01")]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--target", "header", "--input", "00"], 0, "a value or a typed refusal"),
        (["--target", "header", "--input", "-"], 0, "a value or a typed refusal"),
        (["--target", "header", "--input", "xy"], 2, "not hexadecimal"),
        (["--target", "heading", "--input", "00"], 2, "no target heading"),
        (["--input", "00"], 2, "--input needs one --target"),
    ],
)
def test_the_command(
    arguments: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
    assert main() == code
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_without_atheris_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz"])
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert main() == 2
    assert "atheris is not installed" in capsys.readouterr().err


def test_a_find_is_cut_down_to_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "small", small(lambda data: 1 // (b"needle" not in data)))
    found = judge(TARGETS["small"], b"h" * 300 + b"needle" + b"y" * 300)
    assert found is not None and campaign.smaller(found).data == b"needle"


def test_growth_and_death_are_no_good_runs() -> None:
    row = campaign.Row("peers", 3, 1.0, 1, 1, 1, 1, 100 << 20, 164 << 20, ())
    assert row.good and not replace(row, rss_end=(164 << 20) + 1).good
    assert not replace(row, died="exit -9").good
    assert not replace(row, finds=(Find("t", "k", "p", "text", b"x"),)).good
