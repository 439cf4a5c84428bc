"""What the evidence says of the regulator's chapters: admissions, identity, desk, data, a filing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.hashing import sm3
from contracts.data.records import DATA, PRIVATE, Descriptor, body_key, decode
from crosschain.identity.data_uses import decode_bureau, decode_granted, decode_use
from crosschain.identity.records import decode_credential, decode_did
from crosschain.packets import ADMITTED, CHAINS
from dualchain.demo import data_story, desk_story, filing_story, govdata_story, risk_story
from dualchain.demo.admission_story import admission_keys
from dualchain.demo.evidence import Evidence, EvidenceRefused
from dualchain.demo.layout import MARKETS, SUPERVISORY
from supervisory_chain.cases import case_key
from supervisory_chain.desk.records import DESK, Matter, decode_matter
from supervisory_chain.evidence import EVIDENCE_KINDS
from supervisory_chain.risk.contract import alarms_place
from supervisory_chain.risk.indicators import RISK

Row = dict[str, Any]
Record = Mapping[str, Any]


def regulated(evidence: Evidence) -> Row:
    """All of it; EvidenceRefused when a part is missing or contradicts another."""
    return {
        "admissions": {market: _admission(evidence, market) for market in MARKETS},
        "identity": _identity(evidence),
        "desk": _desk(evidence),
        "data_tiers": _data(evidence),
        "own_template": _template(evidence),
        "government_data": _government_data(evidence),
        "risk_alarm": _risk(evidence),
    }


def _values(evidence: Evidence, chain: str, name: str) -> Mapping[bytes, bytes | None]:
    found = evidence.state.get(chain, {}).get(name)
    if not found:
        raise EvidenceRefused("the proven values are missing", where=f"{chain}, {name}")
    return found


def _admission(evidence: Evidence, market: str) -> Row:
    """Admitted by two officers, on evidence of every kind and on a report that stands in a transaction."""
    values = _values(evidence, SUPERVISORY, f"admission {market}")
    raws = [values.get(key) for key in admission_keys(evidence.views[market].genesis_hash)]
    if None in raws:
        raise EvidenceRefused("what the admission rests on is not proven", where=market)
    record, papers, report = (cast(Record, decode_map(cast(bytes, raws[i]), "admission")) for i in (0, 2, 3))
    trail = cast(Sequence[Record], decode_value(cast(bytes, raws[1]), "trail"))
    officers = {row["by"] for row in trail if row["step"] in ("approve", "admit")}
    accepted = sorted(kind for kind in EVIDENCE_KINDS if papers.get(kind, {}).get("accepted"))
    files = {
        sm3(cast(bytes, operation.args["report"]))
        for transaction, operation in evidence.operations(SUPERVISORY, CHAINS, "file_report")
        if not transaction.receipt.code
    }
    if record["status"] != ADMITTED or len(officers) != 2 or accepted != sorted(EVIDENCE_KINDS):
        raise EvidenceRefused("it is not admitted by two officers on evidence of every kind", where=market)
    if report["report"] not in files:
        raise EvidenceRefused("the joint test's report is not the one that was filed", where=market)
    return {"officers": len(officers), "evidence": accepted, "tester": report["tester_entity"], "steps": len(trail)}


def _identity(evidence: Evidence) -> Row:
    """Each market's DID as its own chain and the supervisory chain have it; one code in all of them."""
    dids = {}
    for market in MARKETS:
        below, above = _values(evidence, market, "identity"), _values(evidence, SUPERVISORY, f"identity {market}")
        if below != above or None in below.values():
            raise EvidenceRefused("the DID is not the same on both chains", where=market)
        (raw,) = cast(Mapping[bytes, bytes], below).values()
        dids[market] = decode_did(raw).did
    codes = {did.rpartition(":")[2] for did in dids.values()}
    if len(codes) != 1:
        raise EvidenceRefused("one investor has several codes", where="identity")
    return {"dids": dids, "investor_code": min(codes)}


def _matters(evidence: Evidence, name: str) -> list[Matter]:
    prefix = state_key(DESK, b"r")
    values = _values(evidence, SUPERVISORY, name)
    return [decode_matter(raw) for key, raw in values.items() if raw is not None and key.startswith(prefix)]


