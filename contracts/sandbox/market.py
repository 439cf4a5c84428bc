"""A small market in memory: the production executor, kernel, hooks and templates over a dict, a block a transaction.

Nobody signs: what is run here was not handed in. After each block the whole state is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from chain_core.codec.seen import decode_seen, state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import decode_receipt, encode_body, encode_envelope, envelope_id, transaction_id
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import ACCOUNT, Kind, Octets, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, BlockContext, Contract, Lane, Method
from chain_core.execution.executor import BlockResult, Executor
from chain_core.execution.messages import Messages
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis, GenesisAccount
from chain_core.types.transaction import Envelope, Operation, Receipt, Signer, TransactionBody
from chain_core.types.validator_set import Validator, ValidatorSet
from chain_core.types.values import Value
from contracts.assembly import market_documents, market_grants, market_parameters
from contracts.hooks.market_hook import MarketHook
from contracts.kernel import directives
from contracts.kernel.contract import Kernel
from contracts.kernel.invariants import check_state
from contracts.templates.catalogue import catalogue
from contracts.templates.compiled import Compiled
from contracts.templates.contract import Templates
from contracts.templates.filings import genesis_record, newest_key, record_key
from contracts.watch.catalogue import shipped_rules
from contracts.watch.contract import Watch
from contracts.watch.hook import WatchHook

DAY_MS, ZONE_MS = 86_400_000, 28_800_000
MONDAY = 20_738
"""Day 20,738 is Monday, 12 October 2026: the day on which every example begins, at noon."""

STAFF: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "operator": ("Exchange House", ("operator", "registrar")),
    "bank": ("Depository Bank", ("depository_bank",)),
    "governor-1": ("Exchange House", ("governor",)),
    "governor-2": ("Regulator", ("governor",)),
    "governor-3": ("Custodian", ("governor",)),
    "court": ("Courier", ()),
}
"""Who is there beside the people of a case: name -> (legal entity, chain roles)."""

_HASH = sm3(b"a market in memory")


def account_of(name: str) -> bytes:
    """The account of somebody."""
    return sm3(name.encode())[:16]


def _key(name: str) -> bytes:
    return sm3(b"x" + name.encode()) + sm3(b"y" + name.encode())


class Directives(Contract):
    """Carries a regulator's directives, as the border contract of a chain does."""

    name = "border"
    lane = Lane.BORDER

    def __init__(self) -> None:
        whom: dict[str, Kind] = {"account": ACCOUNT, "directive": Text(64)}
        which: dict[str, Kind] = {"security": Octets(16), "directive": Text(64)}
        self.methods = {
            "freeze_holder": Method(_carrier(directives.freeze_holder, "account"), whom),
            "unfreeze_holder": Method(_carrier(directives.unfreeze_holder, "account"), whom),
            "freeze_security": Method(_carrier(directives.freeze_security, "security"), which),
            "unfreeze_security": Method(_carrier(directives.unfreeze_security, "security"), which),
        }


def _carrier(directive: Callable[..., None], object_name: str) -> Callable[[CallContext, Arguments], None]:
    def carry(ctx: CallContext, args: Arguments) -> None:
        directive(ctx, args[object_name], args["directive"])

    return carry


