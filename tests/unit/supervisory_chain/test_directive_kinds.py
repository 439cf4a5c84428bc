"""Directives about instruments and templates, and demands that the market answers; what is overdue becomes a case."""

from __future__ import annotations

from typing import cast

import pytest

from chain_core.codec.proofs import decode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.packets import ALL_SERVICES, Outcome, directive_key, directive_next_key, read_acknowledgement
from local_chain import service_halts
from service_registry.records import Service, decode
from supervisory_chain import demands, escalation
from supervisory_chain.cases import case_key, count_key
from supervisory_chain.demands import open_key
from supervisory_chain.directives import record_key
from tests.unit.crosschain.chains import Layers, account, op
from tests.unit.crosschain.forging import reproven
from tests.unit.service_registry.house import DEFINITION

TEMPLATE = "csrc.negotiated-transfer"


def issue(layers: Layers, kind: str, *, deadline_ms: int = 60_000, **subject: Value) -> Receipt:
    args: dict[str, Value] = {
        "chain": layers.local.hash,
        "kind": kind,
        "deadline_ms": layers.supervisory.time_ms + deadline_ms,
        "reference": "example document",
        **subject,
    }
    return layers.supervisory.one("csrc-1", Operation("directives", "issue", args))


def confirm(layers: Layers) -> Receipt:
    queue = cast(dict[str, int], layers.supervisory.value(state_key("directives", b"q")))
    return layers.supervisory.one("csrc-2", op("directives", "confirm", number=queue["last"]))


def direct(layers: Layers, kind: str, *, deadline_ms: int = 60_000, **subject: Value) -> None:
    assert issue(layers, kind, deadline_ms=deadline_ms, **subject).code == Code.OK
    assert confirm(layers).code == Code.OK


def carry_down(layers: Layers, first: int) -> list[int]:
    """Everything issued comes down; the codes of the acknowledgements."""
    layers.local.time_ms = max(layers.local.time_ms, layers.supervisory.time_ms)
    issued = cast(int, layers.supervisory.value(directive_next_key(layers.local.hash)))
    assert layers.local.one("courier", layers.update_down(first, issued - first)).code == Code.OK
    packets = [decode_packet(raw) for raw in layers.local.store.outbox(layers.local.height)]
    return [read_acknowledgement(packet.payload).code for packet in packets if packet.kind == "ack"]


def carry_up(layers: Layers) -> None:
    """The packets of the last local block go up."""
    height = layers.local.height
    assert layers.supervisory.one("courier", layers.headers_up(height), layers.packets_up(height)).code == Code.OK


def record(layers: Layers, sequence: int) -> dict[str, Value]:
    return cast(dict[str, Value], layers.supervisory.value(record_key(layers.local.hash, sequence)))


def overdue(layers: Layers) -> list[int]:
    """Sequences of the cases of overdue directives."""
    count = cast(int, layers.supervisory.value(count_key(layers.local.hash)) or 0)
    rows = [cast(dict[str, Value], layers.supervisory.value(case_key(layers.local.hash, i))) for i in range(count)]
    return [cast(dict[str, int], row["facts"])["sequence"] for row in rows if row["kind"] == escalation.OVERDUE]


def test_an_instrument_is_frozen_and_released_by_name_or_altogether(layers: Layers) -> None:
    layers.business("S1")
    security = derive_id(layers.local.hash, "security", account("operator"), "S1")
    freezes = state_key("kernel", b"X" + security)
    direct(layers, "freeze_security", security=security)
    direct(layers, "freeze_security", security=security)
    direct(layers, "freeze_security", security=bytes(15) + b"\x01")
    assert carry_down(layers, 0) == [Outcome.EXECUTED, Outcome.EXECUTED, Outcome.UNKNOWN_HOLDER]
    assert layers.local.value(freezes) == ["csrc/0", "csrc/1"]
    assert issue(layers, "unfreeze_security", security=bytes(15) + b"\x02", lifts=0).rule == (
        "directives.nothing_to_lift"
    )
    direct(layers, "unfreeze_security", security=security, lifts=0)
    assert carry_down(layers, 3) == [Outcome.EXECUTED]
    assert layers.local.value(freezes) == ["csrc/1"]
    direct(layers, "unfreeze_security", security=security)
    direct(layers, "unfreeze_security", security=security)
    assert carry_down(layers, 4) == [Outcome.EXECUTED, Outcome.NOTHING_TO_CHANGE]
    assert layers.local.value(freezes) is None


