"""Files that people and other programs write: configurations, tables, audit records, recordings, evidence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from chain_core.codec.block import encode_certificate
from chain_core.codec.proofs import encode_inclusion, encode_state_proof
from chain_core.consensus import inputs
from chain_core.consensus.state import RecoveredLog, ReplicaConfig, initial_state
from chain_core.crypto.passphrase import parse_source
from chain_core.network.ingress import recorded
from chain_core.node import audit_format, recorder, recording_codec
from chain_core.node.archive import Archive
from chain_core.node.command import identifier, read_plans
from chain_core.node.config import load_config, read_genesis
from chain_core.node.replay import replay
from chain_core.node.signer.config import load_signer_config
from chain_core.types.block import Phase
from crosschain.relayer.config import load_config as load_relayer
from dualchain.demo import evidence
from dualchain.demo.inputs import FILES, read_calendar, read_market_day
from local_chain.cli import read_calendar as read_market_calendar
from local_chain.data.config import load as load_data
from service_registry.config import GatewayConfig, LookupConfig, UserConfig, load
from tests.fuzz.target import ROOT, Target, from_file, joined, scratch, split
from tests.fuzz.targets_ledger import samples
from tests.unit.consensus import bench
from tests.unit.local_chain.data.test_config import CHAIN, CUSTODIAN, VAULT
from tests.unit.node.test_config import GOOD
from tests.unit.service_registry.test_config import GATEWAY, LOOKUP, USER

_DAY = ROOT / "examples/market-day"
_TOML_WORDS = (b"[[", b"]]", b"'''", b'"""', b"inf", b"nan", b"0x", b"1979-05-27T07:32:00Z", b" = ", b"{", b"}")
_PARTY = 'genesis = "g.bin"\nnodes = ["127.0.0.1:71%d"]\naccount = "{}"\nkey = "k"\n'.replace("{}", "0a" * 16)
_RELAYER = f"[supervisory]\n{_PARTY % 1}[local]\n{_PARTY % 2}[relay]\npoll_ms = 500\n"
_SIGNER = (
    '[signer]\ngenesis = "genesis.bin"\nkeys = ["consensus.key"]\nrecord_dir = "record"\nsocket = "s"\nuids = [0]\n'
)


def _toml(name: str, read: Callable[[Path], Any], *texts: str) -> Target:
    words = (*_TOML_WORDS, *(line.encode() for text in texts for line in text.splitlines()[:12]))
    return Target(name, from_file(read, "c.toml"), lambda: [text.encode() for text in texts], words=words)


def _configs() -> Iterator[Target]:
    yield _toml("config-node", load_config, GOOD, GOOD.replace("[listen]\n", '[listen]\nclient_security = "sm"\n'))
    yield _toml("config-relayer", load_relayer, _RELAYER)
    yield _toml("config-gateway", lambda path: load(GatewayConfig, path), GATEWAY)
    yield _toml("config-lookup", lambda path: load(LookupConfig, path), LOOKUP)
    yield _toml("config-registry-user", lambda path: load(UserConfig, path), USER)
    yield _toml("config-signer", load_signer_config, _SIGNER)
    yield _toml("config-data", load_data, CHAIN + CUSTODIAN + VAULT)


# ---- the demonstration's tables


@cache
def _day(file: str) -> Path:
    """A folder with good tables, of which one is replaced."""
    folder = scratch() / f"day-{file}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(_short(name))
    return folder


@cache
def _short(name: str) -> bytes:
    """The example's rows of its first few transfers: they fit together."""
    rows = {file: (_DAY / file).read_text("utf-8").splitlines() for file in FILES}
    orders = [line.split(",") for line in rows["orders.csv"][1:]]
    chosen = [next(row for row in orders if row[1] == market) for market in ("BJ", "JS")]
    names = {name for row in chosen for name in row[3:5]}
    names |= {line.split(",")[2] for line in rows["directives.csv"][1:]}
    kept = {
        "orders.csv": lambda cells: cells in chosen,
        "roll.csv": lambda cells: cells[3] in names,
        "investors.csv": lambda cells: cells[1] in names,
        "cash.csv": lambda cells: cells[1] in names,
    }.get(name, lambda _: True)
    lines = [line for line in rows[name][1:] if kept(line.split(","))]
    return "\n".join([rows[name][0], *lines, ""]).encode()


def _table(name: str) -> Target:
    def decode(data: bytes) -> Any:
        folder = _day(name)
        (folder / name).write_bytes(data)
        return read_calendar(folder) if name == "calendar.csv" else read_market_day(folder, [20_700])

    words = (b"BJ", b"JS", b"T-3", b"T+1", b"\n", b",", b'"', b"2026-11-20")
    return Target(f"table-{name.removesuffix('.csv')}", decode, lambda: [_short(name)], words=words)


# ---- audit records and recordings


def _audit(path: Path) -> Any:
    reading = audit_format.Reading()
    lines = list(audit_format.follow(path, reading, audit_format.READS))
    return reading, lines


def _audit_line(data: bytes) -> Any:
    """One line with the chain that fits: whoever writes a record computes it."""
    text = data.decode("utf-8", "replace").encode("ascii", "replace").decode("ascii")
    chain = audit_format.link(audit_format.START, text)
    path = scratch() / "reads-0000000000.log"
    path.write_text(f"{chain} {text}\n", "ascii")
    return _audit(path)


