"""What each method of a node's two ports needs, and how a protected read is named (docs/spec/access.md §2, §5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from grpc_health.v1 import health

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.network.access import CLIENT, PEER, Named, Rule
from chain_core.network.links import LINK_METHOD
from chain_core.network.quota import Quota
from chain_core.network.raw_rpc import parse
from chain_core.node.api_names import method_name
from chain_core.node.queries import MAX_KEYS

READING_ROLES: Final = frozenset(("reader", "operator", "regulator", "csrc", "auditor"))
"""Any of them reads whole blocks and ranges of state, and with them everybody's transactions."""
OPERATOR: Final = "operator"
"""Who runs the node: hands it an order to reopen a height, which stands for his consent."""
HEALTH_METHOD: Final = f"/{health.SERVICE_NAME}/Check"
SHOWN: Final = 8
"""So many keys or filters stand in a record; of the others their number and SM3."""

PEER_RULES: Final[Mapping[str, Rule]] = {LINK_METHOD: Rule(PEER, Quota.LINK)}


def client_rules(protected: Collection[str]) -> dict[str, Rule]:
    """The client port's rules; ``protected`` names contracts."""
    reads = ("GetGenesis", "GetStatus", "GetHeader", "GetHeaders", "GetEquivocations", "GetReceipt", "GetOutbox")
    rules = {short: Rule(CLIENT, Quota.READ) for short in reads}
    rules["GetReopenings"] = Rule(CLIENT, Quota.READ)
    rules["HandInReopening"] = Rule(CLIENT, Quota.SUBMIT, frozenset((OPERATOR,)))
    rules["Submit"] = Rule(CLIENT, Quota.SUBMIT)
    rules["QueryState"] = Rule(CLIENT, Quota.READ, protected=_keys_of(frozenset(protected)))
    rules["ScanState"] = Rule(CLIENT, Quota.BULK, READING_ROLES, _prefix)
    rules["GetBlock"] = Rule(CLIENT, Quota.BULK, READING_ROLES, _block)
    rules["GetEvents"] = Rule(CLIENT, Quota.BULK, READING_ROLES, _events)
    rules["Subscribe"] = Rule(CLIENT, Quota.SUBSCRIBE, READING_ROLES, _subscription)
    return {method_name(short): rule for short, rule in rules.items()} | {HEALTH_METHOD: Rule(CLIENT, Quota.READ)}


def _keys_of(protected: frozenset[str]) -> Callable[[bytes], Named | None]:
    prefixes = tuple(bytes((len(name),)) + name.encode("ascii") for name in protected)

    def named(data: bytes) -> Named | None:
        request = parse(pb.QueryStateRequest, data)
        found = [key for key in request.keys if key.startswith(prefixes)] if prefixes else []
        if not found or len(request.keys) > MAX_KEYS:
            return None  # nothing protected, or nothing that would be answered
        return Named(request.scope.ledger, f"keys {listed(found)}")

    return named


def _prefix(data: bytes) -> Named:
    request = parse(pb.ScanStateRequest, data)
    behind = f" behind {_hex(request.after)}" if request.after else ""
    return Named(request.scope.ledger, f"prefix {_hex(request.prefix)}{behind}")


def _block(data: bytes) -> Named:
    request = parse(pb.GetBlockRequest, data)
    return Named(request.scope.ledger, f"height {request.height}")


def _events(data: bytes) -> Named:
    request = parse(pb.GetEventsRequest, data)
    return Named(request.scope.ledger, f"height {request.height} from {request.start}")


def _subscription(data: bytes) -> Named:
    request = parse(pb.SubscribeRequest, data)
    filters = {
        "accounts": list(request.accounts),
        "contracts": [text.encode() for text in request.contracts],
        "kinds": [text.encode() for text in request.kinds],
        "transactions": list(request.transaction_ids),
    }
    told = "".join(f", {name} {listed(values)}" for name, values in filters.items() if values)
    start = f"from height {request.from_height}" if request.from_height else "from the next block"
    return Named(request.scope.ledger, start + told)


def listed(values: Sequence[bytes]) -> str:
    """Values in hexadecimal; when there are many, the first ones, their number, and SM3 of all one after the other."""
    shown = " ".join(map(_hex, values[:SHOWN]))
    if len(values) <= SHOWN:
        return shown
    return f"{shown} and others, {len(values)} in all, sm3 {sm3(b''.join(values)).hex()}"


def _hex(value: bytes) -> str:
    """At most as long as a state key may be: a record's line is bounded."""
    return value.hex() if len(value) <= 255 else f"{value[:32].hex()}... of {len(value)} bytes"