def test_a_template_is_halted_for_everybody_until_it_is_resumed(layers: Layers) -> None:
    create = op("templates", "create", template=TEMPLATE, reference="T1", params={})
    before = layers.local.try_one("operator", create)
    assert before.rule == "templates.bad_parameters", "it runs"
    direct(layers, "halt_template", template=TEMPLATE)
    direct(layers, "halt_template", template=TEMPLATE)
    issued = layers.update_down(0, 2)
    refused, taken = layers.local.block(layers.local.sign("operator", create), layers.local.sign("courier", issued))
    assert (refused.rule, taken.code) == ("templates.halted", Code.OK), "before business, whatever the batch says"
    assert refused.parameters[1:] == (TEMPLATE, "csrc/0")
    direct(layers, "resume_template", template=TEMPLATE, lifts=0)
    assert carry_down(layers, 2) == [Outcome.EXECUTED]
    assert layers.local.try_one("operator", create).rule == "templates.halted"
    direct(layers, "resume_template", template=TEMPLATE)
    direct(layers, "resume_template", template=TEMPLATE)
    assert carry_down(layers, 3) == [Outcome.EXECUTED, Outcome.NOTHING_TO_CHANGE]
    assert layers.local.try_one("operator", create).rule == "templates.bad_parameters"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("freeze_holder", {}),
        ("freeze_holder", {"security": bytes(16)}),
        ("freeze_security", {"account": account("holder")}),
        ("halt_template", {"template": TEMPLATE, "account": account("holder")}),
        ("resume_template", {"security": bytes(16)}),
        ("halt_service", {}),
        ("halt_service", {"service": bytes(16), "template": TEMPLATE}),
    ],
)
def test_a_kind_has_its_own_subject_and_no_other(layers: Layers, kind: str, subject: dict[str, Value]) -> None:
    assert issue(layers, kind, **subject).rule == "directives.wrong_subject"


def test_a_directive_lifts_only_its_opposite(layers: Layers) -> None:
    direct(layers, "halt_template", template=TEMPLATE)
    assert issue(layers, "unfreeze_holder", account=account("holder"), lifts=0).rule == "directives.nothing_to_lift"
    assert issue(layers, "rectify", lifts=0).rule == "directives.nothing_to_lift"
    assert issue(layers, "resume_template", template="other", lifts=0).rule == "directives.nothing_to_lift"


def drafted(layers: Layers) -> bytes:
    """A service that the market publishes; its id."""
    args: dict[str, Value] = {"market": "BJ", "reference": "roll", "definition": DEFINITION}
    assert layers.supervisory.one("operator", Operation("services", "draft", args)).code == Code.OK
    return derive_id(layers.supervisory.hash, "service", account("operator"), "roll")


def halted_below(layers: Layers, service: bytes) -> str | None:
    return service_halts.halted_by(lambda key: layers.local.store.get(state_key("supervision", key)), service)


def test_a_service_is_halted_above_at_once_and_below_when_the_directive_arrives(layers: Layers) -> None:
    service = drafted(layers)
    bring_online = op("services", "online", service=service)
    assert layers.supervisory.try_one("operator", bring_online).rule == "services.wrong_state", "nothing halts it"
    direct(layers, "halt_service", service=service)
    refused = layers.supervisory.try_one("operator", bring_online)
    assert (refused.rule, refused.parameters[-1]) == ("services.suspended", "csrc/0")
    assert halted_below(layers, service) is None
    assert carry_down(layers, 0) == [Outcome.EXECUTED]
    assert (halted_below(layers, service), halted_below(layers, bytes(15) + b"1")) == ("csrc/0", None)
    carry_up(layers)
    assert record(layers, 0)["status"] == "executed"
    assert issue(layers, "resume_service", service=bytes(16), lifts=0).rule == "directives.nothing_to_lift"
    direct(layers, "resume_service", service=service, lifts=0)
    direct(layers, "resume_service", service=service)
    assert layers.supervisory.try_one("operator", bring_online).rule == "services.wrong_state"
    assert carry_down(layers, 1) == [Outcome.EXECUTED, Outcome.NOTHING_TO_CHANGE]
    assert halted_below(layers, service) is None


def test_all_services_of_a_market_are_halted_by_one_directive(layers: Layers) -> None:
    service = drafted(layers)
    direct(layers, "halt_service", service=ALL_SERVICES)
    direct(layers, "halt_service", service=service)
    direct(layers, "resume_service", service=service)
    assert (
        layers.supervisory.try_one("operator", op("services", "online", service=service)).rule == "services.suspended"
    )
    assert carry_down(layers, 0) == [Outcome.EXECUTED] * 3
    assert halted_below(layers, service) == halted_below(layers, ALL_SERVICES) == "csrc/0"
    direct(layers, "resume_service", service=ALL_SERVICES, lifts=0)
    assert carry_down(layers, 3) == [Outcome.EXECUTED]
    assert halted_below(layers, service) is None


def test_no_directive_lets_the_services_of_a_suspended_market_go_on(layers: Layers) -> None:
    """Two reasons at once: each ends by itself."""
    online = op("services", "online", service=drafted(layers))
    direct(layers, "halt_service", service=ALL_SERVICES)
    assert layers.supervisory.one("csrc-1", op("chains", "suspend", chain=layers.local.hash)).code == Code.OK
    direct(layers, "resume_service", service=ALL_SERVICES)
    refused = layers.supervisory.try_one("operator", online)
    assert (refused.rule, refused.parameters[-1]) == ("services.suspended", "suspension")
    direct(layers, "halt_service", service=ALL_SERVICES)
    for who, step in (("csrc-1", "propose_resumption"), ("csrc-2", "resume")):
        assert layers.supervisory.one(who, op("chains", step, chain=layers.local.hash)).code == Code.OK
    refused = layers.supervisory.try_one("operator", online)
    assert (refused.rule, refused.parameters[-1]) == ("services.suspended", "csrc/2")