def _desk(evidence: Evidence) -> list[Row]:
    """Each record with its steps; those that were closed were closed by another than who opened them."""
    rows = []
    for matter in _matters(evidence, desk_story.NAME):
        first, last = matter.steps[0], matter.steps[-1]
        if matter.state == "closed" and first.by == last.by:
            raise EvidenceRefused("a record was closed by who opened it", where=matter.subject)
        steps = [taken.step for taken in matter.steps]
        rows.append({"kind": matter.machine, "subject": matter.subject, "state": matter.state, "steps": steps})
    return rows


def _data(evidence: Evidence) -> dict[str, str]:
    """Tier by kind of data: what is private has no body on the chain, what is not has one."""
    values, prefix = _values(evidence, "BJ", data_story.NAME), state_key(DATA, b"d")
    tiers = {}
    for key, raw in values.items():
        if raw is not None and key.startswith(prefix):
            found, body = decode(Descriptor, raw), values[state_key(DATA, body_key(key[len(prefix) :]))]
            if (found.tier == PRIVATE) is (body is not None):
                raise EvidenceRefused("a data object does not lie where its tier says", where=found.kind)
            tiers[found.kind] = found.tier
    return tiers


def _template(evidence: Evidence) -> Row:
    """The template is live on the market's chain with the tree and the source that the regulator approved."""
    (raw,) = _values(evidence, "BJ", filing_story.NAME).values()
    (matter,) = _matters(evidence, filing_story.ABOVE)
    record = cast(Record, decode_map(raw or b"", "filing record"))
    same = (record["tree_sm3"], record["source_sm3"]) == (matter.fields["tree"], matter.fields["source"])
    if not same or record["status"] != "live" or matter.state != "approved":
        raise EvidenceRefused("what runs is not what was approved", where=filing_story.OWN)
    return {"template": matter.fields["name"], "filing_number": record["filing_number"], "status": record["status"]}


def _government_data(evidence: Evidence) -> Row:
    """One use, granted by the enterprise's own credential, settled with the receipt of the bureau on record."""
    values = _values(evidence, "BJ", govdata_story.NAME)
    keys = govdata_story.govdata_keys(str(evidence.documents[govdata_story.REFERENCE]["credential"]))
    raws = [values.get(key) for key in keys]
    if None in raws:
        raise EvidenceRefused("a record of the authorisation is missing", where=govdata_story.NAME)
    credential, granted, use, bureau = cast(list[bytes], raws)
    owner, counted, made = decode_credential(credential), decode_granted(granted), decode_use(use)
    if owner.issuer != owner.subject or not made.settled or counted.used > counted.uses:
        raise EvidenceRefused("a use was not granted by the data's owner, or not settled", where=govdata_story.NAME)
    return {
        "enterprise": owner.issuer,
        "uses": counted.uses,
        "used": counted.used,
        "bureau": decode_bureau(bureau).name,
        "receipt": made.receipt.hex(),
    }


def _risk(evidence: Evidence) -> Row:
    """The alarm stood, then it did not; its case says when it cleared, and is closed."""
    return {market: _alarm(evidence, evidence.views[market].genesis_hash) for market in MARKETS}


def _alarm(evidence: Evidence, market: bytes) -> Row:
    key = state_key(RISK, alarms_place(market))
    before, after = (_values(evidence, SUPERVISORY, name) for name in (risk_story.RAISED, risk_story.CLEARED))
    raised = cast(Mapping[str, Record], decode_map(before[key] or b"", "alarms"))[risk_story.INDICATOR]
    standing = {} if after[key] is None else decode_map(after[key] or b"", "alarms")
    case = cast(Record, decode_map(after[case_key(market, raised["case"])] or b"", "case"))
    facts = case["facts"]
    if risk_story.INDICATOR in standing or facts["indicator"] != risk_story.INDICATOR or case["status"] != "closed":
        raise EvidenceRefused("the alarm was not cleared and closed", where=risk_story.INDICATOR)
    named = {name: facts[name] for name in ("indicator", "value", "raise_at", "severity")}
    return {**named, "cleared": facts["cleared_ms"] > case["time_ms"], "case": case["status"]}
