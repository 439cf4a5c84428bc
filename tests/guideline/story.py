"""What the house's chains have done: everything that the guideline's articles ask for, by the contracts themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chain_core.codec.genesis import encode_genesis
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from contracts.data.commitments import commitment
from contracts.kernel.calendar import day_of
from local_chain.assembly import local_assembly
from local_chain.data import items
from local_chain.data.items import Place
from service_registry.batch_records import Judged, batch_root, sum_up
from service_registry.bodies import (
    PASS,
    AccessCode,
    AccessRecord,
    Call,
    Report,
    Trial,
    encode_report,
    record_row,
    report_message,
)
from service_registry.calls import sign_call, sign_reply
from service_registry.records import SERVICES, AccessLog, decode, definition_key, log_key
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.evidence import EVIDENCE_KINDS
from tests.guideline.house import House, HouseChain, SigningChain
from tests.unit.crosschain.chains import (
    LOCAL_PEOPLE,
    SUPERVISORY_PEOPLE,
    Layers,
    account,
    local_genesis,
    op,
    private_key,
    public_key,
    registration,
    supervisory_genesis,
)
from tests.unit.crosschain.joint_tests import file_of, passing
from tests.unit.service_registry.house import DEFINITION, EXAMPLES, REQUEST, RESPONSE, WRONG

PEOPLE = {
    **{name: roles for name, roles in SUPERVISORY_PEOPLE.items() if name != "both"},
    "office": ("office",),
    "provincial": ("provincial",),
    "tester": ("tester",),
    "gateway": ("gateway",),
}
BELOW = {**LOCAL_PEOPLE, "custodian": ("custodian",)}
OPERATORS = {"BJ": "operator", "JS": "second operator"}
NAMES = {"BJ": "beijing", "JS": "jiangsu"}
PAPER = sm3(b"paper")
CODE = "Q000000001"


def assertion(name: str) -> str:
    return f"assertion of {name}"


def people(rows: dict[str, tuple[str, ...]]) -> tuple[GenesisAccount, ...]:
    made = []
    for name, roles in rows.items():
        keys = {"transaction": (public_key(name),), "assertion": (public_key(assertion(name)),)}
        made.append(GenesisAccount(account(name), f"entity of {name}", tuple(sorted(roles)), keys))
    return tuple(sorted(made, key=lambda row: row.account))


def begin(directory: Path) -> House:
    """Both markets through their whole stories."""
    above = replace(supervisory_genesis(), accounts=people(PEOPLE))
    above = replace(above, parameters={**above.parameters, "joint_test_days": 90, "admission_evidence": 1})
    upper = SigningChain.begin(directory / "upper", above, supervisory_assembly)
    markets = {}
    for market in OPERATORS:
        lower = SigningChain.begin(directory / market, _local(market, above), local_assembly)
        _market(Layers(upper, lower), upper, lower, market)
        markets[market] = lower
    _regulate(upper, markets["BJ"].hash)
    _serve(upper)
    return House(HouseChain("supervisory", upper), *(HouseChain(name, chain) for name, chain in markets.items()))


def _local(market: str, above: Genesis) -> Genesis:
    made = local_genesis(NAMES[market], market, supervisory=encode_genesis(above))
    return replace(made, accounts=people(BELOW))


def _market(layers: Layers, upper: SigningChain, lower: SigningChain, market: str) -> None:
    _admit(upper, lower, OPERATORS[market])
    _business(lower, market)
    _identity(lower, market)
    _data(lower)
    _government_data(lower, market)
    upper.time_ms = max(upper.time_ms, lower.time_ms)
    for height in range(1, lower.height + 1):
        upper.ok("courier", layers.headers_up(height))
        if lower.packets(height):
            upper.ok("courier", layers.packets_up(height))
    issued = layers.direct("freeze_holder", "holder", deadline_ms=600_000)
    lower.time_ms = upper.time_ms  # one clock on the wall
    lower.ok("courier", layers.update_down(issued, 1))
    upper.time_ms = lower.time_ms
    upper.ok("courier", layers.headers_up(lower.height))
    upper.ok("courier", layers.packets_up(lower.height))


def _admit(upper: SigningChain, lower: SigningChain, operator: str) -> None:
    upper.ok(operator, registration(lower.genesis_bytes))
    report = file_of(passing(lower.hash, upper.time_ms), private_key(assertion("tester")))
    upper.ok("tester", op("chains", "file_report", chain=lower.hash, report=report))
    until = day_of(upper.time_ms) + 365
    for kind in EVIDENCE_KINDS:
        named: dict[str, Value] = {"chain": lower.hash, "kind": kind, "document": PAPER}
        upper.ok(operator, op("chains", "file_evidence", **named, reference="archive 1", until_day=until))
        upper.ok("office", op("chains", "accept_evidence", **named))
    upper.ok("csrc-1", op("chains", "approve", chain=lower.hash))
    upper.ok("csrc-2", op("chains", "admit", chain=lower.hash))


def _business(lower: SigningChain, market: str) -> None:
    params: dict[str, Value] = {
        "reference": "S1",
        "name": "example",
        "issuer": account("issuer"),
        "province": market,
        "unit_decimals": 0,
        "declared": 100,
        "legacy": False,
        "declared_holders": 1,
    }
    made: dict[str, Value] = {"template": "csrc.holder-roll-registration", "reference": "S1", "params": params}
    lower.ok("operator", Operation("templates", "create", made))


def _identity(lower: SigningChain, market: str) -> None:
    """The code is asked for from the supervisory chain; the DID is the issuer's."""
    lower.ok("operator", op("channel", "grant", account=account("operator"), units=5))
    wanted: dict[str, Value] = {"category": "Q", "identity": sm3(market.encode())}
    timeout = lower.time_ms + 600_000
    lower.ok("operator", op("channel", "request", service="investor_code", arguments=wanted, timeout_ms=timeout))
    lower.ok("issuer", op("accounts", "attach_key", purpose="did-auth", key=public_key("did of issuer")))
    did = did_of(market)
    lower.ok("operator", op("identities", "create", did=did, account=account("issuer"), evidence=PAPER))


