"""An enterprise in one market, by credit code: its record, every security it issued, each with its whole roll
(docs/spec/see-through.md §5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.values import decode_map
from chain_core.execution.account_records import RECORD_PREFIX, AccountRecord, decode_record
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value
from contracts.kernel.codes import CREDIT_CODE, code_key
from contracts.kernel.records import ENTERPRISE, SECURITY
from contracts.kernel.roll import ISSUED_HEAD, issued_chunk_key
from crosschain.complete_lists import ListEvidence, Question, Values
from crosschain.looking.inquiry import Fresh, Inquiry, prove
from crosschain.looking.securities import NamedSecurity, freeze_keys, own, record_keys, security_of
from crosschain.proofs import Holders, roll_of, roll_question


@dataclass(frozen=True, slots=True)
class IssuedSecurity:
    """A security with all of its holders."""

    security: NamedSecurity
    total: int
    holders: Holders


@dataclass(frozen=True, slots=True)
class EnterpriseInMarket:
    """An enterprise under ``header``; no ``account``: proven that no account of the market has the code."""

    header: Header
    credit_code: str
    account: bytes | None
    record: AccountRecord | None = None
    province: str = ""
    attributes: Mapping[str, Value] | None = None
    securities: tuple[IssuedSecurity, ...] = ()


@dataclass(frozen=True, slots=True)
class EnterpriseInquiry(Inquiry):
    """What is asked about the enterprise with ``credit_code``."""

    credit_code: str

    @property
    def what(self) -> str:
        return f"enterprise {self.credit_code}"

    @property
    def code_key(self) -> bytes:
        """Where the code leads from."""
        return own(code_key(CREDIT_CODE, self.credit_code))

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        yield [self.code_key]
        account = known[self.code_key]
        if account is None:
            return
        if len(account) != ACCOUNT_ID_SIZE:
            raise self.refuse("the code leads to something that is no account")
        yield [RECORD_PREFIX + account, own(ENTERPRISE + account)]
        issued = issued_list(account)
        yield [issued.first[0]]
        yield issued.chunks(known[issued.first[0]])
        securities = issued.named(known)
        yield [key for security in securities for key in record_keys(security)]
        rolls = [roll_question(security) for security in securities]
        yield [key for security in securities for key in freeze_keys(known, security)]
        yield [roll.first[1] for roll in rolls]
        yield [key for roll in rolls for key in roll.chunks(known[roll.first[1]])]
        yield [roll.record(account) for roll in rolls for account in roll.named(known)]


def issued_list(account: bytes) -> Question:
    """The complete list of what an account issued; a security's record is that of its entry."""
    return Question(
        f"securities issued by {account.hex()}",
        (own(ISSUED_HEAD + account),),
        lambda number: own(issued_chunk_key(account, number)),
        lambda security: own(SECURITY + security),
    )


def check_enterprise(
    view: ChainView, credit_code: str, evidence: ListEvidence, fresh: Fresh | None = None
) -> EnterpriseInMarket:
    """What the evidence proves of the enterprise, complete. Raises InvalidProof, MalformedBytes."""
    inquiry = EnterpriseInquiry(credit_code)
    header, values = prove(view, inquiry, evidence, fresh or Fresh())
    account = values[inquiry.code_key]
    if account is None:
        return EnterpriseInMarket(header, credit_code, None)
    raw, record = values[own(ENTERPRISE + account)], values[RECORD_PREFIX + account]
    if raw is None or record is None:
        raise inquiry.refuse(f"the code leads to {account.hex()}, which is registered as no enterprise")
    row = decode_map(raw, "enterprise")
    if row["credit_code"] != credit_code:
        raise inquiry.refuse(f"enterprise {account.hex()} has another code than the one that leads to it")
    securities = []
    for security in issued_list(account).named(values):
        found = security_of(inquiry, values, security)
        if found.record.issuer != account:
            raise inquiry.refuse(f"security {security.hex()} is listed, but another account issued it")
        securities.append(IssuedSecurity(found, *roll_of(security, values)))
    return EnterpriseInMarket(
        header,
        credit_code,
        account,
        decode_record(record),
        cast(str, row["province"]),
        cast(Mapping[str, Value], row["attributes"]),
        tuple(securities),
    )
