"""The contract ``services``: definitions, life, applications, records (docs/spec/service-registry.md;
guideline art. 19, 21, 22).

It reads no JSON and no schema: whether a definition works is found by the joint test, whose report it checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chain_core.execution.arguments import ListOf
from chain_core.execution.contract import Contract, Method, RuleText
from service_registry import applications, certification, disputes, life
from service_registry.access import GATEWAY, MAX_RECORDS, record_access
from service_registry.batch_records import BATCH
from service_registry.batches import record_batch
from service_registry.bodies import RECORD
from service_registry.records import SERVICES
from service_registry.rules import RULES
from service_registry.settlement_rules import SETTLEMENT_RULES


class Services(Contract):
    """The register of services; the life of each, who may use it, and how often it was used."""

    name = SERVICES
    rules: Mapping[str, RuleText] = MappingProxyType({**RULES, **SETTLEMENT_RULES})

    def __init__(self) -> None:
        self.methods = {
            **life.METHODS,
            **certification.METHODS,
            **applications.METHODS,
            "record_access": Method(record_access, {"records": ListOf(RECORD, MAX_RECORDS, 1)}, frozenset((GATEWAY,))),
            "record_batch": Method(record_batch, BATCH, frozenset((GATEWAY,))),
            **disputes.METHODS,
        }