def did_of(market: str) -> str:
    """Of the market's issuer, by a credit code with its check character."""
    return f"did:rem:{REGIONS[market].label}:91310104MA1FRNWW80"


BUREAU = "91310000564759688N"


def authorisation_of(market: str) -> str:
    return f"did:rem:{REGIONS[market].label}:VC000001"


def _government_data(lower: SigningChain, market: str) -> None:
    """One use of two, by the issuer's own authorisation."""
    bureau = op("govdata", "name_bureau", bureau=BUREAU, name="bureau", key=public_key("bureau"))
    lower.ok("operator", bureau, cosigner="governor-2")
    credential = authorisation_of(market)
    own: dict[str, Value] = {"credential": credential, "issuer": did_of(market), "subject": did_of(market)}
    until_ms = lower.time_ms + 86_400_000
    period: dict[str, Value] = {"valid_from_ms": lower.time_ms, "expires_ms": until_ms}
    lower.ok("issuer", op("identities", "issue", **own, digest=PAPER, kind="DataAuthorization", **period))
    lower.ok("issuer", op("govdata", "authorise", credential=credential, uses=2))
    lower.ok("operator", op("govdata", "begin", credential=credential, request=PAPER, consumer=account("holder")))
    receipt: dict[str, Value] = {"number": 1, "bureau": BUREAU, "receipt": sm3(b"receipt")}
    lower.ok("operator", op("govdata", "settle", credential=credential, **receipt))


REFERENCES = {"public": "0" * 31 + "1", "limited": "0" * 31 + "2", "private": "0" * 31 + "3"}


def object_of(chain: bytes, tier: str) -> bytes:
    return derive_id(chain, "data", account("operator"), REFERENCES[tier])


def _data(lower: SigningChain) -> None:
    keys = {name: public_key(f"sealing of {name}") for name in ("operator", "custodian", "bank")}
    for name, key in keys.items():
        lower.ok(name, op("accounts", "attach_key", purpose="sealing", key=key))
    named: dict[str, Value] = {"reference": REFERENCES["public"], "kind": "disclosure"}
    lower.ok("operator", op("data", "publish", **named, body=b"an annual report"))
    place, key = Place(lower.hash, 0, object_of(lower.hash, "limited"), 1), items.new_key()
    sealed, committed = items.seal_limited(place, key, b"an agreement")
    grant: dict[str, Value] = {
        "reader": account("bank"),
        "key": keys["bank"],
        "expires_ms": lower.time_ms + 86_400_000,
        "wraps": [items.wrap(place, key, account("bank"), keys["bank"], keys["custodian"])],
    }
    custodian: dict[str, Value] = {"account": account("custodian"), "key": keys["custodian"]}
    limited: dict[str, Value] = {
        "reference": REFERENCES["limited"],
        "kind": "agreement",
        "commitment": committed,
        "sealed": sealed,
        "own": {"key": keys["operator"], "wrap": items.wrap_own(key, keys["operator"])},
        "custodians": [custodian],
        "grants": [grant],
    }
    lower.ok("operator", Operation("data", "seal", limited))
    private: dict[str, Value] = {
        "reference": REFERENCES["private"],
        "kind": "supervision",
        "size_class": 8,
        "commitment": commitment(bytes(32), b"a report"),
        "store": b"\1" * 16,
        "custodian": custodian,
    }
    lower.ok("operator", Operation("data", "describe", private))


# ---- the desk


