"""One seed: markets, relayers and a regulator over some hundred ticks; what goes wrong, and how it is put right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from chain_core.codec.block import decode_header, encode_header, header_hash, header_message
from chain_core.codec.evidence import encode_equivocation, equivocation
from chain_core.codec.proofs import decode_packet, packet_hash
from chain_core.codec.seen import state_key
from chain_core.types.evidence import Statement
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.light_client import MAX_AGE_MS
from crosschain.packets import ALL_SERVICES, client_key
from crosschain.relayer import planner
from tests.border_simulation import asking, courier, exchange
from tests.border_simulation.chain import SimChain
from tests.border_simulation.setting import Setting, newcomer
from tests.unit.crosschain.chains import account, op, security

TICK_MS = 1_000
HOLDERS = ("holder", "buyer", "issuer")
OTHER = bytes(31) + b"\x01"


class Violation(AssertionError):
    """A promise of the border is broken; the seed replays it."""


@dataclass
class Market:
    """One local chain with its faults; ``other`` is the branch that half of its validators' double signing made."""

    code: str
    chain: SimChain
    other: SimChain | None = None
    forked_at: int = 0
    chosen: bool = False
    headers: set[bytes] = field(default_factory=set)
    waiting: list[Operation] = field(default_factory=list)
    """What relayers have sent towards it and no block took yet."""
    quiet: bool = False
    silent_until: int = 0
    business: int = 0
    executed: dict[int, list[int]] = field(default_factory=dict)
    """By branch, the directives in the order of their execution."""
    old: list[Operation] = field(default_factory=list)
    """What was carried up once, for whoever repeats it; ``old_down``: the same of the channel towards the market."""
    old_down: list[Operation] = field(default_factory=list)

    def branches(self) -> list[SimChain]:
        return [self.chain] if self.other is None else [self.chain, self.other]


