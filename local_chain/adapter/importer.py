"""A legacy book onto the chain: parties, then registers, each register whole or in parts that follow each other
(docs/spec/adapter.md §3).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import ACCOUNTS
from chain_core.types.transaction import MAX_OPERATIONS, Operation
from chain_core.types.values import Value
from contracts.kernel.records import KERNEL, MAX_ROWS
from local_chain.adapter.errors import ImportStopped, RollRefused
from local_chain.adapter.journal import Entry
from local_chain.adapter.roll_files import AccountLine, HoldingLine, Roll, SecurityLine
from local_chain.adapter.submitter import Job, Submitter

PART_ROWS = 512
"""Rows a transaction: their writes and events stay below its limits."""
AT_ONCE, IN_FLIGHT = 100, 2
"""Transactions handed in together, and how many such hand-ins are on their way. Smaller ones make more blocks."""
_ID = re.compile("[0-9a-f]{32}")

Progress = Callable[[str, int, int], None]
"""(stage, done, of) after each hand-in."""


@dataclass(frozen=True, slots=True)
class Step:
    """A job with the lines it brings in."""

    job: Job
    where: str
    rows: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import brought in, with what had been brought in before."""

    accounts: int
    securities: int
    holdings: int
    earlier: int


class Naming:
    """Account and security ids as the chain derives them."""

    def __init__(self, genesis_hash: bytes, registrar: bytes, operator: bytes) -> None:
        self._genesis_hash, self._registrar, self._operator = genesis_hash, registrar, operator

    def account(self, name: str) -> bytes:
        """An id as it is, else the account that the registrar gave this reference."""
        if _ID.fullmatch(name):
            return bytes.fromhex(name)
        return derive_id(self._genesis_hash, "account", self._registrar, name)

    def security(self, reference: str) -> bytes:
        """The operator's security of this reference."""
        return derive_id(self._genesis_hash, "security", self._operator, reference)


