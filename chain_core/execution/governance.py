"""The contract ``governance``: proposals, four-eyes approval, effective heights (docs/spec/execution.md §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution import epochs, membership, sub_ledgers
from chain_core.execution.account_records import ACCOUNTS
from chain_core.execution.arguments import MAX_INTEGER, Choice, Document, Integer
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.decisions import CONTENTS, FLAGS, Bounds, decide
from chain_core.execution.key_purposes import is_accounts
from chain_core.execution.overlay import StateReader
from chain_core.execution.parameters import (
    FLAGS_KEY,
    GOVERNANCE,
    encode_flags,
    encode_parameters,
    wrong_parameter,
)
from chain_core.execution.proposals import (
    APPLIED,
    APPROVED,
    EXPIRED,
    FAILED,
    MAX_OPEN,
    MAX_OPEN_OF_ONE,
    OPEN,
    REJECTED,
    WITHDRAWN,
    Proposal,
    ProposalBook,
    decode_agenda,
    decode_proposal,
    proposal_key,
)
from chain_core.execution.registry import GOVERNOR, Registry
from chain_core.types.genesis import Genesis

MAX_CONTENT_BYTES = 16_384

RULES: Mapping[str, RuleText] = {
    **membership.RULES,
    **sub_ledgers.RULES,
    "governance.bad_parameter": RuleText(
        "参数 {0} 不存在、不可更改或超出 {1} 至 {2}", "parameter {0} is unknown, fixed, or outside {1} to {2}"
    ),
    "governance.bad_flag": RuleText(
        "功能开关 {0} 已处于所求状态或自相矛盾", "flag {0} is so already, or named both on and off"
    ),
    "governance.unknown_flag": RuleText("本版本不支持功能开关 {0}", "this build does not know the flag {0}"),
    "governance.bad_content": RuleText("{0} 类提案的内容 {1} 不正确", "field {1} of a {0} proposal is wrong"),
    "governance.too_few_governors": RuleText(
        "变更后治理成员不足：至少需要来自两个机构的 {0} 名",
        "too few governors would be left: {0} of at least two entities are needed",
    ),
    "governance.too_many_proposals": RuleText("待决提案已达上限 {0}", "{0} proposals are pending already"),
    "governance.too_many_of_yours": RuleText(
        "该提案人的待决提案已达上限 {0}", "{0} proposals of this proposer are pending already"
    ),
    "governance.unsupported": RuleText(
        "生效时支持者已不足（支持者须仍为治理成员，且来自两个机构）",
        "not enough of its supporters are governors still, of two entities",
    ),
    "governance.unknown_proposal": RuleText("提案 {0} 不存在", "there is no proposal {0}"),
    "governance.not_open": RuleText("提案 {0} 的状态为 {1}，不可再操作", "proposal {0} is {1}: too late for this"),
    "governance.own_proposal": RuleText(
        "不得表决自己的提案（四眼原则）", "nobody votes on his own proposal (four-eyes principle)"
    ),
    "governance.voted": RuleText("已对提案 {0} 作出同样表决", "this vote on proposal {0} stands already"),
    "governance.not_yours": RuleText("只有提案人可以撤回提案 {0}", "only its proposer may withdraw proposal {0}"),
}


class Governance(Contract):
    """Changes of parameters, flags, parties and keys: proposed by one governor, supported by others, later in force."""

    name = GOVERNANCE
    lane = Lane.GOVERNANCE
    rules = RULES

    def __init__(self, bounds: Bounds, known_flags: Sequence[str], max_ledgers: int = 0) -> None:
        """``max_ledgers``: how many sub-ledgers a chain of this kind may have."""
        self._bounds, self._max_ledgers = bounds, max_ledgers
        self._known_flags = frozenset(known_flags)
        governor = frozenset((GOVERNOR,))
        number = {"proposal": Integer(1)}
        self.methods = {
            "propose": Method(
                self.propose,
                {
                    "kind": Choice(frozenset(CONTENTS)),
                    "content": Document(MAX_CONTENT_BYTES),
                    "effective_height": Integer(0, MAX_INTEGER),
                },
                governor,
            ),
            "approve": Method(self.approve, number, governor),
            "reject": Method(self.reject, number, governor),
            "withdraw": Method(self.withdraw, number, governor),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The document's parameters and flags, both checked, and its validators as epoch 0."""
        wrong = wrong_parameter(genesis.parameters, self._bounds)
        if wrong is not None:
            writer.refuse("governance.bad_parameter", *wrong)
        for flag in genesis.flags:
            if flag not in self._known_flags:
                writer.refuse("governance.unknown_flag", flag)
        writer.put(b"parameters", encode_parameters(genesis.parameters))
        writer.put(b"flags", encode_flags(genesis.flags))
        for validator in genesis.validators.validators:
            for key in (validator.consensus_key, validator.transport_key):
                if is_accounts(writer.anywhere, key):
                    writer.refuse("governance.validator_key_taken", sm3(key))
        epochs.install(writer, genesis.validators)
        membership.claim_keys(writer, 0, genesis.validators.validators)

    def propose(self, ctx: CallContext, args: Arguments) -> None:
        """A new proposal, open until approved or expired; its change is rehearsed on the state of now."""
        book, kind = ProposalBook(ctx), cast(str, args["kind"])
        content = cast(Arguments, args["content"])
        pending = [book.find(number) for number, _ in book.agenda()]
        if len(pending) >= MAX_OPEN:
            ctx.refuse("governance.too_many_proposals", MAX_OPEN)
        if sum(other is not None and other.proposer == ctx.account for other in pending) >= MAX_OPEN_OF_ONE:
            ctx.refuse("governance.too_many_of_yours", MAX_OPEN_OF_ONE)
        refusal = ctx.rehearse(lambda: decide(ctx, self._bounds, kind, content, self._max_ledgers))
        if refusal is not None:
            raise refusal
        expiry = ctx.block.height + ctx.parameters["governance_expiry"]
        proposal = Proposal(
            kind, content, ctx.account, ctx.entity, cast(int, args["effective_height"]), OPEN, expiry, {}, {}, ""
        )
        if kind in membership.CONTENTS:
            membership.reserve_keys(ctx, kind, content)
        ctx.emit("proposed", proposal=book.add(proposal), kind=kind)

    def approve(self, ctx: CallContext, args: Arguments) -> None:
        """One more supporter; enough of them, of two entities, fix the height at which the change takes effect."""
        book, number, proposal = self._pending(ctx, args, (OPEN,))
        voter = ctx.account.hex()
        if ctx.account == proposal.proposer:
            ctx.refuse("governance.own_proposal")
        if voter in proposal.approvals:
            ctx.refuse("governance.voted", number)
        approvals = {**proposal.approvals, voter: ctx.entity}
        rejections = {other: entity for other, entity in proposal.rejections.items() if other != voter}
        proposal = replace(proposal, approvals=approvals, rejections=rejections)
        if self._is_supported(ctx, proposal):
            earliest = ctx.block.height + ctx.parameters["governance_delay"]
            proposal = replace(proposal, status=APPROVED, due_height=max(earliest, proposal.requested_height))
        book.store(number, proposal)
        ctx.emit("approved", proposal=number, status=proposal.status, due_height=proposal.due_height)

    def reject(self, ctx: CallContext, args: Arguments) -> None:
        """One more opponent, until the change is in force; as many as approvals are needed end the proposal."""
        book, number, proposal = self._pending(ctx, args, (OPEN, APPROVED))
        voter = ctx.account.hex()
        if ctx.account == proposal.proposer:
            ctx.refuse("governance.own_proposal")
        if voter in proposal.rejections:
            ctx.refuse("governance.voted", number)
        approvals = {other: entity for other, entity in proposal.approvals.items() if other != voter}
        proposal = replace(proposal, approvals=approvals, rejections={**proposal.rejections, voter: ctx.entity})
        voters = Registry(ctx.within(ACCOUNTS)).voters()
        opponents = [other for other in proposal.rejections if bytes.fromhex(other) in voters]
        if len(opponents) >= ctx.parameters["governance_approvals"]:
            proposal = replace(proposal, status=REJECTED)
        book.store(number, proposal)
        ctx.emit("rejected", proposal=number, status=proposal.status)

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """The proposer takes an open proposal back."""
        book, number, proposal = self._pending(ctx, args, (OPEN,))
        if ctx.account != proposal.proposer:
            ctx.refuse("governance.not_yours", number)
        book.store(number, replace(proposal, status=WITHDRAWN))
        ctx.emit("withdrawn", proposal=number)

    def begin_block(self, ctx: CallContext) -> None:
        """A scheduled set begins at its height; proposals due take effect, in the order of their numbers; overdue open
        ones expire. One change of the set is scheduled at a time: others wait for the epoch that it begins.
        """
        book, height = ProposalBook(ctx), ctx.block.height
        epochs.begin_due(ctx, height)
        for number, due in book.agenda():
            if due > height:
                continue
            proposal = book.find(number)
            assert proposal is not None, "the agenda names a proposal that is not stored"
            if proposal.status == APPROVED:
                waits = epochs.scheduled_start(ctx) if proposal.kind in membership.CONTENTS else None
                done = self._applied(ctx, proposal) if waits is None else replace(proposal, due_height=waits)
                book.store(number, done)
            elif due < height:
                book.store(number, replace(proposal, status=EXPIRED))

    def unknown_flags(self, state: StateReader, next_height: int) -> tuple[str, ...]:
        """Flags in force at ``next_height``, as ``state`` (of the height before) decides, that this build lacks."""
        flags = set(cast(Sequence[str], decode_value(state.get(FLAGS_KEY) or b"", "flags")))
        for number, due in decode_agenda(state.get(state_key(GOVERNANCE, b"agenda"))):
            raw = state.get(state_key(GOVERNANCE, proposal_key(number))) if due <= next_height else None
            proposal = decode_proposal(raw) if raw is not None else None
            if proposal is not None and proposal.status == APPROVED and proposal.kind == FLAGS:
                flags |= set(cast(Sequence[str], proposal.content["on"]))
                flags -= set(cast(Sequence[str], proposal.content["off"]))
        return tuple(sorted(flags - self._known_flags))

    def _applied(self, ctx: CallContext, proposal: Proposal) -> Proposal:
        if not self._is_supported(ctx, proposal):  # who lost the role meanwhile supports nothing any more
            return replace(proposal, status=FAILED, outcome="governance.unsupported")
        refusal = ctx.attempt(lambda: decide(ctx, self._bounds, proposal.kind, proposal.content, self._max_ledgers))
        if refusal is None:
            return replace(proposal, status=APPLIED)
        return replace(proposal, status=FAILED, outcome=refusal.rule or refusal.code.name)

    def _pending(
        self, ctx: CallContext, args: Arguments, allowed: tuple[str, ...]
    ) -> tuple[ProposalBook, int, Proposal]:
        book, number = ProposalBook(ctx), cast(int, args["proposal"])
        proposal = book.find(number)
        if proposal is None:
            ctx.refuse("governance.unknown_proposal", number)
        if proposal.status not in allowed:
            ctx.refuse("governance.not_open", number, proposal.status)
        return book, number, proposal

    def _is_supported(self, ctx: CallContext, proposal: Proposal) -> bool:
        """Four eyes: proposer and approvers who still are governors, enough of them and not all of one entity."""
        voters = Registry(ctx.within(ACCOUNTS)).voters()
        supporters = {proposal.proposer, *(bytes.fromhex(voter) for voter in proposal.approvals)} & set(voters)
        needed = 1 + ctx.parameters["governance_approvals"]
        return len(supporters) >= needed and len({voters[supporter] for supporter in supporters}) >= 2
