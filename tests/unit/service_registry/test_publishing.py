"""A publisher's folder: written, linted, tried out, published step by step, and a client generated from it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from service_registry import cli
from service_registry.chain import Account
from service_registry.config import KeyPair
from service_registry.definition import encode_definition, read_definition
from service_registry.host import ServiceError
from service_registry.publishing.client_source import class_name, client_source
from service_registry.publishing.files import faults_of, read_definition_file
from service_registry.publishing.handlers import BadHandler, guarded, load_handler
from service_registry.publishing.publish import CannotPublish, publish
from service_registry.publishing.scaffold import FolderRefused, write_folder
from service_registry.records import SERVICES
from service_registry.session import Session
from tests.unit.execution.world import account
from tests.unit.service_registry.house import DEFINITION, REFERENCE, SERVICE, House, private
from tests.unit.service_registry.protos import descriptor_set
from tests.unit.service_registry.stage import HouseChain

ROOT = Path(__file__).parents[3]


def run(*line: str) -> Any:
    return CliRunner().invoke(cli.app, list(line))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path, "price-index", "127.0.0.1:7400")


def change(folder: Path, **changes: object) -> Path:
    path = folder / "definition.json"
    row = {**json.loads(path.read_text("utf-8")), **changes}
    path.write_text(json.dumps({name: value for name, value in row.items() if value is not None}), "utf-8")
    return path


def test_what_is_begun_lints_and_holds(tmp_path: Path) -> None:
    assert run("init-service", "price-index", "--in", str(tmp_path)).exit_code == 0
    for command in ("lint", "test"):
        result = run(command, str(tmp_path / "price-index"))
        assert result.exit_code == 0, result.output
    handler = (tmp_path / "price-index" / "handler.py").read_text("utf-8")
    assert len(handler.splitlines()) == 11
    again = run("init-service", "price-index", "--in", str(tmp_path))
    assert isinstance(again.exception, FolderRefused), "nothing is overwritten"


@pytest.mark.parametrize("name", ["", "Price", "-a", "a/b", "a" * 65, "名"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderRefused):
        write_folder(tmp_path, name, "127.0.0.1:7400")


FAULTS: dict[str, tuple[dict[str, object], list[str]]] = {
    "two fields at once": ({"price_fen": -1, "surplus": 2, "name": None}, ["name", "price_fen", "surplus"]),
    "an address": ({"endpoints": ["here"]}, ["endpoints"]),
    "fields that do not go together": ({"permission": "listed"}, ["markets"]),
    "a keyword outside the subset": (
        {"interface": {"request": {"$ref": "#"}, "response": {"oneOf": []}}},
        ["interface/request, schema/$ref", "interface/response, schema/oneOf"],
    ),
    "examples that do not fit": (
        {"examples": [{"request": {"name": "a"}}, {"request": {"name": 7}}]},
        ["examples/1, name"],
    ),
    "a descriptor that is not there": (
        {"interface": {"kind": "protobuf", "request": "p.M", "response": "p.M", "descriptor_file": "none"}},
        ["definition.json/none"],
    ),
    "a descriptor elsewhere": (
        {"interface": {"kind": "protobuf", "request": "p.M", "response": "p.M", "descriptor_file": "../none"}},
        ["interface/descriptor_file"],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_lint_names_every_fault_with_a_next_step(folder: Path, case: str) -> None:
    changes, places = FAULTS[case]
    faults = faults_of(change(folder, **changes))
    assert [fault.where.replace(str(folder), "definition.json") for fault in faults] == places
    assert all(fault.what and fault.next_step for fault in faults)
    result = run("lint", str(folder), "--json")
    assert result.exit_code == 3 and len(json.loads(result.stdout)["faults"]) == len(places)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":1,"a":2}'])
def test_lint_of_files_that_are_none(folder: Path, text: str) -> None:
    (folder / "definition.json").write_text(text, "utf-8")
    assert len(faults_of(folder / "definition.json")) == 1


def test_lint_says_what_breaks_consumers_of_the_former_definition(folder: Path, tmp_path: Path) -> None:
    former = tmp_path / "former.json"
    former.write_text((folder / "definition.json").read_text("utf-8"), "utf-8")
    assert run("lint", str(folder), "--former", str(former)).exit_code == 0
    interface = json.loads(former.read_text("utf-8"))["interface"]
    interface["request"]["required"].append("language")
    change(folder, interface=interface, examples=[{"request": {"name": "a", "language": "zh"}}])
    interface["request"]["properties"]["language"] = {"type": "string"}
    change(folder, interface=interface)
    result = run("lint", str(folder), "--former", str(former))
    assert result.exit_code == 3
    assert "breaks consumers: request /language: required" in result.output


HANDLERS = {
    "async def answer(request):\n    return {'greeting': 7}\n": "does not fit the interface",
    "async def answer(request):\n    return 1 / 0\n": "the handler failed: ZeroDivisionError",
    "from service_registry.host import ServiceError\nasync def answer(request):\n    raise ServiceError('A', 'b')\n": (
        "refused by the handler: A: b"
    ),
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_that_would_not_pass_the_joint_test(folder: Path, handler: str) -> None:
    (folder / "handler.py").write_text(handler, "utf-8")
    result = run("test", str(folder))
    assert result.exit_code == 3
    assert "FAIL examples/0" in result.output and HANDLERS[handler] in result.output


def test_a_wrong_request_that_is_answered(folder: Path) -> None:
    change(folder, wrong_request={"name": "anybody"})
    result = run("test", str(folder))
    assert result.exit_code == 3 and "FAIL wrong_request: answered" in result.output


@pytest.mark.parametrize("handler", ["def answer(request): pass\n", "x =\n", "import nothing_like_it\n", None])
def test_handlers_that_cannot_be_loaded(folder: Path, handler: str | None) -> None:
    path = folder / "handler.py"
    path.unlink() if handler is None else path.write_text(handler, "utf-8")
    with pytest.raises(BadHandler):
        load_handler(folder)


def test_a_handlers_own_fault_is_a_typed_error() -> None:
    async def broken(request: Any) -> Any:
        return request["nothing"]

    async def broken_later(request: Any) -> AsyncGenerator[Any, None]:
        yield 1
        yield request["nothing"]

    async def both() -> None:
        with pytest.raises(ServiceError, match="INTERNAL"):
            await cast(Any, guarded(broken)({}))
        with pytest.raises(ServiceError, match="INTERNAL"):
            async for _ in cast(Any, guarded(broken_later)({})):
                pass

    asyncio.run(both())


def test_a_handler_may_answer_in_pieces(folder: Path) -> None:
    (folder / "handler.py").write_text("async def answer(request):\n    yield 1\n    yield 2\n", "utf-8")
    interface = json.loads((folder / "definition.json").read_text("utf-8"))["interface"]
    interface["response"] = {"type": "array", "items": {"type": "integer"}}
    change(folder, interface=interface, streaming=True)
    result = run("test", str(folder))
    assert result.exit_code == 0, result.output


# ---- publish


@dataclass
class Acting:
    """The publisher's session on the house."""

    house: House
    market: str = "BJ"

    def __post_init__(self) -> None:
        self.chain = HouseChain(self.house)
        self.actor = SimpleNamespace(account=account("publisher").hex(), assertion_key="publisher.key")

    def assertion_key(self) -> KeyPair:
        return KeyPair.of(private("publisher"))

    async def register(self, service: bytes) -> Any:
        return await Session.register(cast(Any, self), service)

    async def submit(self, method: str, **args: Any) -> Any:
        return await self.chain.submit(Account(account("publisher"), b"", b""), [Operation(SERVICES, method, args)])

    def publish(self, **changes: Any) -> dict[str, Any]:
        return asyncio.run(publish(cast(Any, self), REFERENCE, {**DEFINITION, **changes}))


