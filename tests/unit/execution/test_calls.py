"""What a contract can and cannot do: limits, packets, grants, hooks, faults (docs/spec/execution.md §2-§4)."""

from collections.abc import Sequence

import pytest

from chain_core.codec.proofs import MAX_PACKET_BYTES, decode_packet
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.execution.codes import Code, EngineFault, Poisoned, Refused
from chain_core.execution.context import sequence_key
from chain_core.execution.contract import Arguments, BlockOutcome, CallContext, Contract, Hook, Lane, Method, RuleText
from chain_core.execution.executor import Executor
from chain_core.ledger.errors import StoreFailed
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation
from tests.unit.execution.world import GENESIS_HASH, World, account, genesis, key, op

TRANSFER = op("coins", "transfer", to=account("bob"), amount=1)


@pytest.mark.parametrize(
    ("operation", "code", "limit"),
    [
        (op("coins", "note", key=bytes(245), size=65_536), Code.OK, ""),
        (op("coins", "note", key=bytes(246), size=1), Code.LIMIT, "key_bytes"),
        (op("coins", "note", key=b"", size=65_537), Code.LIMIT, "value_bytes"),
        (op("coins", "report", channel="up", count=64), Code.OK, ""),
        (op("coins", "report", channel="up", count=65), Code.LIMIT, "packets"),
        (op("coins", "report", channel="up", count=1, size=MAX_PACKET_BYTES - 100), Code.OK, ""),
        (op("coins", "report", channel="up", count=1, size=MAX_PACKET_BYTES), Code.LIMIT, "packet_bytes"),
        (op("coins", "shout", count=1_023, size=1), Code.OK, ""),
        (op("coins", "shout", count=1_024, size=1), Code.LIMIT, "events"),
        (op("coins", "shout", count=20, size=4_000), Code.LIMIT, "event_bytes"),
        (op("coins", "scatter", count=4_094), Code.OK, ""),
        (op("coins", "scatter", count=4_095), Code.LIMIT, "writes"),
    ],
)
def test_limits_refuse_and_leave_nothing(operation: Operation, code: Code, limit: str) -> None:
    """The transfer before it in the same transaction has written two keys and emitted one event."""
    world = World.begin()
    receipt = world.one("alice", TRANSFER, operation)
    assert (receipt.code, receipt.rule) == (code, limit)
    if code == Code.LIMIT:
        assert world.balance("alice") == 1_000
        assert world.last is not None
        assert (world.last.writes, world.last.outbox) == ({}, ())


def test_packets_have_their_sequence_from_state() -> None:
    world = World.begin()
    world.one("alice", op("coins", "report", channel="up", count=2))
    world.one("alice", op("coins", "report", channel="up", count=65))
    world.one("alice", op("coins", "report", channel="side", count=1))
    world.one("alice", op("coins", "report", channel="up", count=1))
    assert world.last is not None
    (raw,) = world.last.outbox
    packet = decode_packet(raw)
    assert (packet.source_genesis, packet.channel, packet.sequence, packet.kind) == (GENESIS_HASH, "up", 2, "report")
    assert decode_value(packet.payload) == {"number": 0}
    assert decode_value(world.state[sequence_key(bytes(32), 0, "up")]) == 3


def test_the_outbox_follows_the_order_of_execution() -> None:
    world = World.begin()
    batch = [world.sign(name, op("coins", "report", channel=name, count=1)) for name in ("bob", "alice")]
    assert [decode_packet(raw).channel for raw in world.execute(*batch).outbox] == ["bob", "alice"]


