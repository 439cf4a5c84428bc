"""A service in each state of its life, and the steps that publisher and consumer take."""

from __future__ import annotations

from collections.abc import Callable

from chain_core.types.values import Value
from tests.unit.execution.world import account
from tests.unit.service_registry.house import DEFINITION, SERVICE, House

CHANGED: dict[str, Value] = {**DEFINITION, "price_fen": 200}

OWN: dict[str, dict[str, Value]] = {
    "change": {"service": SERVICE, "definition": CHANGED},
    "register": {"service": SERVICE},
    "online": {"service": SERVICE},
    "offline": {"service": SERVICE},
    "cancel": {"service": SERVICE},
}
STATES: dict[str, Callable[[House], object]] = {
    "draft": lambda house: (house.certify("publisher", "consumer", "tester"), house.draft()),
    "tested": lambda house: (house.certify("publisher", "consumer", "tester"), house.draft(), house.test()),
    "registered": lambda house: house.in_force(online=False),
    "online": lambda house: house.in_force(),
    "offline": lambda house: (house.in_force(), house.ok("publisher", "offline", service=SERVICE)),
    "online, changed": lambda house: (house.in_force(), house.ok("publisher", "change", **OWN["change"])),
    "online, changed, tested": lambda house: (
        house.in_force(),
        house.ok("publisher", "change", **OWN["change"]),
        house.test(),
    ),
    "cancelled": lambda house: (house.in_force(), house.ok("publisher", "cancel", service=SERVICE)),
}

STEPS: dict[str, tuple[str, dict[str, Value]]] = {
    "apply": ("consumer", {"service": SERVICE, "market": "JS"}),
    "confirm": ("publisher", {"service": SERVICE, "consumer": account("consumer")}),
    "refuse": ("publisher", {"service": SERVICE, "consumer": account("consumer"), "reason": "no"}),
    "withdraw": ("consumer", {"service": SERVICE}),
    "revoke": ("publisher", {"service": SERVICE, "consumer": account("consumer"), "reason": "over"}),
}