@dataclass
class World:
    """``run`` goes through the ticks, then heals everything and lets honest relayers finish."""

    setting: Setting
    rng: random.Random
    ticks: int
    tally: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.above = self.setting.supervisory
        self.now_ms = self.began_ms = self.setting.now_ms
        self.markets = [Market(code, chain) for code, chain in self.setting.locals.items()]
        self.by_hash = {market.chain.hash: market for market in self.markets}
        self.delivered: dict[tuple[bytes, str, int], bytes] = {}
        self.upward: list[tuple[str, tuple[Operation, ...], bool]] = []
        """(who, operations, whether they must be refused)."""
        self.orders: dict[bytes, list[tuple[str, str]]] = {market.chain.hash: [] for market in self.markets}
        self.drill = self._faults()

    def _faults(self) -> dict[str, list[Market]]:
        """Which markets go wrong, and how; the rest is honest."""
        chosen = self.rng.sample(self.markets, min(8, len(self.markets)))
        return {
            "forkers": chosen[:2],
            "equivocators": chosen[2:3],
            "conspirators": chosen[3:4],
            "changers": chosen[4:6] if self.rng.random() < 0.5 else [],
            "silent": chosen[6:8],
        }

    def count(self, what: str, by: int = 1) -> None:
        self.tally[what] = self.tally.get(what, 0) + by

    # ---- the run

    def run(self) -> None:
        jump = self.rng.randrange(self.ticks) if self.rng.random() < 0.25 else -1
        for tick in range(self.ticks):
            self.now_ms += TICK_MS if tick != jump else MAX_AGE_MS + TICK_MS
            self._misbehave(tick)
            if self.rng.random() < 0.5:
                self._direct()
            asking.ask(self)
            for market in self.markets:
                self._live(market, tick)
            self._relay_some()
            self._block_above()
            if tick % 7 == 0:
                self._regulate()
        self.heal()

    def heal(self) -> None:
        """Faults end, the regulator decides what is open, honest relayers carry until nothing is left."""
        for market in self.markets:
            market.silent_until = 0
        for _ in range(120):
            self.now_ms += TICK_MS
            self._regulate()
            busy = False
            for market in self.markets:
                up, down = courier.plan_up(self.above, market.chain), courier.plan_down(self.above, market.chain)
                if up:
                    self.upward.append(("courier", up, False))
                if down:
                    market.waiting.extend(down)
                asking.serve(self, market, market.chain, "honest")
                self._local_block(market, 0)
                heartbeat_only = not down or not down[0].args.get("directives")
                busy |= bool(self._pending(market)) or not heartbeat_only or exchange.waits(self.above, market.chain)
            self._block_above()
            if not busy and not self.upward and not self._open_decisions():
                return
        stuck = {market.code: self._stuck(market) for market in self.markets if self._stuck(market)}
        raise Violation(f"the relayers do not come to an end: {stuck}")

    def _stuck(self, market: Market) -> str:
        """Why a market is not done, for the report."""
        up, down = courier.plan_up(self.above, market.chain), courier.plan_down(self.above, market.chain)
        waits = bool(down) and bool(down[0].args.get("directives"))
        if not self._pending(market) and not waits and self._position(market).frozen < 0:
            return ""
        tried = self.above.block(self.now_ms, self.above.sign("courier", self.now_ms, *up)) if up else []
        told = [f"{one.rule} {one.parameters}" for one in tried]
        return f"{self._pending(market)}, {self._position(market)}, up {[o.method for o in up]} {told}, waits {waits}"

    def _pending(self, market: Market) -> dict[str, int]:
        arrived = courier.arrived_from(self.above, market.chain)
        return planner.pending(arrived, courier.source_of(market.chain, self.above))

    def _open_decisions(self) -> bool:
        return any(self._position(market).frozen >= 0 for market in self.markets)

    def _position(self, market: Market) -> Position:
        return decode_position(self.above.get(client_key(market.chain.hash)))

    # ---- markets

    def _live(self, market: Market, tick: int) -> None:
        if tick < market.silent_until:
            return
        if market.waiting or self.rng.random() < 0.25:
            self._local_block(market, self.rng.randrange(3))

    def _local_block(self, market: Market, business: int) -> None:
        """The next block of each branch; both are certified by the same validators."""
        operations, market.waiting = market.waiting, []
        for index, chain in enumerate(market.branches()):
            envelopes = [chain.sign("courier", self.now_ms, operation) for operation in operations]
            for _ in range(business + (index and self.rng.randrange(2))):
                market.business += 1
                envelopes.append(chain.sign("operator", self.now_ms, security(f"S{market.business}")))
            self.rng.shuffle(envelopes)
            chain.block(self.now_ms, *envelopes)
            market.headers.add(chain.ledger.headers[-1])
            done = market.executed.setdefault(index, [])
            done += [cast(int, row["sequence"]) for name, what, row in chain.events if what == "directive"]
            self.count("local blocks")

    def _misbehave(self, tick: int) -> None:
        if tick == self.ticks // 4:
            for market in self.drill["forkers"]:
                self._local_block(market, 1)
                market.other, market.forked_at = market.chain.copy(market.chain.signatures), market.chain.height + 1
                market.executed[1] = list(market.executed.get(0, []))
            for market in self.drill["silent"]:
                market.silent_until = tick + self.ticks // 2
            for market in self.drill["changers"]:
                self._change_validators(market)
        if tick == self.ticks // 2:
            for market in self.drill["equivocators"]:
                self._equivocate(market, 1)
            for market in self.drill["conspirators"]:
                self._equivocate(market, 2)
            for market in self.drill["forkers"]:
                self._report_fork(market)

    def _change_validators(self, market: Market) -> None:
        """Governors add a validator, and blocks go by until the barrier."""
        chain = market.chain
        content = cast(dict[str, Value], newcomer(chain.name))
        row: dict[str, Value] = {"kind": "add_validator", "content": content, "effective_height": 0}
        chain.block(self.now_ms, chain.sign("governor-1", self.now_ms, Operation("governance", "propose", row)))
        number = cast(int, chain.value(state_key("governance", b"last")))
        approve = op("governance", "approve", proposal=number)
        chain.block(self.now_ms, chain.sign("governor-2", self.now_ms, approve))
        while chain.executor.barrier(chain.ledger) is None or chain.height < (
            chain.executor.barrier(chain.ledger) or 0
        ):
            chain.block(self.now_ms)
            if chain.executor.epoch_at(chain.ledger, chain.height).epoch:
                break
        market.headers.update(chain.ledger.headers)
        self.count("changes of validators")

    def _equivocate(self, market: Market, validators: int) -> None:
        """So many validators sign a second header of the last height, and somebody reports it."""
        chain = market.chain
        if chain.height == 0:
            self._local_block(market, 1)
        raw = chain.ledger.headers[-1]
        header = decode_header(raw)
        members = chain.executor.epoch_at(chain.ledger, header.height).validators
        other = encode_header(replace(header, state_root=OTHER))
        for signer in range(validators):
            pairs = []
            for one in (raw, other):
                message = header_message(chain.hash, header_hash(one))
                pairs.append((one, chain.signatures.sign(chain.keys[members.key(signer)], message)))
            proof = encode_equivocation(equivocation(Statement.HEADER, (0, header.epoch, signer), pairs[0], pairs[1]))
            report = op("clients", "report_equivocation", chain=chain.hash, proof=proof)
            self.upward.append(("courier", (report,), False))
        self.count("equivocators", validators)

    def _report_fork(self, market: Market) -> None:
        if market.other is None:
            return  # its headers gave it away, and the regulator has chosen
        while market.chain.height < market.forked_at:
            self._local_block(market, 1)
        rows: list[Value] = []
        for chain in market.branches():
            certified = chain.certified(market.forked_at)
            rows.append({"header": certified.header, "certificate": certified.certificate})
        if rows[0] != rows[1]:
            report = op("clients", "report_fork", chain=market.chain.hash, headers=rows)
            self.upward.append(("courier", (report,), False))
            self.count("forks")

    # ---- relayers

    def _relay_some(self) -> None:
        """Some relayers work in this tick: alone, racing each other, lying, repeating what was carried."""
        for market in self.rng.sample(self.markets, max(1, len(self.markets) // 2)):
            kind = self.rng.choices(("honest", "race", "lie", "withhold", "repeat", "asleep"), (6, 2, 2, 1, 1, 2))[0]
            if kind == "asleep":
                continue
            branch = self.rng.choice(market.branches()) if not market.chosen else market.chain
            up, down = courier.plan_up(self.above, branch), courier.plan_down(self.above, market.chain)
            asking.serve(self, market, branch, kind)
            if kind == "repeat" and market.old:
                self.upward.append(("courier", (self.rng.choice(market.old),), False))
            if kind == "lie" and up:
                self.upward.append(("operator", courier.lie(up, self.rng), True))
                self.count("lies")
            if kind == "lie" and down:
                market.waiting.extend(courier.lie(down, self.rng))
            if kind == "withhold":
                if up:
                    self.upward.append(("operator", courier.withheld(up, self.rng), False))
                market.waiting.extend(courier.withheld(down, self.rng))
            if kind in ("honest", "race"):
                for who in ("courier", "second operator")[: 1 + (kind == "race")]:
                    if up:
                        self.upward.append((who, up, False))
                        market.old.extend(up)
                    market.waiting.extend(down)

    def _block_above(self) -> None:
        """A supervisory block of what was sent, in any order."""
        sent, self.upward = self.upward, []
        self.rng.shuffle(sent)
        envelopes = [self.above.sign(who, self.now_ms, *operations) for who, operations, _ in sent]
        receipts = self.above.block(self.now_ms, *envelopes)
        for (_, operations, forged), receipt in zip(sent, receipts, strict=True):
            if forged and receipt.code == 0:
                raise Violation(f"a lie was believed: {operations[0].contract}.{operations[0].method}")
        self._watch()
        self.count("supervisory blocks")

    def _watch(self) -> None:
        """Every packet at most once, whatever was sent how often."""
        for _, what, row in self.above.events:
            if what != "delivered":
                continue
            place = (cast(bytes, row["source"]), cast(str, row["channel"]), cast(int, row["sequence"]))
            if place in self.delivered:
                raise Violation(f"packet {place[1:]} was delivered twice")
            self.delivered[place] = cast(bytes, row["packet"])
            self.count("packets")

    # ---- the regulator

    def _regulator(self, who: str, *operations: Operation) -> list[Receipt]:
        receipts = self.above.block(self.now_ms, *(self.above.sign(who, self.now_ms, one) for one in operations))
        self._watch()
        return receipts

    def _direct(self) -> None:
        """A directive to one market, by two officers."""
        market = self.rng.choice(self.markets)
        kind, subject = self.rng.choice(_SUBJECTS)(self.rng)
        args: dict[str, Value] = {
            "chain": market.chain.hash,
            "kind": kind,
            "deadline_ms": self.now_ms + 40_000,
            "reference": "order",
            **subject,
        }
        (issued,) = self._regulator("csrc-1", Operation("directives", "issue", args))
        queue = cast(dict[str, int], self.above.value(state_key("directives", b"q")))
        (confirmed,) = self._regulator("csrc-2", op("directives", "confirm", number=queue["last"]))
        if (issued.code, confirmed.code) != (0, 0):
            raise Violation(f"a directive is refused: {issued.rule} {confirmed.rule}")
        self.orders[market.chain.hash].append((kind, str(next(iter(subject.values()), ""))))
        self.count("directives")

    def _regulate(self) -> None:
        """Chooses a branch where a client is frozen, and confirms where one is stale."""
        for market in self.markets:
            position = self._position(market)
            chain = market.chain.hash
            if position.frozen >= 0:
                if market.other is not None and not market.chosen:
                    self._choose(market)
                height = max(position.frozen, market.chain.height)
                while market.chain.height < height:
                    self._local_block(market, 0)
                self._recover(market, height)
            elif self.now_ms - max(position.time_ms, self.began_ms) > MAX_AGE_MS:
                if market.chain.height <= position.height:
                    self._local_block(market, 0)
                digest = header_hash(market.chain.ledger.headers[-1])
                one = op("clients", "confirm_stale", chain=chain, height=market.chain.height, header_hash=digest)
                codes = [self._regulator(who, one)[0].code for who in ("csrc-1", "csrc-2")]
                if codes != [0, 0]:
                    raise Violation(f"no confirmation: {codes}")
                if codes == [0, 0]:
                    self.upward.append(("courier", courier.plan_up(self.above, market.chain), False))
                    self.count("stale clients confirmed")

    def _choose(self, market: Market) -> None:
        """From here on the market has one branch: either."""
        assert market.other is not None
        if self.rng.random() < 0.5:
            market.chain, market.other = market.other, market.chain
            market.executed[0] = market.executed[1]
        market.other, market.chosen = None, True

    def _recover(self, market: Market, height: int) -> None:
        certified = market.chain.certified(height)
        header = decode_header(certified.header)
        args: dict[str, Value] = {
            "chain": market.chain.hash,
            "header": certified.header,
            "certificate": certified.certificate,
            "reference": "decision",
        }
        if header.next_validator_set_hash != header.validator_set_hash:
            self._local_block(market, 0)
            return
        (proposed,) = self._regulator("csrc-1", Operation("clients", "propose_recovery", args))
        decided = op("clients", "confirm_recovery", chain=market.chain.hash, header_hash=header_hash(certified.header))
        (confirmed,) = self._regulator("csrc-2", decided)
        if (proposed.code, confirmed.code) != (0, 0):
            raise Violation(f"no recovery: {proposed.rule} {proposed.parameters} {confirmed.rule}")
        self.count("recoveries")


def _holder(kind: str) -> Callable[[random.Random], tuple[str, dict[str, Value]]]:
    return lambda rng: (kind, {"account": account(rng.choice(HOLDERS))})


_SUBJECTS: list[Callable[[random.Random], tuple[str, dict[str, Value]]]] = [
    _holder("freeze_holder"),
    _holder("freeze_holder"),
    _holder("unfreeze_holder"),
    lambda rng: (rng.choice(("halt_service", "resume_service")), {"service": ALL_SERVICES}),
    lambda rng: ("halt_template", {"template": "csrc.negotiated-transfer"}),
    lambda rng: ("resume_template", {"template": "csrc.negotiated-transfer"}),
    lambda rng: ("rectify", {}),
]


def digests_of(chain: SimChain) -> dict[tuple[str, int], bytes]:
    """Digest of every packet that the chain ever sent, by channel and sequence."""
    found: dict[tuple[str, int], bytes] = {}
    for outbox in chain.ledger.outboxes:
        for raw in outbox:
            packet = decode_packet(raw)
            found[packet.channel, packet.sequence] = packet_hash(raw)
    return found
