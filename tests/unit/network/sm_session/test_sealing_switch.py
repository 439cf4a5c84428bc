"""The benchmark's plain records: a forgery to everybody else, and refused anywhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import sealing_switch
from benchmarks.market_load import lay_out
from benchmarks.sealing_switch import PLAIN, PLAIN_TAG, SEALED, OnlyABenchmark, SwitchedKey, require_benchmark
from chain_core.network.sm_session import records
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.node.config import load_config
from chain_core.types.errors import LocalFault
from tests.unit.network.sm_session.support import sessions

METHOD = "/test.Service/One"


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> sealing_switch.Switch:
    fresh = sealing_switch.Switch()
    monkeypatch.setattr(sealing_switch, "SWITCH", fresh)
    monkeypatch.setattr(records, "Sm4GcmKey", SwitchedKey)
    return fresh


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("benchmark") / "network"
    lay_out(directory, 4)
    return directory


def test_modes_may_change_between_any_two_records(switch: sealing_switch.Switch) -> None:
    ours, theirs = sessions()
    sizes = {}
    for mode in (SEALED, PLAIN, PLAIN, SEALED):
        switch.mode = mode
        call = ours.begin(METHOD)
        record = call.seal(b"a transfer", last=True)
        assert (b"a transfer" in record) is (mode is PLAIN)
        sizes[mode] = len(record)
        answering, payload = theirs.accept(METHOD, record)
        assert payload == b"a transfer"
        assert call.open(answering.seal(b"final", last=True)) == b"final"
    assert sizes[SEALED] == sizes[PLAIN], "the frames are the same"
    expected = {"records_out": 4, "bytes_out": 2 * 15, "records_in": 4, "bytes_in": 2 * 15}
    figures = switch.figures()
    spent = {mode: figures[mode].pop("cpu_ns") for mode in figures}
    assert figures == {SEALED: expected, PLAIN: expected}
    assert spent[SEALED] > 0 == spent[PLAIN], "only what is sealed costs"


def test_an_ordinary_session_ends_at_a_plain_record() -> None:
    ours, theirs = sessions()
    record = ours.begin(METHOD).seal(b"a transfer", last=True)
    plain = record[: records.HEADER_SIZE] + b"a transfer" + PLAIN_TAG
    assert len(plain) == len(record)
    with pytest.raises(SessionRefused) as refused:
        theirs.accept(METHOD, plain)
    assert refused.value.reason is Reason.BAD_RECORD and theirs.ended is not None


def test_no_module_of_ours_outside_of_benchmarks_knows_it() -> None:
    assert records.Sm4GcmKey.__module__ == "chain_core.crypto.sm4_gcm"  # type: ignore[attr-defined]


def test_only_a_marked_network_on_loopback_runs(network: Path) -> None:
    folder = network / "node-0"
    config = load_config(folder / "node.toml")
    (network / sealing_switch.MARK).unlink(missing_ok=True)
    with pytest.raises(OnlyABenchmark):
        require_benchmark(config, folder)
    (network / sealing_switch.MARK).write_text("00" * 32, "ascii")
    with pytest.raises(OnlyABenchmark):
        require_benchmark(config, folder)
    sealing_switch.mark(network)
    require_benchmark(config, folder)
    listen = config.listen.model_copy(update={"client_security": "sm", "peer": "192.0.2.7:4000"})
    with pytest.raises(LocalFault, match="loopback"):
        require_benchmark(config.model_copy(update={"listen": listen}), folder)
    peers = {**config.peers, next(iter(config.peers)): "192.0.2.7:4000"}
    with pytest.raises(LocalFault, match="loopback"):
        require_benchmark(config.model_copy(update={"peers": peers}), folder)


def test_the_command_refuses_an_ordinary_node(network: Path) -> None:
    (network / sealing_switch.MARK).unlink(missing_ok=True)
    command = [sys.executable, "-m", "dualchain", "node", "run", "--config", str(network / "node-0" / "node.toml")]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.sealing_switch", *command], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1 and "ONLY_A_BENCHMARK" in ended.stderr and "dualchain node run" in ended.stderr
    assert not (network / "node-0" / "data").exists()