class Importer:
    """Raises RollRefused before anything is sent; ImportStopped when the chain refuses a part: what was final stays."""

    def __init__(
        self,
        naming: Naming,
        operator: Submitter,
        registrar: Submitter | None,
        *,
        four_eyes: bool,
        at_once: int = AT_ONCE,
        progress: Progress = lambda *_: None,
    ) -> None:
        self._naming, self._operator, self._registrar = naming, operator, registrar
        self._four_eyes, self._at_once, self._progress = four_eyes, at_once, progress

    async def run(self, roll: Roll) -> Summary:
        """Everything that is not on the chain yet. Interrupted, it is called again with the same files."""
        self._check(roll)
        earlier = 0
        if roll.accounts:
            assert self._registrar is not None, "checked"
            earlier += await self._stage("accounts", list(_account_steps(roll.accounts)), self._registrar)
        parts = [list(self._security_steps(one)) for one in roll.securities]
        done, total = 0, roll.holdings
        for wave in zip_longest(*parts):  # the parts of one register in order, those of many side by side
            steps = [step for step in wave if step is not None]
            earlier += await self._stage("holdings", steps, self._operator, done, total)
            done += sum(step.rows for step in steps)
        return Summary(len(roll.accounts), len(roll.securities), roll.holdings, earlier)

    def _check(self, roll: Roll) -> None:
        if roll.accounts and self._registrar is None:
            raise RollRefused(
                "accounts are to be registered, and no registrar is named",
                where="registrar",
                next_step="name account and key in section [registrar]",
            )
        legacy = next((one for one in roll.securities if one.legacy), None)
        if legacy is not None and not self._four_eyes:
            raise RollRefused(
                f"存量超限名册须双人复核 / the legacy register {legacy.reference} takes a second signature",
                where=f"securities, line {legacy.line}",
                next_step="name a governor of another legal entity in section [cosigner]",
            )

    async def _stage(
        self, stage: str, steps: Sequence[Step], submitter: Submitter, before: int = 0, total: int = 0
    ) -> int:
        """Hands in all steps; how many rows had been brought in before."""
        done, earlier = before, 0
        total = total or sum(step.rows for step in steps)
        parts = [steps[start : start + self._at_once] for start in range(0, len(steps), self._at_once)]
        known = [submitter.done([step.job for step in part]) for part in parts]
        sent: deque[asyncio.Task[list[Entry]]] = deque()
        try:
            for place, part in enumerate(parts):
                for later in parts[place + len(sent) : place + IN_FLIGHT]:  # signed while those before become final
                    sent.append(asyncio.create_task(submitter.submit([step.job for step in later])))
                entries = await sent.popleft()
                earlier += sum(step.rows for step in part if step.job.business_id in known[place])
                refused = [(step, entry) for step, entry in zip(part, entries, strict=True) if not entry.done]
                if refused:
                    raise _stopped(refused)
                done += sum(step.rows for step in part)
                self._progress(stage, done, total)
        finally:  # what was sent and not told is in the journal
            for task in sent:
                task.cancel()
            await asyncio.gather(*sent, return_exceptions=True)
        return earlier

    def _security_steps(self, one: SecurityLine) -> Iterator[Step]:
        """The register in one transaction where it fits: registered, filled and live, or not there at all."""
        security = self._naming.security(one.reference)
        chunks = [one.rows[start : start + PART_ROWS] for start in range(0, len(one.rows), PART_ROWS)]
        for number, chunk in enumerate(chunks):
            operations = [self._registering(one)] if number == 0 else []
            operations += [
                Operation(
                    KERNEL, "register_holding", {"security": security, "rows": self._rows(chunk[at : at + MAX_ROWS])}
                )
                for at in range(0, len(chunk), MAX_ROWS)
            ]
            if number == len(chunks) - 1:
                operations.append(Operation(KERNEL, "activate_security", {"security": security}))
            name = f"roll:{sm3(one.reference.encode())[:16].hex()}:{number}"
            job = Job(name, tuple(operations), one.business_time_ms, cosigned=one.legacy and number == 0)
            lines = f"securities, line {one.line}; holdings, lines {chunk[0].line}-{chunk[-1].line}"
            where = f"security {one.reference} ({lines})"
            yield Step(job, where, len(chunk))

    def _registering(self, one: SecurityLine) -> Operation:
        listing: dict[str, Value] = {
            "reference": one.reference,
            "name": one.name,
            "issuer": self._naming.account(one.issuer),
            "province": one.province,
            "unit_decimals": one.unit_decimals,
            "declared": one.declared,
            "legacy": one.legacy,
        }
        return Operation(KERNEL, "register_security", listing)

    def _rows(self, lines: Sequence[HoldingLine]) -> list[Value]:
        return [
            {
                "account": self._naming.account(line.holder),
                "quantity": line.quantity,
                "acquired_day": line.acquired_day,
            }
            for line in lines
        ]


def _account_steps(lines: Sequence[AccountLine]) -> Iterator[Step]:
    """Parties, as many a transaction as it takes operations."""
    for start in range(0, len(lines), MAX_OPERATIONS):
        part = lines[start : start + MAX_OPERATIONS]
        operations = []
        for line in part:
            keys: dict[str, Value] = {"transaction": [line.key]} if line.key else {}
            arguments: dict[str, Value] = {
                "reference": line.reference,
                "entity": line.entity,
                "roles": [],
                "keys": keys,
            }
            operations.append(Operation(ACCOUNTS, "register", arguments))
        content = "\n".join(f"{line.reference}\t{line.entity}\t{line.key.hex()}" for line in part)
        job = Job(f"accounts:{sm3(content.encode())[:16].hex()}", tuple(operations))
        yield Step(job, f"accounts, lines {part[0].line}-{part[-1].line}", len(part))


def _stopped(refused: Sequence[tuple[Step, Entry]]) -> ImportStopped:
    step, entry = refused[0]
    more = f" ({len(refused)} parts in all)" if len(refused) > 1 else ""
    return ImportStopped(
        f"{entry.text or f'code {entry.code} {entry.rule}'}{more}",
        where=f"{step.where}, height {entry.height}",
        next_step="mend these lines and give the same files again: what is final is not sent twice",
    )
