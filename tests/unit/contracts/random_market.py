"""Random business on a market in memory: every method of the kernel with random arguments, and the examples of all
templates on file, begun, interleaved with each other and left off at random. Nothing here names a template.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import (
    AccountId,
    Boolean,
    Choice,
    Integer,
    Kind,
    ListOf,
    Octets,
    Optional,
    Record,
    Text,
)
from chain_core.types.transaction import Envelope, Operation, Receipt
from contracts.sandbox.cases import CaseWrong, Story, _parsed, listed, read_cases
from contracts.sandbox.market import DAY_MS, Market, account_of
from contracts.templates.catalogue import CASES, catalogue
from contracts.templates.interface import Template
from tests.unit.contracts.observer import PREFIX, Observer

PEOPLE = ("ann", "bo", "cy", "di", "ed", "flo")
CAP = 5
FILES = [read_cases(path.read_bytes()) for path in sorted(CASES.glob("*.toml"))]
TEMPLATES: dict[str, Template] = {one.compiled.template.id: one.compiled.template for one in catalogue()}
HOURS = 3_600_000
_POOLS = {"payment": "hold", "offer": "hold", "against": "hold", "target": "security", "first": "security"}
_MADE = {"held": "hold", "pledged": "pledge", "order_placed": "order", "resolved": "resolution"}
_MADE |= {"action_announced": "action", "security_registered": "security"}
_UNTOUCHED = {"set_calendar"}
_MOVING = ("transfer", "transfer", "transfer_non_trade", "hold", "hold_cash", "move_held", "pledge", "lock_up")
_BY_HOLDERS = ("transfer", "transfer_non_trade", "hold", "pledge", "place_order", "lock_up")
_ISSUERS = {"offer", "fund_resolution", "defund_resolution", "fund_action", "withdraw_action", "disclose"}


class RecordedMarket(Market):
    """Keeps every block as it could be replayed, and lets the observer see it."""

    def __init__(self, people: tuple[str, ...], cap: int) -> None:
        self.blocks: list[tuple[int, list[bytes]]] = []
        self.observer = Observer(cap)
        super().__init__(people, parameters={"holder_cap": cap})

    def block(self, *envelopes: Envelope) -> list[Receipt]:
        receipts = super().block(*envelopes)
        assert self.last is not None
        self.blocks.append((self.time_ms, [envelope.raw for envelope in envelopes]))
        self.observer.block(self.day, self.last.events, self.state)
        return receipts


class RandomMarket:
    """One market and its open stories. Each ``act`` is a block, or the passing of days."""

    def __init__(self, files: Sequence[dict[str, Any]] = FILES) -> None:
        self.files = files
        self.market = RecordedMarket((*PEOPLE, "issuer"), CAP)
        self.ids: defaultdict[str, list[bytes]] = defaultdict(list)
        self.stories: list[tuple[Story, list[Any]]] = []
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.number = 0
        self.random = Random(0)
        self._open()

    def _open(self) -> None:
        rows = [{"account": name, "category": 2, "expires_day": "+40d"} for name in (*PEOPLE, "issuer")]
        story = Story(self.market, next(iter(TEMPLATES.values())), {})
        steps = [{"who": "operator", "do": "kernel.set_suitability", "args": {"rows": rows}}]
        steps += listed("BJ000001F.ESVUFR2401", {"ann": 40, "bo": 30, "cy": 20, "di": 10}, 1)
        cash = [{"account": name, "amount_fen": 2_000, "reference": f"in-{name}"} for name in (*PEOPLE, "issuer")]
        steps += [{"who": "bank", "do": "kernel.deposit", "args": {"rows": cash}}]
        for step in steps:
            assert story.step(step) == "", step
            self._learn()

    # ---- one step

    def act(self, random: Random) -> None:
        """Something happens."""
        self.random = random
        choice = random.random()
        if choice < 0.4:
            self.tell()
        elif choice < 0.84:
            self.ask_the_kernel()
        elif choice < 0.95:
            self.market.time_ms += random.choice((1, 1, 2, 4)) * DAY_MS
            self.market.block()
        else:
            self.direct()

    def _learn(self) -> None:
        for _, name, fields in self.market.events:
            word = _MADE.get(name)
            if word is not None:
                self.ids[word].append(fields[word])  # type: ignore[arg-type]

    def _count(self, what: str, refused: str) -> None:
        (self.refused if refused else self.accepted)[what] += 1
        self._learn()

    def fresh(self) -> str:
        self.number += 1
        return f"r-{self.number}"

    # ---- stories: the templates' own examples

    def tell(self) -> None:
        """The next step of one of the open stories, or a new story; now and then a step is left out or repeated."""
        if not self.stories or (len(self.stories) < 6 and self.random.random() < 0.1):
            self.stories.append(self._story())
        story, steps = self.stories[-1] if self.random.random() < 0.7 else self.random.choice(self.stories)
        place = 0 if self.random.random() < 0.9 else self.random.randrange(len(steps))
        step = steps[place] if self.random.random() < 0.05 else steps.pop(place)
        if not steps:
            self.stories = [open_story for open_story in self.stories if open_story[1]]
        story.names["security"] = story.names.get("security") or self._id("security")
        if "day" in step:
            return
        before = self.market.height
        try:
            refused = story.step(step)
        except (CaseWrong, KeyError):
            return
        if self.market.height > before:
            what = step["do"] if "." in step["do"] else f"{story.template.id}.{step['do']}"
            self._count(what, refused)

    def _story(self) -> tuple[Story, list[Any]]:
        file = self.random.choice(self.files)
        case = self.random.choice(file["case"])
        names = [name for name in file.get("people", []) if name != "issuer"]
        players = self.random.sample(PEOPLE, len(PEOPLE)) * len(names)
        cast = dict(zip(names, players, strict=False))
        params = self._recast({**file.get("params", {}), **case.get("params", {})}, cast)
        if "reference" in params:
            params["reference"] = self.fresh()
        setup: list[Any] = [*file.get("setup", {}).get("steps", []), *case.get("setup", [])]
        played = {cast[name]: name for name in reversed(names)}  # the first of those whom each person plays
        holdings = {
            name: n
            for name, n in file.get("setup", {}).get("holdings", {}).items()
            if name in cast and played[cast[name]] == name
        }
        holdings = dict(list(holdings.items())[:CAP])
        if holdings and self.random.random() < 0.7:
            setup = [*listed(self.fresh(), holdings, file["setup"].get("instrument", 1)), *setup]
        cash = file.get("setup", {}).get("cash", {})
        rows = [{"account": name, "amount_fen": amount, "reference": ""} for name, amount in cash.items()]
        if rows:
            setup.insert(0, {"who": "bank", "do": "kernel.deposit", "args": {"rows": rows}})
        steps = [self._recast(_parsed(s) if isinstance(s, str) else dict(s), cast) for s in [*setup, *case["steps"]]]
        for step in steps:
            step.setdefault("reference", self.fresh())
            for row in (step.get("args", {}), *(step.get("args", {}).get("rows", []))):
                if isinstance(row, dict) and "reference" in row:
                    row["reference"] = self.fresh()
        return Story(self.market, TEMPLATES[file["template"]], params), steps

    def _recast(self, given: Any, cast: dict[str, str]) -> Any:
        """The same with other people."""
        if isinstance(given, dict):
            return {name: self._recast(item, cast) for name, item in given.items()}
        if isinstance(given, list):
            return [self._recast(item, cast) for item in given]
        if isinstance(given, str) and cast:
            return re.sub("|".join(rf"\b{name}\b" for name in cast), lambda found: cast[found[0]], given)
        return given

    # ---- the kernel's methods

    def ask_the_kernel(self) -> None:
        """One method with arguments that mostly fit."""
        methods = next(c for c in self.market.executor.assembly.contracts if c.name == "kernel").methods
        name = self.random.choice(_MOVING if self.random.random() < 0.5 else sorted(set(methods) - _UNTOUCHED))
        method = methods[name]
        args = {}
        for arg, kind in method.args.items():
            value = self.value(kind, arg)
            if value is not None:
                args[arg] = value
        who = "operator" if "operator" in method.roles else "bank" if method.roles else self._person()
        if self.random.random() < 0.9:
            who = self._fitting(name, args, who)
        with_whom = self.random.choice((("governor-2", "issuer"),) * 4 + ((), ("issuer",), (self._person(),)))
        receipt = self.market.one(who, [Operation("kernel", name, args)], sorted({*with_whom} - {who}))
        self._count(f"kernel.{name}", receipt.rule or (str(receipt.code) if receipt.code else ""))

    def _fitting(self, name: str, args: dict[str, Any], who: str) -> str:
        """Who would ask for it; sets what has to match a hold."""
        if name in _ISSUERS:
            return "issuer"
        if name in _BY_HOLDERS:
            quantity = self.random.choice((1, 2, 3, args.get("quantity", 1)))
            if "quantity" in args:
                args["quantity"] = quantity
            holders = self._holders(args["security"], quantity)
            owner = self.random.choice(holders) if holders else who
            if "lot" in args:
                args["lot"]["quantity"] = max(self.market.observer.shares[args["security"], account_of(owner)] - 1, 1)
            for place in ("from", "account"):
                if place in args:
                    args[place] = account_of(owner)
            return owner if name in ("transfer", "hold", "pledge") else who
        hold = self.market.get(PREFIX + b"O" + (args.get("against") or args.get("hold") or b""))
        if hold is None:
            return who
        if name == "hold_cash":
            args["amount_fen"] = max(int.from_bytes(hold[89:97], "big"), 1)
            return self._name_of(hold[17:33])
        if name == "move_held":
            paid = [one for one in self.ids["hold"] if self._pays(one, args["hold"])]
            args["payment"] = paid[0] if paid else args["payment"]
        return self._name_of(hold[1:17])

    def _holders(self, security: bytes, quantity: int) -> list[str]:
        shares = self.market.observer.shares
        return [name for name in (*PEOPLE, "issuer") if shares[security, account_of(name)] >= quantity]

    def _pays(self, payment: bytes, hold: bytes) -> bool:
        raw = self.market.get(PREFIX + b"O" + payment)
        return raw is not None and raw[49:65] == hold

    @staticmethod
    def _name_of(account: bytes) -> str:
        return next((name for name in (*PEOPLE, "issuer") if account_of(name) == account), "issuer")

    def direct(self) -> None:
        """A directive of the regulator."""
        freezes = self.market.observer
        frozen = [name for name in PEOPLE if freezes.parties[account_of(name)]]
        if self.random.random() < 0.6:
            account, order = account_of(frozen[0] if frozen else self._person()), self.fresh()
            method = "unfreeze_holder" if freezes.parties[account] else "freeze_holder"
            self._directive(method, {"account": account, "directive": order})
        else:
            bound = [one for one in self.ids["security"] if freezes.instruments[one]]
            security = bound[0] if bound else self._id("security")
            method = "unfreeze_security" if freezes.instruments[security] else "freeze_security"
            self._directive(method, {"security": security, "directive": "D"})

    def _directive(self, method: str, args: dict[str, Any]) -> None:
        receipt = self.market.one("court", [Operation("border", method, args)])
        self._count(f"border.{method}", receipt.rule or (str(receipt.code) if receipt.code else ""))

    # ---- values

    def _person(self) -> str:
        return self.random.choice((*PEOPLE, "issuer"))

    def _id(self, word: str) -> bytes:
        known = self.ids[_POOLS.get(word, word)]
        if word == "security" and self.random.random() < 0.6:
            return known[0]
        return self.random.choice(known[-6:]) if known else sm3(word.encode())[:16]

    def value(self, kind: Kind, name: str) -> Any:
        """A value of ``kind`` that makes sense under ``name``; None leaves an optional one out."""
        random = self.random
        if isinstance(kind, Optional):
            return self.value(kind.kind, name) if name == "assets_fen" or random.random() < 0.4 else None
        if isinstance(kind, Integer):
            return min(max(self._integer(kind, name), kind.low), kind.high)
        if isinstance(kind, Boolean):
            return random.random() < (0.1 if name == "legacy" else 0.5)
        if isinstance(kind, AccountId):
            return account_of("issuer" if name == "issuer" else self._person())
        if isinstance(kind, Octets):
            if kind.low != 16:
                return sm3(name.encode())
            return bytes(16) if name == "payment" and random.random() < 0.3 else self._id(name)
        if isinstance(kind, Choice):
            return random.choice(sorted(kind.texts))
        if isinstance(kind, Text):
            return ("BJ" if random.random() < 0.9 else "JS") if name == "province" else self.fresh()
        if isinstance(kind, ListOf):
            rows = [self.value(kind.item, name) for _ in range(random.choice((1, 1, 2)))]
            return rows if not kind.distinct else rows[:1]
        if isinstance(kind, Record):
            found = {field: self.value(one, field) for field, one in kind.fields.items()}
            return {field: one for field, one in found.items() if one is not None}
        return {}

    def _integer(self, kind: Integer, name: str) -> int:
        random, day = self.random, self.market.day
        if name == "acquired_day" or name == "unit_decimals":
            return 0
        if name == "assets_fen":
            return 50_000_000
        if name == "experience_months":
            return 24
        if name == "expires_ms":
            return self.market.time_ms + random.choice((-1, HOURS, DAY_MS, 10 * DAY_MS))
        if name == "record_day":
            return day + random.choice((0, 1, 2))
        if name.endswith("day"):
            return day + random.choice((-1, 0, 2, 10, 40))
        if name.endswith("_fen"):
            return random.choice((0, 1, 10, 60, 200))
        if name in ("status", "category", "purpose", "type", "tier", "instrument", "owners", "layer", "class"):
            return random.randint(kind.low, min(kind.high, 4))
        return random.choice((0, 1, 2, 3, 5, 8, 13, 40))