def test_publish_takes_the_next_step_each_time() -> None:
    house = House.begin().certify("publisher", "consumer", "tester")
    acting = Acting(house)
    first = acting.publish()
    assert (first["service"], first["done"], first["in_test"]) == (SERVICE.hex(), ["draft"], 1)
    assert "joint-test" in first["next"]
    assert acting.publish()["done"] == ["nothing"]
    house.test()
    second = acting.publish()
    assert (second["done"], second["status"], second["in_force"]) == (["register", "online"], "online", 1)
    assert "apply" in second["next"]
    assert acting.publish()["done"] == ["nothing"]
    third = acting.publish(price_fen=7)
    assert (third["done"], third["in_force"], third["in_test"]) == (["change"], 1, 2)
    house.test()
    assert acting.publish(price_fen=7)["done"] == ["register"]
    house.ok("publisher", "offline", service=SERVICE)
    assert acting.publish(price_fen=7)["done"] == ["online"]
    house.ok("publisher", "cancel", service=SERVICE)
    with pytest.raises(CannotPublish):
        acting.publish()


# ---- generated clients

SCHEMA = {
    "type": "object",
    "required": ["code"],
    "properties": {
        "code": {"type": "string"},
        "class": {"enum": ["A", "B", None]},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}}},
        "more": {"anyOf": [{"type": "number"}, {"type": "boolean"}]},
        "any": True,
    },
}


