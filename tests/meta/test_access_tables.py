"""Each method of ``protos/`` stands in a rule table: what is forgotten is refused, and this says so beforehand."""

import re

from chain_core.node.access_rules import PEER_RULES, client_rules
from crosschain.jrt0314.service import RegionalChain
from local_chain.data.serving import RULES as CUSTODIAN_RULES
from service_registry.serving import RULES as REGISTRY_RULES
from supervisory_chain.puller.service import RULES as CROSSLOG_RULES
from tests.meta.sources import ROOT

_PACKAGE = re.compile(r"^package (\S+);", re.MULTILINE)
_SERVICE = re.compile(r"^service (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_METHOD = re.compile(r"^\s*rpc (\w+)", re.MULTILINE)


def declared() -> set[str]:
    found = set()
    for path in ROOT.glob("protos/**/*.proto"):
        text = path.read_text("utf-8")
        package = _PACKAGE.search(text)
        assert package is not None
        for service, body in _SERVICE.findall(text):
            found |= {f"/{package[1]}.{service}/{method}" for method in _METHOD.findall(body)}
    return found


def test_each_method_has_a_rule() -> None:
    ruled = set(PEER_RULES) | set(client_rules(())) | set(REGISTRY_RULES) | set(CUSTODIAN_RULES)
    ruled |= set(RegionalChain().rules) | set(CROSSLOG_RULES)
    assert declared() <= ruled
    # Beside the protocols of protos/ there is the standard health check.
    assert {name.split("/")[1] for name in ruled - declared()} == {"grpc.health.v1.Health"}


def test_the_specification_names_them() -> None:
    text = (ROOT / "docs/spec/access.md").read_text("utf-8")
    assert not [name for name in declared() if name.rpartition("/")[2] not in text]
