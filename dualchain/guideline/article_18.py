"""Article 18: isolation, and rights on record: nobody without a certificate is answered, and no account holds duties
that belong apart."""

from __future__ import annotations

from chain_core.execution.account_records import ACTIVE
from chain_core.execution.registry import DUTIES
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text
from dualchain.guideline.links import strangers_refused
from dualchain.guideline.registered import accounts_of

REQUIREMENT = Text(
    "安全隔离；运维与操作权限明确",
    "isolation; rights of operation are on record, and duties that belong apart are apart",
)


async def check(exam: Examination) -> None:
    """Every account that is found, with the roles that its chain proves."""
    for chain in exam.network.chains:
        with exam.about(chain.label):
            await strangers_refused(exam, chain)
            await _duties(exam, chain)


async def _duties(exam: Examination, chain: AskedChain) -> None:
    accounts = await accounts_of(chain)
    holders = [row for row in accounts.values() if row[0].roles and row[0].status == ACTIVE]
    if not holders:
        exam.lacks(f"{chain.label} 没有登记任何权限", f"no rights are on record on {chain.label}")
        return
    for record, _ in holders:
        for pair in _together(record.roles):
            exam.require(
                False,
                f"{chain.label}：“{record.entity}”的一个账户兼有 {'、'.join(pair)}",
                f"{chain.label}: an account of {record.entity} holds {' and '.join(pair)}",
            )
    roles = sorted({role for record, _ in holders for role in record.roles})
    zh = f"{chain.label}：{len(holders)} 个账户的权限在链上登记（{'、'.join(roles)}）"
    exam.show(zh, f"{chain.label}: rights of {len(holders)} accounts on record ({', '.join(roles)})", holders[0][1])


def _together(roles: frozenset[str]) -> list[tuple[str, ...]]:
    """What one account holds although it belongs apart: two of the three duties, or both sides of supervision."""
    duties = tuple(sorted(DUTIES.keys() & roles))
    sides = tuple(sorted(frozenset(("operator", "csrc")) & roles))
    return [pair for pair in (duties, sides) if len(pair) > 1]