class Vault(Contract):
    """Keeps its state in the namespace of coins, where it may."""

    name = "vault"

    def __init__(self) -> None:
        self.methods = {"take": Method(self.take), "peek": Method(self.peek), "try": Method(self.attempt)}

    def take(self, ctx: CallContext, args: Arguments) -> None:
        coins = ctx.within("coins")
        coins.put(b"vault", b"full")
        coins.delete(ctx.account)
        assert coins.get(b"vault") == ctx.read("coins", b"vault") == b"full"
        assert ctx.get(b"vault") is None

    def peek(self, ctx: CallContext, args: Arguments) -> None:
        ctx.put(b"seen", ctx.read("coins", account("bob")) or b"")

    def attempt(self, ctx: CallContext, args: Arguments) -> None:
        def fail() -> None:
            ctx.put(b"half", b"done")
            ctx.emit("half")
            ctx.record_move("half")
            ctx.send_packet(bytes(32), 0, "half", "half", {})
            ctx.refuse("vault.no")

        ctx.put(b"before", b"1")
        refusal = ctx.attempt(fail)
        assert refusal is not None and refusal.rule == "vault.no"
        assert ctx.rehearse(lambda: ctx.put(b"rehearsed", b"1")) is None
        assert ctx.attempt(lambda: ctx.put(b"kept", b"1")) is None


def test_a_granted_namespace_can_be_written() -> None:
    world = World.begin(contracts=(Vault(),), grants={"vault": ("coins",)})
    assert world.one("alice", op("vault", "take")).code == Code.OK
    assert world.state[state_key("coins", b"vault")] == b"full"
    assert world.balance("alice") == 0


def test_without_a_grant_the_node_halts() -> None:
    world = World.begin(contracts=(Vault(),))
    with pytest.raises(EngineFault, match="vault was granted no access"):
        world.one("alice", op("vault", "take"))


def test_anybody_may_read() -> None:
    world = World.begin(contracts=(Vault(),))
    assert world.one("alice", op("vault", "peek")).code == Code.OK
    assert world.state[state_key("vault", b"seen")] == world.state[state_key("coins", account("bob"))]


def test_an_attempt_is_taken_back_when_refused_and_a_rehearsal_always() -> None:
    world = World.begin(contracts=(Vault(),))
    assert world.one("alice", op("vault", "try")).code == Code.OK
    assert world.last is not None
    assert set(world.last.writes) == {state_key("vault", b"before"), state_key("vault", b"kept")}
    assert (world.last.outbox, world.last.events) == ((), (b"\x07\0\0\0\0",))


class Watch:
    """A hook that counts in its own namespace, and refuses or vetoes what the test tells it to."""

    name = "watch"
    rules = {"watch.before": RuleText("事前拒绝", "stopped"), "watch.after": RuleText("事后否决", "vetoed")}  # noqa: RUF012

    def __init__(self, before: str = "", after: int = 0) -> None:
        self.before = before
        self.after = after
        self.seen: list[tuple[str, Sequence[object]]] = []

    def before_call(self, ctx: CallContext, call: Operation) -> None:
        assert ctx.contract == "watch"
        if call.method == self.before:
            ctx.refuse("watch.before", ctx.account)

    def after_call(self, ctx: CallContext, call: Operation, moves: Sequence[object]) -> None:
        self.seen.append((call.method, moves))
        ctx.put(b"calls", bytes([len(ctx.get(b"calls") or b"") + 1]))
        ctx.emit("watched", method=call.method)
        if self.after and len(moves) >= self.after:
            ctx.refuse("watch.after", len(moves))


class Afterwards(Hook):
    """A hook that has nothing to do before a call."""

    name = "afterwards"
    rules = {"afterwards.no": RuleText("否决", "vetoed")}  # noqa: RUF012

    def after_call(self, ctx: CallContext, call: Operation, moves: Sequence[object]) -> None:
        assert ctx.contract == "afterwards"
        ctx.refuse("afterwards.no", call.method)


def test_a_hook_may_leave_out_what_it_has_no_use_for_and_the_rest_of_it_runs() -> None:
    receipt = World.begin(hooks=(Watch(), Afterwards())).one("alice", TRANSFER)
    assert (receipt.code, receipt.rule) == (Code.REFUSED_BY_RULE, "afterwards.no")
    receipt = World.begin(hooks=(Afterwards(), Watch("transfer"))).one("alice", TRANSFER)
    assert (receipt.code, receipt.rule) == (Code.REFUSED_BY_RULE, "watch.before")