def test_a_generated_client_is_typed(tmp_path: Path, folder: Path) -> None:
    interface = {"request": SCHEMA, "response": SCHEMA}
    change(folder, interface=interface, examples=[{"request": {"code": "x"}}], wrong_request={})
    out = tmp_path / "client.py"
    assert run("generate-client", str(folder), "--out", str(out)).exit_code == 0
    text = out.read_text("utf-8")
    for line in ("'class': NotRequired[Literal['A', 'B', None]],", "'n': NotRequired[int | None],", "'code': str,"):
        assert line in text
    ran = subprocess.run(
        [sys.executable, "-c", "import client; print(client.Client.call.__annotations__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == "{'request': 'Request', 'return': 'Response'}", ran.stderr


def test_a_client_of_protobuf_messages(tmp_path: Path, folder: Path) -> None:
    enums = {"Kind": ("NONE", "ROLL")}
    message = {
        "id": (1, "int64"),
        "kind": (2, "Kind"),
        "part": (3, "M"),
        "tags": (4, "repeated string"),
        "n": (5, "int32"),
    }
    (folder / "service.binpb").write_bytes(descriptor_set({"M": message}, enums))
    interface = {"kind": "protobuf", "request": "p.M", "response": "p.M", "descriptor_file": "service.binpb"}
    path = change(folder, interface=interface, examples=[{"request": {"id": 7}}], wrong_request="/w==")
    row = read_definition_file(path)
    assert row["examples"] == [{"request": base64.b64encode(b"\x08\x07").decode()}]
    text = client_source(read_definition(encode_definition(row)), "ab" * 16)
    compile(text, "client.py", "exec")
    for line in (
        "'id': NotRequired[str],",
        "'part': NotRequired['RequestMessage'],",
        "'tags': NotRequired[list[str]],",
    ):
        assert line in text
    assert "Literal['NONE', 'ROLL']" in text and f"service: str = '{'ab' * 16}'" in text


def test_a_request_that_is_no_message(folder: Path) -> None:
    (folder / "service.binpb").write_bytes(descriptor_set({"M": {"id": (1, "int64")}}))
    interface = {"kind": "protobuf", "request": "p.M", "response": "p.M", "descriptor_file": "service.binpb"}
    (fault,) = faults_of(change(folder, interface=interface, examples=[{"request": {"x": 7}}], wrong_request="/w=="))
    assert "not a p.M" in fault.what


def test_class_names() -> None:
    assert [class_name(text) for text in ("price-index", "类", "7", "none", "None")] == [
        "PriceIndex",
        "Field",
        "Field7",
        "FieldNone",
        "FieldNone",
    ]


def test_a_service_id_needs_a_config(tmp_path: Path) -> None:
    result = run("generate-client", "ab" * 16, "--out", str(tmp_path / "client.py"))
    assert isinstance(result.exception, DualchainError) and "--config" in str(result.exception)