def _audit_rows() -> list[bytes]:
    row = {"after": audit_format.START, "n": 0, "segment": 0, "series": audit_format.READS, "what": audit_format.BEGIN}
    return [audit_format.encode(row).encode()]


def _audit_seeds() -> list[bytes]:
    text = _audit_rows()[0].decode()
    return [f"{audit_format.link(audit_format.START, text)} {text}\n".encode()]


def _recorded() -> list[bytes]:
    s = samples()
    vote = s.vote(Phase.COMMIT, 3)
    values = (
        inputs.MessageReceived(recorded(vote)),
        inputs.WorkAvailable(),
        s.header,
        s.batch,
        [None, True, {1: (b"x", "text", -7)}, {3, 4}, Phase.COMMIT],
    )
    return [recording_codec.encode(value) for value in values]


def _state() -> bytes:
    """A core's state as a recording begins with it."""
    config = ReplicaConfig(bench.validators(4), 0, 0, 0, bench.GENESIS_HASH, bench.PARAMETERS)
    return recording_codec.encode(initial_state(config, RecoveredLog(bench.GENESIS_HEADER, None)))


def _recording(data: bytes) -> Any:
    """A segment of this release: its records behind magic and table."""
    folder = scratch() / "recording"
    folder.mkdir(exist_ok=True)
    table = recording_codec.TABLE.encode()
    (folder / "0000000000.rec").write_bytes(
        recorder.MAGIC + recorder.HEAD.pack(b"T", len(table)) + table + data,
    )
    return replay(folder)


def _segments() -> list[bytes]:
    def record(kind: bytes, payload: bytes) -> bytes:
        return recorder.HEAD.pack(kind, len(payload)) + payload

    step = recorder.STEP_HEAD.pack(bench.NOW_MS, bytes(16)) + recording_codec.encode(inputs.WorkAvailable())
    state = record(recorder.CHECKPOINT, _state())
    driven = record(recorder.DRIVEN, recording_codec.encode((None, False, False)))
    return [state + record(recorder.STEP, step) + record(recorder.STATE, bytes(16)), state + driven, state]


# ---- evidence, archives, command lines


def _evidence(data: bytes) -> Any:
    """Lines of each kind of evidence about one chain; the manifest around them proves only who wrote it."""
    folder = scratch() / "evidence"
    (folder / "genesis").mkdir(parents=True, exist_ok=True)
    (folder / "genesis" / "BJ.bin").write_bytes(samples().genesis_bytes)
    for name, part in zip(("headers", "receipts", "state", "packets"), split(data, 4), strict=True):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "BJ.jsonl").write_bytes(part)
    with evidence.readable("fuzz"):
        return evidence.load(folder)


def _evidence_seeds() -> list[bytes]:
    s = samples()
    key = next(iter(s.state.values))
    header = {"height": 1, "header": s.header_bytes.hex(), "certificate": encode_certificate(s.certificate).hex()}
    proof = encode_inclusion(s.inclusion(s.outbox, 0)).hex()
    state = {"name": "n", "height": 1, "key": key.hex(), "value": s.state.values[key].hex()}
    state["proof"] = encode_state_proof(s.state.prove(key)).hex()
    packet = {"height": 1, "packet": s.outbox[0].hex(), "proof": proof}
    return [joined(*(json.dumps(row).encode() if row else b"" for row in (header, {}, state, packet)))]


def _archive_folder(data: bytes) -> Any:
    folder = scratch() / "archive"
    folder.mkdir(exist_ok=True)
    (folder / "archive.json").write_bytes(data)
    return Archive(folder, samples().genesis_bytes)._manifest()


def _text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(data.decode("utf-8", "replace"))


def targets() -> Iterator[Target]:
    """The rows of this part."""
    yield from _configs()
    for file in FILES:
        yield _table(file)
    yield Target(
        "table-market-calendar",
        from_file(read_market_calendar, "days.csv"),
        lambda: [b"date,kind\n2026-10-01,holiday\n2026-10-10,workday\n2026-10-02,opened\n"],
        words=(b"\n", b'"', b",opened", b"2026-W40-1"),
    )
    yield Target("audit-file", from_file(_audit, "reads-0000000000.log"), _audit_seeds)
    yield Target("audit-record", _audit_line, _audit_rows, words=(b"NaN", b"1e999", b"{}", b"[[[["))
    yield Target("recording-value", recording_codec.decode, _recorded)
    yield Target("recording-segment", _recording, _segments, max_len=8_192)
    yield Target("genesis-file", from_file(read_genesis), lambda: [samples().genesis_bytes], max_len=16_384)
    yield Target("evidence-lines", _evidence, _evidence_seeds, max_len=8_192)
    yield Target("archive-manifest", _archive_folder, lambda: [b'{"format":1,"files":[]}'])
    yield Target("passphrase-source", _text(parse_source), lambda: [b"prompt", b"file:a", b"fd:3"], max_len=100)
    yield Target("identifier", _text(lambda text: identifier(text, "ID")), lambda: [b"0a" * 16], max_len=100)
    yield Target(
        "node-plan", _text(_plans), lambda: [";".join(f"n{i},entity,127.0.0.1,{i}0,{i}1" for i in range(1, 5)).encode()]
    )


def _plans(text: str) -> Any:
    return read_plans(text.split(";"))