def test_hooks_see_each_call_with_its_own_moves() -> None:
    watch = Watch()
    world = World.begin(hooks=(watch,))
    assert world.one("alice", TRANSFER, op("coins", "note", key=b"", size=0), TRANSFER).code == Code.OK
    move = (account("alice"), account("bob"), 1)
    assert watch.seen == [("transfer", (move,)), ("note", ()), ("transfer", (move,))]
    assert state_key("watch", b"calls") in world.state
    assert world.last is not None
    events = decode_value(world.last.events[0])
    assert isinstance(events, list)
    assert [row[:2] for row in events] == [  # type: ignore[index]
        ["coins", "moved"],
        ["watch", "watched"],
        ["watch", "watched"],
        ["coins", "moved"],
        ["watch", "watched"],
    ]


@pytest.mark.parametrize(
    ("hook", "rule", "parameters"),
    [
        (Watch(before="transfer"), "watch.before", (1, account("alice"))),
        (Watch(after=1), "watch.after", (1, 1)),
    ],
)
def test_a_hook_s_refusal_undoes_the_whole_transaction(hook: Watch, rule: str, parameters: tuple[object, ...]) -> None:
    world = World.begin(hooks=(hook,))
    receipt = world.one("alice", op("coins", "note", key=b"", size=1), TRANSFER)
    assert (receipt.code, receipt.rule, receipt.parameters) == (Code.REFUSED_BY_RULE, rule, parameters)
    assert world.last is not None
    assert world.last.writes == {}


def test_hooks_run_after_the_caller_s_role_and_arguments_are_accepted() -> None:
    world = World.begin(hooks=(Watch(before="mint"),))
    assert world.one("bob", op("coins", "mint", to=account("bob"), amount=1)).code == Code.FORBIDDEN
    assert world.one("alice", op("coins", "mint", to=account("bob"), amount=0)).code == Code.BAD_ARGUMENTS
    assert world.one("alice", op("coins", "mint", to=account("bob"), amount=1)).rule == "watch.before"


def test_hooks_are_no_contract_that_could_be_called() -> None:
    world = World.begin(hooks=(Watch(),))
    assert world.one("alice", op("watch", "before_call")).code == Code.UNKNOWN_CONTRACT


def test_a_bug_is_no_receipt_but_leaves_with_its_place() -> None:
    world = World.begin()
    envelope = world.sign("alice", TRANSFER, op("coins", "break"))
    with pytest.raises(Poisoned) as caught:
        world.execute(world.sign("bob", TRANSFER), envelope)
    assert caught.value.index == 1 and isinstance(caught.value.__cause__, ZeroDivisionError)
    assert envelope.transaction_id.hex() in str(caught.value)
    assert "index 1 of height 1, operation 1" in str(caught.value)


def test_what_a_quorum_skips_runs_no_operation_and_uses_its_nonce() -> None:
    world = World.begin()
    broken, fine = world.sign("alice", TRANSFER, op("coins", "break")), world.sign("bob", TRANSFER)
    result = world.executor.execute(world.context(), (broken, fine), world, world, (0,))
    assert result.codes == (Code.SKIPPED, Code.OK) and len(result.seen_added) == 2


def test_what_this_machine_cannot_do_is_no_reason_to_skip() -> None:
    world = World.begin()

    class Failing:
        def get(self, key: bytes) -> bytes | None:
            raise StoreFailed("the disk is gone", where="here", next_step="replace it")

    with pytest.raises(StoreFailed):
        world.executor.execute(world.context(), (world.sign("bob", TRANSFER),), Failing(), world)


class Phases(Contract):
    """Begins and ends blocks as the test tells it to."""

    name = "phases"
    lane = Lane.BORDER

    def __init__(self, sin: str = "") -> None:
        self.sin = sin
        self.outcomes: list[BlockOutcome] = []

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        if self.sin == "genesis packet":
            writer.send_packet(bytes(32), 0, "up", "report", {})

    def begin_block(self, ctx: CallContext) -> None:
        assert ctx.account == bytes(16) and ctx.roles == frozenset()
        ctx.put(b"begun", ctx.block.height.to_bytes(8, "big"))
        ctx.send_packet(bytes(32), 0, "up", "begin", {})
        if self.sin == "refusal":
            ctx.refuse("phases.never")
        if self.sin == "event":
            ctx.emit("never")

    def end_block(self, ctx: CallContext, outcome: BlockOutcome) -> None:
        self.outcomes.append(outcome)
        ctx.send_packet(bytes(32), 0, "up", "end", {"codes": list(outcome.codes)})


