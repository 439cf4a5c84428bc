"""What chains, markets, publishers and owners of data hand to each other: payloads, definitions, lists, descriptors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from chain_core.codec.genesis import encode_genesis
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Refused
from chain_core.types.errors import DualchainError
from chain_core.types.values import Value
from contracts.data import records as data
from contracts.kernel import records as kernel
from contracts.kernel.lots import decode_lots, encode_lots
from contracts.kernel.orders import decode_order, encode_order
from contracts.kernel.roll import decode_chunk, decode_head, encode_head
from crosschain.complete_lists import decode_list
from crosschain.packets import read_acknowledgement, read_directive, read_report
from service_registry import bodies, definition, schemas
from service_registry import records as registry
from service_registry.messages import message_type, read_message
from service_registry.offers import Offer, decode_offer, encode_offer
from service_registry.publishing.files import read_definition_file
from service_registry.source_marks import FORMAT, MARK_FIELDS, read_mark
from service_registry.trust import decode_authorities
from supervisory_chain.registration import check_endpoints, read_document
from tests.fuzz.target import Target, from_file, joined, split
from tests.fuzz.targets_ledger import samples
from tests.unit.service_registry.house import DEFINITION
from tests.unit.service_registry.protos import descriptor_set
from tests.vectors.samples import OPERATOR, TIME_MS, local_genesis

_WORDS = (b'"type"', b'"properties"', b'"pattern"', b'"enum"', b'"anyOf"', b'"items"', b'"^[a-z]{1,9}$"', b"1e999")


def _payload(value: Any) -> Callable[[], list[bytes]]:
    return lambda: [encode_value(value.payload())]


def _directives() -> list[bytes]:
    row: dict[str, Value] = {"account": OPERATOR, "deadline_ms": TIME_MS, "reference": "函〔2026〕1号"}
    return [encode_value(row), encode_value(row | {"lifts": 3})]


def _acknowledgements() -> list[bytes]:
    return [encode_value({"sequence": 1, "packet": bytes(32), "code": 0})]


def _reports() -> list[bytes]:
    return [samples().packet.payload]


# ---- service registry


def _calls() -> list[bytes]:
    return [bodies.encode_call(bodies.Call(OPERATOR, 1, OPERATOR, 1, TIME_MS, bytes(32)))]


def _replies() -> list[bytes]:
    return [bodies.encode_reply(bodies.Reply(bytes(32), 0, bytes(32), TIME_MS))]


def _promises() -> list[bytes]:
    return [bodies.encode_promise(bodies.Promise(OPERATOR, bytes(32), OPERATOR, OPERATOR, 1, TIME_MS))]


def _access_records() -> list[bytes]:
    rows = [
        bodies.AccessRecord(_calls()[0], bytes(64), *tail) for tail in ((b"", b"", 3), (_replies()[0], bytes(64), 0))
    ]
    return [encode_value(bodies.record_row(row)) for row in rows]


def _tests() -> list[bytes]:
    trial = bodies.Trial(bytes(32), bytes(32), 0)
    report = bodies.Report(
        OPERATOR,
        1,
        bytes(32),
        OPERATOR,
        (trial,),
        trial,
        ("schema",),
        ("none",),
        ("break",),
        bytes(32),
        bodies.PASS,
        TIME_MS,
    )
    return [bodies.encode_report(report)]


def _definition_texts() -> list[bytes]:
    readable = DEFINITION | {"interface": {"request": {"type": "object"}, "response": True}}
    return [json.dumps(row, ensure_ascii=False).encode() for row in (DEFINITION, readable)]


MESSAGES = descriptor_set({"M": {"id": (1, "int64"), "part": (2, "M"), "kind": (3, "Kind")}}, {"Kind": ("NONE", "A")})


def _message(data: bytes) -> Any:
    return read_message(message_type(MESSAGES, "p.M"), data)


def _marks() -> list[bytes]:
    row = {"format": FORMAT, "path": ["AAAA"], **dict.fromkeys(MARK_FIELDS, "AAAA")}
    return [json.dumps(row).encode()]


def _authorities() -> list[bytes]:
    return [encode_value({"certificates": [b"der"], "version": 1, "height": 7})]


def _schema(data: bytes) -> Any:
    """A publisher's schema against a consumer's JSON: both are strangers to the gateway."""
    schema, value = split(data, 2)
    try:
        text = schema.decode("utf-8")
    except UnicodeDecodeError:
        return None  # a schema is text of a definition, decoded long before
    return schemas.check(text, schemas.read_json(value))


def _schema_seeds() -> list[bytes]:
    rows: list[tuple[object, object]] = [
        ({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 1}}}, {"a": 1}),
        ({"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,9}$"}, "maxItems": 3}, ["abc"]),
        ({"anyOf": [{"const": 1}, {"enum": ["x", None]}]}, None),
        ({"type": "string", "minLength": 1, "maxLength": 4, "title": "t"}, "市场"),
    ]
    return [joined(json.dumps(schema).encode(), json.dumps(value).encode()) for schema, value in rows]


def _endpoint(data: bytes) -> Any:
    return definition.bad_endpoint([data.decode("utf-8", "replace")])


# ---- registration of chains


def _document(raw: bytes) -> Any:
    return read_document(raw, samples().above)


def _endpoints(raw: bytes) -> Any:
    address, node = (part.decode("utf-8", "replace") for part in split(raw, 2))
    rows: list[dict[str, Value]] = [{"node": node, "address": address}, {"node": "node-1", "address": "h:2"}]
    return check_endpoints(rows, frozenset(("node-0", "node-1")))


# ---- records that a client reads under a proof


def _record(module: Any, kind: type[Any]) -> Callable[[bytes], Any]:
    return lambda raw: module.decode(kind, raw)


def _kept(module: Any, *rows: Any) -> Iterator[Target]:
    part = "data" if module is data else "service"
    for row in rows:
        kind = type(row)
        seeds = [module.encode(row)]
        yield Target(f"{part}-{kind.__name__.lower()}", _record(module, kind), lambda seeds=seeds: seeds, module.encode)


def _data_records() -> Iterator[Target]:
    yield from _kept(
        data,
        data.Descriptor("private", "identity", OPERATOR, "active", 1, 8, bytes(32), b"s", ((OPERATOR, bytes(64)),)),
        data.Grant(TIME_MS, "owner", bytes(64), (b"wrap",)),
        data.OwnWrap(bytes(64), b"wrap"),
        data.AccessLog(1, 1, TIME_MS, 3, "audit", bytes(64)),
        data.Deletion(OPERATOR, "order", TIME_MS, 3, OPERATOR),
    )
    yield Target("data-readers", data.decode_readers, lambda: [encode_value([OPERATOR])], encode_value)


def _service_records() -> Iterator[Target]:
    yield from _kept(
        registry,
        registry.Service("r", OPERATOR, "机构", "BJ", bytes(32), "online", 1, 0, 1, 7),
        registry.Version(bytes(32), "tested", OPERATOR, "机构", bytes(32), True, 7),
        registry.Certificate(bytes(64), bytes(32), 7),
        registry.Application("applied", "BJ", "机构", "", 7),
        registry.AccessLog(1, 0, 1, b"w"),
        registry.FiledReport(b"report", bytes(64), bytes(64)),
    )
    yield Target("service-consumers", registry.decode_consumers, lambda: [encode_value([OPERATOR])], encode_value)


def _kernel_records() -> Iterator[Target]:
    rows: list[tuple[str, Callable[[bytes], Any], Callable[[Any], bytes], int]] = [
        ("holding", kernel.decode_holding, kernel.encode_holding, 28),
        ("security", kernel.decode_security, kernel.encode_security, 91),
        ("cash", kernel.decode_cash, kernel.encode_cash, 16),
        ("hold", kernel.decode_hold, kernel.encode_hold, 105),
        ("pledge", kernel.decode_pledge, kernel.encode_pledge, 64),
        ("vehicle", kernel.decode_vehicle, kernel.encode_vehicle, 5),
        ("resolution", kernel.decode_resolution, kernel.encode_resolution, 117),
        ("order", decode_order, encode_order, 60),
        ("lots", decode_lots, encode_lots, 13),
        ("suitability", kernel.decode_suitability, kernel.encode_suitability, 15),
    ]
    for name, decode, encode, size in rows:
        yield Target(f"kernel-{name}", decode, lambda size=size: [bytes(size)], encode, max_len=256)


def _lists() -> list[bytes]:
    row: dict[str, Value] = {"header": b"h", "certificate": b"c", "items": [{"value": None, "proof": b"p"}]}
    return [encode_value(row)]


def targets() -> Iterator[Target]:
    """The rows of this part."""
    s = samples()
    yield Target("directive", read_directive, _directives, lambda value: encode_value(value.payload()))
    yield Target("acknowledgement", read_acknowledgement, _acknowledgements, lambda one: encode_value(one.payload()))
    yield Target("report", read_report, _reports, lambda value: encode_value(value.payload()))
    yield Target("list-evidence", decode_list, _lists)
    yield Target("roll-chunk", decode_chunk, lambda: s.chunks, encode_value)
    yield Target("roll-head", decode_head, lambda: [encode_head(65, bytes(32))], _head_again)
    yield from _kernel_records()
    yield from _data_records()
    yield from _service_records()
    yield Target("call", bodies.read_call, _calls, bodies.encode_call)
    yield Target("reply", bodies.read_reply, _replies, bodies.encode_reply)
    yield Target("promise", bodies.read_promise, _promises, bodies.encode_promise)
    yield Target("access-record", bodies.read_record, _access_records, encode_value)
    yield Target("joint-test", bodies.read_report, _tests, bodies.encode_report)
    yield Target("definition", definition.read_definition, lambda: [definition.encode_definition(DEFINITION)])
    yield Target("definition-file", from_file(read_definition_file, "definition.json"), _definition_texts, words=_WORDS)
    yield Target("json", schemas.read_json, _definition_texts, words=_WORDS)
    yield Target("descriptor", lambda data: message_type(data, "p.M"), lambda: [MESSAGES], max_len=4_096)
    yield Target("message", _message, lambda: [b"\x08\x07\x12\x02\x08\x01"])
    yield Target("source-mark", read_mark, _marks, words=_WORDS)
    yield Target("offer", decode_offer, lambda: [encode_offer(Offer(b"offer", bytes(64), bytes(64)))], encode_offer)
    yield Target("authorities", decode_authorities, _authorities)
    yield Target("schema-and-json", _schema, _schema_seeds, words=_WORDS)
    yield Target("endpoint", _endpoint, lambda: [b"127.0.0.1:7000", b"[::1]:1"], max_len=400)
    yield Target(
        "registration", _document, lambda: [encode_genesis(local_genesis())], None, (DualchainError, Refused), 16_384
    )
    yield Target("rpc-endpoint", _endpoints, lambda: [joined(b"h:1", b"node-0")], None, (DualchainError, Refused))


def _head_again(head: tuple[int, int, bytes]) -> bytes:
    count, chunks, digest = head
    return encode_value({"count": count, "chunks": chunks, "digest": digest})
