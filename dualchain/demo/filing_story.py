"""Step: a market files a template of its own (模板备案): approved by the regulator, then by its governors (art. 8)."""

from __future__ import annotations

from pathlib import Path

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.templates.filings import record_key
from contracts.templates.halts import TEMPLATES
from crosschain.packets import count_in
from dualchain.demo.actors import Actor, Desk
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove
from local_chain.filing.sources import Read, cases_of, find, read, run_examples
from supervisory_chain.desk.records import DESK, matter_key, next_key

NAME, ABOVE = "filing", "filing above"
MODEL, OWN = "csrc.negotiated-transfer", "bj.negotiated-transfer"


async def file_own(upper: Desk, lower: Desk, operator: Actor, work: Path, book: EvidenceBook) -> str:
    """The common template of transfers, filed by the market under a name of its own; the filing number."""
    found, cases = _source(work)
    template = found.compiled.template
    hashes: dict[str, Value] = {"tree": sm3(found.tree), "source": found.source_sm3}
    filing: dict[str, Value] = {
        "chain": lower.genesis_hash,
        "subject": "协议转让（本市场） negotiated transfer of this market",
        "name": template.id,
        "version": template.version,
        **hashes,
        "document": found.source_sm3,
    }
    _, (raw,) = await upper.client.state([next_key()])
    number = count_in(raw)
    step: dict[str, Value] = {"number": number, "document": found.source_sm3}
    first, second = upper.genesis_actor("csrc-issuer"), upper.genesis_actor("csrc-checker")
    await upper.accepted([upper.sign("template filed", operator, [Operation(DESK, "file_template", filing)])])
    propose = upper.sign("template's approval proposed", first, [Operation(DESK, "propose_approval", step)])
    await upper.accepted([propose])
    alone = upper.sign("template approved by one officer", first, [Operation(DESK, "approve_filing", step)])
    await upper.refused(alone, "desk.four_eyes")
    await upper.accepted([upper.sign("template approved", second, [Operation(DESK, "approve_filing", step)])])

    named: dict[str, Value] = {"template": template.id, "version": template.version}
    filed = {**named, "title": template.title, "tree": found.tree, "source": found.source, "cases": cases}
    own, governor = lower.genesis_actor("operator"), lower.genesis_actor("governor-bank")
    await lower.accepted([lower.sign("template filed", own, [Operation(TEMPLATES, "file", filed)])])
    filing_number = f"CSRC-T-{number}"
    approval: dict[str, Value] = {
        **named,
        "tree_sm3": sm3(found.tree),
        "source_sm3": found.source_sm3,
        "filing_number": filing_number,
    }
    await lower.accepted([lower.sign("template approved", governor, [Operation(TEMPLATES, "approve", approval)])])
    keys = [state_key(TEMPLATES, record_key(template.id, template.version))]
    await prove(lower, book, NAME, [lambda _: keys])
    await prove(upper, book, ABOVE, [lambda _: [matter_key(number)]])
    return filing_number


def _source(work: Path) -> tuple[Read, bytes]:
    """Source and examples under the market's name; the examples are run before anything is filed."""
    path = work / f"{OWN}.star"
    path.write_text(find(MODEL).read_text("utf-8").replace(MODEL, OWN), encoding="utf-8")
    examples = cases_of(read(MODEL), None).replace(MODEL.encode(), OWN.encode())
    found = read(str(path))
    wrong = [outcome.name for outcome in run_examples(found, examples) if outcome.wrong]
    if wrong:
        raise ValueError(f"an example of the template does not hold: {wrong[0]}")
    return found, examples