def _regulate(upper: SigningChain, market: bytes) -> None:
    """Records 0: a notice, 1: an inspection to its end, 2 and 3: an advisory and its patch."""
    today = day_of(upper.time_ms)
    notice: dict[str, Value] = {"chain": market, "kind": "upgrade", "subject": "next version", "compatible": False}
    upper.ok("operator", op("desk", "give_notice", **notice, plan=PAPER, effective_day=today + 45))
    upper.ok("csrc-1", op("desk", "open_inspection", chain=market, subject="s", severity=1, document=PAPER))
    for who, step, more in (
        ("csrc-2", "transfer", {}),
        ("provincial", "accept", {}),
        ("provincial", "order_rectification", {"deadline_day": today + 30}),
        ("operator", "report_rectification", {}),
        ("provincial", "close_inspection", {}),
    ):
        args: dict[str, Value] = {"number": 1, "document": PAPER, **more}
        upper.ok(who, Operation("desk", step, args))
    advisory: dict[str, Value] = {"subject": "a flaw", "component": "library", "versions": ["1.0"], "severity": 2}
    upper.ok("csrc-1", op("desk", "issue_advisory", **advisory, deadline_day=today + 30, document=PAPER))
    own: dict[str, Value] = {"chain": market, "subject": "library", "advisory": 2, "document": PAPER}
    upper.ok("operator", Operation("desk", "acknowledge", own))
    upper.ok("operator", op("desk", "record_patch", number=3, document=PAPER, version="1.1"))


# ---- a service

SERVICE_REFERENCE = "roll"


def service_of(upper: bytes) -> bytes:
    return derive_id(upper, "service", account("operator"), SERVICE_REFERENCE)


def _serve(upper: SigningChain) -> None:
    """BJ's operator publishes, JS's operator calls; the gateway records every call."""
    service = service_of(upper.hash)
    for name in ("operator", "second operator", "tester"):
        key = public_key(assertion(name))
        upper.ok(name, op(SERVICES, "upload_certificate", key=key, certificate=sm3(name.encode())))
    drafted: dict[str, Value] = {"market": "BJ", "reference": SERVICE_REFERENCE, "definition": DEFINITION}
    upper.ok("operator", Operation(SERVICES, "draft", drafted))
    codes = [AccessCode.OK] * len(EXAMPLES) + [AccessCode.BAD_REQUEST]
    rows: list[Value] = [
        record(upper, "tester", number, request, code)
        for number, (request, code) in enumerate(zip((*EXAMPLES, WRONG), codes, strict=True), 1)
    ]
    upper.ok("gateway", op(SERVICES, "record_access", records=rows))
    upper.ok("tester", Operation(SERVICES, "file_report", _report(upper, service)))
    for step in ("register", "online"):
        upper.ok("operator", op(SERVICES, step, service=service))
    upper.ok("second operator", op(SERVICES, "apply", service=service, market="JS"))
    upper.ok("operator", op(SERVICES, "confirm", service=service, consumer=account("second operator")))
    upper.ok("gateway", op(SERVICES, "record_access", records=[record(upper, "second operator", 1)]))
    keys = [public_key(assertion(name)) for name in ("second operator", "operator")]
    judged = [Judged(record(upper, "second operator", number), *keys) for number in (2, 3)]
    batch: dict[str, Value] = {"number": 1, "root": batch_root(judged), "count": 2, "rows": list(sum_up(judged))}
    upper.ok("gateway", op(SERVICES, "record_batch", **batch, key=public_key(assertion("gateway"))))


def record(
    upper: SigningChain, who: str, number: int, request: bytes = REQUEST, code: AccessCode = AccessCode.OK
) -> dict[str, Value]:
    """An honest gateway's record."""
    call = Call(service_of(upper.hash), 1, account(who), number, upper.time_ms, sm3(request))
    signed = sign_call(upper.hash, call, request, private_key(assertion(who)))
    reply, signature = b"", b""
    if code is AccessCode.OK:
        key = private_key(assertion("operator"))
        answer = sign_reply(upper.hash, signed.call, code, RESPONSE, upper.time_ms, key)
        reply, signature = answer.reply, answer.signature
    return record_row(AccessRecord(signed.call, signed.signature, reply, signature, code))


def _report(upper: SigningChain, service: bytes) -> dict[str, Value]:
    log = upper.store.get(state_key(SERVICES, log_key(service, account("tester"))))
    definition = upper.store.get(state_key(SERVICES, definition_key(service, 1)))
    assert log is not None and definition is not None
    raw = encode_report(
        Report(
            service,
            1,
            sm3(definition),
            account("tester"),
            tuple(Trial(sm3(request), sm3(RESPONSE), AccessCode.OK) for request in EXAMPLES),
            Trial(sm3(WRONG), bytes(32), AccessCode.BAD_REQUEST),
            ("schema", "signature", "compatibility"),
            (),
            (),
            decode(AccessLog, log).digest,
            PASS,
            upper.time_ms,
        )
    )
    signature = signing_provider().sm2_sign(private_key(assertion("tester")), report_message(upper.hash, raw))
    return {"service": service, "report": raw, "key": public_key(assertion("tester")), "signature": signature}