class Market:
    """The chain after genesis, on which all ``people`` accept transfers."""

    def __init__(
        self,
        people: Sequence[str],
        *,
        parameters: Mapping[str, int] | None = None,
        templates: Sequence[Compiled] = (),
        trees: Sequence[bytes] = (),
    ) -> None:
        known = [(shipped.tree, shipped.compiled.template) for shipped in catalogue()]
        known += [(tree, compiled.template) for tree, compiled in zip(trees, templates, strict=True)]
        rules = shipped_rules()
        contracts: tuple[Contract, ...] = (Kernel(), Templates(known), Watch(rules), Directives())
        hooks = (MarketHook(), WatchHook(rules))
        self.executor = Executor(contracts, hooks=hooks, grants=market_grants("border"))
        self.messages = Messages(self.executor.assembly.contracts, hooks)
        self.state: dict[bytes, bytes] = {}
        self.height = 0
        self.time_ms = MONDAY * DAY_MS + 4 * 3_600_000 - 2_000
        self.last: BlockResult | None = None
        self._seen: dict[bytes, bytes] = {}
        self._nonces: dict[str, int] = {}
        self.state.update(self.executor.genesis_writes(_genesis(people, parameters or {}, self.time_ms), _HASH))
        for compiled in templates:
            self._put_on_file(compiled)
        self.block(*(self.sign(name, [Operation("kernel", "accept_transfers", {"accept": True})]) for name in people))

    def _put_on_file(self, compiled: Compiled) -> None:
        template = compiled.template
        row = {**genesis_record(compiled, bytes(32), ""), "filer": bytes(16), "approver": bytes(16), "entity": ""}
        self.state[state_key("templates", record_key(template.id, template.version))] = encode_value(row)
        self.state[state_key("templates", newest_key(template.id))] = template.version.to_bytes(4, "big")

    # ---- the executor's views of state

    def get(self, full: bytes) -> bytes | None:
        """A value of the state."""
        return self.state.get(full)

    def seen(self, full: bytes) -> bytes | None:
        """An entry of the tree of seen transactions."""
        return self._seen.get(full)

    def seen_expired(self, before_ms: int, limit: int) -> list[bytes]:
        """Entries that leave the tree."""
        ends = sorted((decode_seen(value).valid_until_ms, key) for key, value in self._seen.items())
        return [key for until, key in ends if until < before_ms][:limit]

    # ---- blocks

    def sign(self, name: str, operations: Sequence[Operation], cosigners: Sequence[str] = ()) -> Envelope:
        """A transaction of ``name``, with cosigners."""
        nonce = self._nonces[name] = self._nonces.get(name, 0) + 1
        ordered = sorted(cosigners, key=account_of)
        body = TransactionBody(
            0,
            account_of(name),
            nonce,
            self.time_ms + 60_000,
            tuple(operations),
            cosigners=tuple(account_of(cosigner) for cosigner in ordered),
        )
        raw_body = encode_body(body)
        signers = tuple(Signer(_key(signer), bytes(64)) for signer in (name, *ordered))
        raw = encode_envelope(raw_body, signers)
        return Envelope(raw, raw_body, body, signers, envelope_id(raw), transaction_id(raw_body))

    def block(self, *envelopes: Envelope) -> list[Receipt]:
        """One block, a second later; every invariant of the ledger is checked after it."""
        epoch = self.executor.epoch_at(self, self.height + 1).epoch
        context = BlockContext(_HASH, 0, self.height + 1, epoch, 0, self.time_ms + 1_000)
        result = self.executor.execute(context, envelopes, self, self)
        for full, value in result.writes.items():
            if value is None:
                self.state.pop(full, None)
            else:
                self.state[full] = value
        for full in result.seen_removed:
            del self._seen[full]
        self._seen.update(result.seen_added)
        self.height, self.time_ms, self.last = context.height, context.time_ms, result
        check_state(sorted(self.state.items()))
        return [decode_receipt(raw) for raw in result.receipts]

    def one(self, name: str, operations: Sequence[Operation], cosigners: Sequence[str] = ()) -> Receipt:
        """A block with one transaction; its receipt."""
        (receipt,) = self.block(self.sign(name, operations, cosigners))
        return receipt

    def text(self, receipt: Receipt, language: str = "en") -> str:
        """What a receipt says to people."""
        return self.messages.render(receipt.code, receipt.rule, receipt.parameters, language, self.get)

    @property
    def events(self) -> list[tuple[str, str, Mapping[str, Value]]]:
        """Events of the last block's first transaction."""
        if self.last is None or not self.last.events:
            return []
        rows = cast(list[list[Value]], decode_value(self.last.events[0]))
        return [(str(row[0]), str(row[1]), cast(Mapping[str, Value], row[2])) for row in rows]

    @staticmethod
    def id_of(kind: str, name: str, reference: str) -> bytes:
        """The id of what somebody made under his own reference."""
        return derive_id(_HASH, kind, account_of(name), reference)

    def arguments_of(self, contract: str, method: str) -> Mapping[str, Kind]:
        """The kinds of a contract's method. Raises KeyError for one there is not."""
        return next(c for c in self.executor.assembly.contracts if c.name == contract).methods[method].args

    @property
    def day(self) -> int:
        """The UTC+8 day of the last block."""
        return (self.time_ms + ZONE_MS) // DAY_MS


def _genesis(people: Sequence[str], parameters: Mapping[str, int], time_ms: int) -> Genesis:
    validators = ValidatorSet(
        tuple(Validator(f"v{i}", f"entity {i}", _key(f"consensus {i}"), _key(f"transport {i}")) for i in range(4))
    )
    rows = {**STAFF, **{name: (name, ()) for name in people if name not in STAFF}}
    accounts = tuple(
        GenesisAccount(account_of(name), entity, tuple(sorted(roles)), {"transaction": (_key(name),)})
        for name, (entity, roles) in rows.items()
    )
    merged = {**DEFAULT_PARAMETERS, **market_parameters(), **parameters}
    return Genesis("sandbox", "local", "BJ", time_ms, validators, merged, (), accounts, market_documents(), b"above")