def test_a_service_of_nobody_or_of_another_market_is_not_halted(layers: Layers) -> None:
    assert issue(layers, "halt_service", service=b"1" * 16).rule == "directives.wrong_service"
    service = drafted(layers)
    key = state_key("services", b"s" + service)
    other = {**cast(dict[str, Value], layers.supervisory.value(key)), "market": "SH"}
    with pytest.MonkeyPatch.context() as patch:
        found = decode(Service, encode_value(other))
        patch.setattr("supervisory_chain.service_halts.find_service", lambda *_: found)
        assert issue(layers, "halt_service", service=service).rule == "directives.wrong_service"
    assert issue(layers, "halt_service", service=service).code == Code.OK


@pytest.mark.parametrize("kind", ["rectify", "report"])
def test_a_demand_is_open_until_its_answer_is_proven(layers: Layers, kind: str) -> None:
    document = sm3(b"what was done")
    answer = op("supervision", "answer", sequence=0, document=document, reference="answer 1")
    assert layers.local.one("operator", answer).rule == "supervision.no_demand"
    direct(layers, kind, deadline_ms=600_000)
    assert carry_down(layers, 0) == [Outcome.EXECUTED]
    carry_up(layers)
    assert record(layers, 0)["status"] == "executed"
    assert layers.supervisory.value(open_key(layers.local.hash)) == [0], "taken on record is not answered"
    assert layers.local.one("courier", answer).code == Code.FORBIDDEN
    assert layers.local.one("operator", answer).code == Code.OK
    carry_up(layers)
    assert layers.supervisory.value(open_key(layers.local.hash)) is None
    proven = cast(dict[str, Value], record(layers, 0)["answer"])
    assert (proven["document"], proven["reference"], proven["on_time"]) == (document, "answer 1", True)
    assert layers.local.one("operator", answer).rule == "supervision.answered"


def test_an_answer_to_something_else_closes_nothing(layers: Layers) -> None:
    layers.local.block()
    direct(layers, "rectify")
    packet = sm3(layers.supervisory.store.get(directive_key(layers.local.hash, 0)) or b"")
    rows = [(1, packet), (0, bytes(32))]
    packets = [
        Packet(
            layers.local.hash,
            0,
            layers.supervisory.hash,
            0,
            "directive",
            number,
            "answer",
            encode_value({"sequence": sequence, "packet": digest, "document": bytes(32), "reference": "x"}),
        )
        for number, (sequence, digest) in enumerate(rows)
    ]
    assert layers.supervisory.one("courier", reproven(layers, *packets)).code == Code.OK
    assert layers.supervisory.value(open_key(layers.local.hash)) == [0]


def test_only_so_many_demands_wait_at_a_time(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demands, "MAX_OPEN", 1)
    direct(layers, "rectify")
    assert issue(layers, "report").code == Code.OK
    assert confirm(layers).rule == "directives.too_many_demands"


# ---- escalation


def test_what_is_overdue_becomes_a_case_once(layers: Layers) -> None:
    for _ in range(3):
        direct(layers, "freeze_holder", account=account("holder"), deadline_ms=30_000)
    direct(layers, "rectify", deadline_ms=30_000)
    direct(layers, "freeze_holder", account=account("buyer"), deadline_ms=900_000)
    layers.supervisory.block(after_ms=10_000)
    assert overdue(layers) == []
    assert carry_down(layers, 0) == [0, 0, 0, 0, 0]
    carry_up(layers)
    layers.supervisory.block(after_ms=60_000)
    assert overdue(layers) == [3], "the demand is on record there and not answered"
    layers.supervisory.block(after_ms=60_000)
    assert overdue(layers) == [3]
    assert record(layers, 3)["case"] == 0


def test_a_market_that_falls_silent_escalates_in_bounded_steps(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalation, "MAX_A_BLOCK", 2)
    for _ in range(5):
        direct(layers, "freeze_holder", account=account("holder"), deadline_ms=60_000)
    layers.supervisory.block(after_ms=120_000)
    assert overdue(layers) == [0, 1]
    layers.supervisory.block()
    assert overdue(layers) == [0, 1, 2, 3]
    layers.supervisory.block()
    layers.supervisory.block()
    assert overdue(layers) == [0, 1, 2, 3, 4]
    assert layers.supervisory.value(state_key("directives", b"f")) == []
    assert carry_down(layers, 0) == [0] * 5, "late, and executed all the same"


def test_deadlines_are_bounded(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalation, "MAX_IN_SLOT", 1)
    day_ms = 86_400_000 - layers.supervisory.time_ms % escalation.SLOT_MS
    direct(layers, "freeze_holder", account=account("holder"), deadline_ms=day_ms)
    assert issue(layers, "freeze_holder", account=account("holder"), deadline_ms=day_ms).code == Code.OK
    assert confirm(layers).rule == "directives.too_many_due"