def test_blocks_begin_and_end_around_their_transactions() -> None:
    phases = Phases()
    world = World.begin(contracts=(phases,))
    world.block(world.sign("alice", op("coins", "report", channel="up", count=1)), world.sign("bob", op("x", "y")))
    assert world.last is not None
    packets = [decode_packet(raw) for raw in world.last.outbox]
    assert [(packet.kind, packet.sequence) for packet in packets] == [("begin", 0), ("report", 1), ("end", 2)]
    assert decode_value(packets[2].payload) == {"codes": [Code.OK, Code.UNKNOWN_CONTRACT]}
    assert world.state[state_key("phases", b"begun")] == (1).to_bytes(8, "big")


@pytest.mark.parametrize(("sin", "words"), [("refusal", "outside a transaction"), ("event", "events belong to")])
def test_what_a_block_phase_may_not_do(sin: str, words: str) -> None:
    world = World.begin(contracts=(Phases(sin),))
    with pytest.raises(EngineFault, match=words):
        world.block()


def test_height_0_has_no_outbox() -> None:
    executor = Executor((Phases("genesis packet"),))
    with pytest.raises(EngineFault, match="height 0"):
        executor.genesis_writes(genesis(), GENESIS_HASH)


def test_a_key_put_and_taken_away_again_is_no_write() -> None:
    """Removing what was never there is left out, so that the state tree sees only real changes."""
    world = World.begin(contracts=(Vault(),), grants={"vault": ("coins",)})
    result = world.execute(
        world.sign("alice", op("accounts", "grant", account=account("bob"))),
        world.sign("alice", op("accounts", "revoke_grant", account=account("bob"))),
    )
    assert (result.codes, result.writes) == ((0, 0), {})


def test_on_behalf_of_needs_the_principal_s_grant() -> None:
    world = World.begin()
    alice = account("alice")
    assert world.one("bob", TRANSFER, on_behalf_of=alice).rule == "accounts.no_grant"
    world.one("alice", op("accounts", "grant", account=account("bob")))
    assert world.one("bob", op("coins", "transfer", to=account("carol"), amount=9), on_behalf_of=alice).code == Code.OK
    assert (world.balance("alice"), world.balance("bob"), world.balance("carol")) == (991, 1_000, 1_009)
    assert world.one("carol", TRANSFER, on_behalf_of=alice).code == Code.FORBIDDEN
    world.one("alice", op("accounts", "revoke_grant", account=account("bob")))
    assert world.one("bob", TRANSFER, on_behalf_of=alice).code == Code.FORBIDDEN


def test_a_closed_principal_is_not_acted_for() -> None:
    world = World.begin()
    world.one("alice", op("accounts", "grant", account=account("bob")))
    world.one("alice", op("accounts", "close", account=account("alice")))
    assert world.one("bob", TRANSFER, on_behalf_of=account("alice")).rule == "accounts.no_grant"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Executor((Vault(), Vault())), "a lower-case name of its own"),
        (lambda: Executor((Vault(),), hooks=(Watch(), Watch())), "a lower-case name of its own"),
        (lambda: Executor((_named("accounts"),)), "a lower-case name of its own"),
        (lambda: Executor((_named("outbox"),)), "a lower-case name of its own"),
        (lambda: Executor((_named("Vault"),)), "a lower-case name of its own"),
        (lambda: Executor((Vault(),), grants={"vault": ("gold",)}), "not assembled"),
        (lambda: Executor((Vault(),), grants={"thief": ("vault",)}), "not assembled"),
    ],
)
def test_an_assembly_that_cannot_be(build: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()  # type: ignore[operator]


def _named(name: str) -> Contract:
    contract = Vault()
    contract.name = name
    return contract


def test_admission_knows_accounts_by_their_signing_keys() -> None:
    world = World.begin()
    known = world.executor.known_account
    assert known(world, account("alice"), key("alice"))
    assert not known(world, account("alice"), key("bob"))
    assert not known(world, bytes(16), key("alice"))


def test_refusals_can_be_read() -> None:
    assert "accounts.unknown" in str(Refused(Code.REFUSED_BY_RULE, "accounts.unknown", (b"x",)))
