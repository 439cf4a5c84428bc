"""Configuration files are read whole and refused with file and key; definitions may hold JSON or text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.node.config import ConfigRefused
from chain_core.types.errors import DualchainError, MalformedBytes
from service_registry import cli, lookup_cli, schemas
from service_registry.config import GatewayConfig, LookupConfig, UserConfig, load
from service_registry.definition import USUAL, encode_definition, read_definition
from service_registry.publishing.files import read_definition_file
from tests.unit.service_registry.house import DEFINITION

CHAIN = 'genesis = "g.bin"\nnodes = ["127.0.0.1:7101"]\n'
LISTEN = 'listen = "127.0.0.1:0"\nsecurity = "plaintext"\n'
GATEWAY = f'[supervisory]\n{CHAIN}[gateway]\n{LISTEN}account = "{"0a" * 16}"\nkey = "k"\n'
LOOKUP = (
    f'[supervisory]\n{CHAIN}[market]\n{CHAIN}[publisher]\n{LISTEN}account = "{"0a" * 16}"\n'
    'reference = "r"\nassertion_key = "k"\n'
)
USER = f'[supervisory]\n{CHAIN}[actor]\naccount = "{"0a" * 16}"\nkey = "k"\n'


def test_complete_files(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    for kind, text in ((GatewayConfig, GATEWAY), (LookupConfig, LOOKUP), (UserConfig, USER)):
        file.write_text(text)
        loaded = load(kind, file)  # type: ignore[type-var]
        assert loaded.path("x") == tmp_path / "x"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GATEWAY.replace("127.0.0.1:0", "0.0.0.0:1"), "key gateway"),
        (GATEWAY.replace('security = "plaintext"\n', ""), "SM sessions need supervisory.credentials"),
        (GATEWAY.replace("plaintext", "none"), "gateway.security"),
        (GATEWAY.replace("127.0.0.1:7101", "example.org:1"), "supervisory.nodes"),
        (GATEWAY.replace("0a", "0A"), "gateway.account"),
        (GATEWAY + "surplus = 1\n", "gateway.surplus"),
        (GATEWAY + 'directory = "/"\n', "gateway.directory"),
        ('directory = "/"\n' + GATEWAY, "directory"),
        (GATEWAY.replace('key = "k"\n', ""), "gateway.key"),
        (GATEWAY + 'store = "s"\n', "store and assertion_key go together"),
        (GATEWAY + 'assertion_key = "a"\n', "store and assertion_key go together"),
        (GATEWAY + "[log]\nlevel = 1\n", "log.level"),
        ("not toml", "not TOML"),
        ("", "supervisory"),
    ],
)
def test_refusals_name_the_key(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(ConfigRefused) as told:
        load(GatewayConfig, file)
    assert key in str(told.value) and str(file) in str(told.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused):
        load(UserConfig, tmp_path / "none.toml")


def written(tmp_path: Path, row: Any) -> Path:
    file = tmp_path / "definition.json"
    file.write_text(row if isinstance(row, str) else json.dumps(row))
    return file


def test_a_definition_with_schemas_as_json(tmp_path: Path) -> None:
    row: dict[str, Any] = json.loads(json.dumps(DEFINITION))
    assert read_definition_file(written(tmp_path, row)) == DEFINITION
    row["interface"] = {side: json.loads(row["interface"][side]) for side in ("request", "response")}
    row["examples"] = [{"request": {"question": 1}}]
    row["wrong_request"] = {"question": "what"}
    found = read_definition_file(written(tmp_path, row))
    assert found["examples"] == [{"request": '{"question": 1}'}]
    assert json.loads(str(found["wrong_request"])) == row["wrong_request"]


@pytest.mark.parametrize(
    "row",
    [
        "[]",
        "{",
        "{}",
        {**DEFINITION, "surplus": 1},
        {**DEFINITION, "examples": ["x"]},
        {**DEFINITION, "interface": None},
        {**DEFINITION, "price_fen": 1.5},
    ],
)
def test_definitions_that_are_none(tmp_path: Path, row: Any) -> None:
    with pytest.raises(MalformedBytes):
        read_definition_file(written(tmp_path, row))


def test_what_is_usual_may_be_left_out(tmp_path: Path) -> None:
    row = {name: value for name, value in DEFINITION.items() if name not in USUAL}
    found = read_definition_file(written(tmp_path, row))
    assert found == {**row, **USUAL}
    assert read_definition(encode_definition(found)).deadline_ms == 5_000


def test_a_definition_with_a_schema_outside_the_subset(tmp_path: Path) -> None:
    row = {**DEFINITION, "interface": {"request": {"$ref": "#"}, "response": {}}}
    with pytest.raises(schemas.BadSchema):
        read_definition_file(written(tmp_path, row))


def test_the_printed_definition_is_one(tmp_path: Path) -> None:
    line = ["definition", "--endpoint", "127.0.0.1:7310", "--security", "ab" * 16, "--price-fen", "5"]
    printed = CliRunner().invoke(lookup_cli.app, line)
    assert printed.exit_code == 0
    assert read_definition_file(written(tmp_path, printed.stdout))["price_fen"] == 5


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["show", "zz"], "MALFORMED"),
        (["confirm", "00" * 16, "--consumer", "1"], "MALFORMED"),
        (["list"], "CONFIG_REFUSED"),
        (["certificate", "--file", "missing.pem"], "MALFORMED"),
    ],
)
def test_commands_refuse_with_a_next_step(tmp_path: Path, line: list[str], told: str) -> None:
    result = CliRunner().invoke(cli.app, [*line, "--config", str(tmp_path / "none.toml")])
    assert isinstance(result.exception, DualchainError)
    assert result.exception.code == told and result.exception.next_step
