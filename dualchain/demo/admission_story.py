"""Step: a market's way into the network (准入): application, joint test, evidence, two officers (art. 4, 6, 15)."""

from __future__ import annotations

from pathlib import Path

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.packets import CHAINS, chain_record_key
from dualchain.demo.actors import Actor, Desk
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.interface_story import examine, written
from dualchain.demo.layout import Chain
from dualchain.demo.observe import prove
from dualchain.demo.onboarding import endpoints_of, registration
from supervisory_chain.admission import trail_place
from supervisory_chain.evidence import EVIDENCE_KINDS
from supervisory_chain.evidence import place as evidence_place
from supervisory_chain.joint_tests import place as report_place

LIFE_DAYS = 365
OFFICERS = (("approve", "csrc-issuer"), ("admit", "csrc-checker"))


async def apply(upper: Desk, operator: Actor, chain: Chain) -> None:
    """The operator's application."""
    label = f"registration of {chain.genesis.chain_id}"
    await upper.accepted([registration(upper, operator, label, chain.genesis_bytes, endpoints_of(chain.plans))])


async def test_jointly(upper: Desk, lower: Desk, tester: Actor, work: Path) -> int:
    """The tester examines the market's interface and files the signed report; how many checks passed."""
    report = await examine(lower, work)
    key = generate_private_key()
    attach: dict[str, Value] = {"purpose": "assertion", "key": signing_provider().sm2_public_key(key)}
    label = lower.chain.genesis.chain_id
    await upper.accepted(
        [upper.sign(f"tester's key for {label}", tester, [Operation("accounts", "attach_key", attach)])]
    )
    raw = written(report, key, work / "report.json")
    args: dict[str, Value] = {"chain": lower.genesis_hash, "report": raw}
    await upper.accepted([upper.sign(f"joint test of {label}", tester, [Operation(CHAINS, "file_report", args)])])
    return len(report.checks)


async def decide(upper: Desk, operator: Actor, chain: Chain, today: int) -> list[tuple[str, str]]:
    """Evidence of each kind is filed by the operator and accepted by the regional office; two officers admit.

    What is refused on the way: (case, rule).
    """
    genesis, name = chain.view().genesis_hash, chain.genesis.chain_id
    step: dict[str, Value] = {"chain": genesis}
    first, second = (upper.genesis_actor(who) for _, who in OFFICERS)
    early = upper.sign(f"{name} approved without evidence", first, [Operation(CHAINS, "approve", step)])
    await upper.refused(early, "chains.no_evidence")
    office = upper.genesis_actor("office")
    filed, judged = [], []
    for kind, zh in EVIDENCE_KINDS.items():
        document = sm3(f"{name} {zh}".encode())
        args: dict[str, Value] = {**step, "kind": kind, "document": document}
        more: dict[str, Value] = {"reference": f"{zh}（演示文件）", "until_day": today + LIFE_DAYS}
        filed.append(Operation(CHAINS, "file_evidence", {**args, **more}))
        judged.append(Operation(CHAINS, "accept_evidence", args))
    await upper.accepted([upper.sign(f"evidence of {name}", operator, filed)])
    await upper.accepted([upper.sign(f"evidence of {name} accepted", office, judged)])
    await upper.accepted([upper.sign(f"{name} approved", first, [Operation(CHAINS, "approve", step)])])
    alone = upper.sign(f"{name} admitted by one officer", first, [Operation(CHAINS, "admit", step)])
    await upper.refused(alone, "chains.four_eyes")
    await upper.accepted([upper.sign(f"{name} admitted", second, [Operation(CHAINS, "admit", step)])])
    return [
        (f"{name}: approval without evidence", "chains.no_evidence"),
        (f"{name}: admission by one officer alone", "chains.four_eyes"),
    ]


def admission_keys(chain: bytes) -> list[bytes]:
    """Full state keys of what an admission rests on: record, trail, evidence, report."""
    places = (trail_place(chain), evidence_place(chain), report_place(chain))
    return [chain_record_key(chain), *(state_key(CHAINS, place) for place in places)]


async def prove_admission(upper: Desk, book: EvidenceBook, chain: Chain) -> None:
    """All of it, under one header."""
    keys = admission_keys(chain.view().genesis_hash)
    await prove(upper, book, f"admission {chain.label}", [lambda _: keys])
