"""gRPC service ``dualchain.jrt0314.v1.RegionalChain`` on a node's client port (docs/spec/node-interface.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from google.protobuf.message import Message

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.execution.sub_ledgers import sub_ledgers
from chain_core.network.access import CLIENT, Named, Rule
from chain_core.network.identity import Caller
from chain_core.network.methods import Unary
from chain_core.network.quota import Quota
from chain_core.network.raw_rpc import parse
from chain_core.network.refusals import NotFound
from chain_core.node.access_rules import READING_ROLES
from chain_core.node.interfaces import Ledgers, LedgerView
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from crosschain.jrt0314 import mapping
from crosschain.jrt0314.messages import to_message

SERVICE: Final = pb.DESCRIPTOR.services_by_name["RegionalChain"].full_name
MAX_TEXT: Final = 128
"""Characters of any text that a request may hold."""

REQUESTS: Final[Mapping[str, tuple[type[Message], type[Message]]]] = {
    "Networks": (pb.NetworksRequest, pb.NetworksResponse),
    "Options": (pb.NetworkRequest, pb.OptionsResponse),
    "Status": (pb.NetworkRequest, pb.StatusResponse),
    "Block": (pb.HeightRequest, pb.BlockResponse),
    "Tx": (pb.TxRequest, pb.TxResponse),
    "State": (pb.HeightRequest, pb.StateResponse),
    "Ids": (pb.HeightRequest, pb.IdsResponse),
    "Object": (pb.ObjectRequest, pb.ObjectResponse),
}
"""Each function's request and response."""
PROTECTED: Final = ("Block", "Tx", "Ids", "Object")
"""What is read of these stands in the audit record: they tell who did what business."""


def method_name(short: str) -> str:
    """``/dualchain.jrt0314.v1.RegionalChain/Block`` for ``Block``."""
    return f"/{SERVICE}/{short}"


def named(kind: type[Message], data: bytes) -> Named:
    """How a protected read is recorded: its request, member by member. Raises MalformedBytes."""
    request = checked(kind, data)
    told = (f"{field.name} {value}" for field, value in request.ListFields())
    return Named(MAIN_LEDGER, ", ".join(told))


def checked(kind: type[Message], data: bytes) -> Any:
    """The request, its texts bounded. Raises MalformedBytes."""
    request = parse(kind, data)
    for field, value in request.ListFields():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise MalformedBytes(
                f"{len(value)} characters where at most {MAX_TEXT} are allowed",
                where=field.name,
                next_step="see docs/spec/node-interface.md",
            )
    return request


def _rules() -> dict[str, Rule]:
    return {
        method_name(short): Rule(CLIENT, Quota.BULK, READING_ROLES, partial(named, kind))
        if short in PROTECTED
        else Rule(CLIENT, Quota.READ, READING_ROLES)
        for short, (kind, _) in REQUESTS.items()
    }


class RegionalChain:
    """The eight functions over a node's ledgers. All raise MalformedBytes, NotFound; those of a height Pruned."""

    def __init__(self) -> None:
        self.rules: Mapping[str, Rule] = _rules()

    def methods(self, ledgers: Ledgers) -> Mapping[str, Unary]:
        """For the client port."""
        answers = _Answers(ledgers)
        return {
            method_name(short): Unary(partial(_answer, kinds, getattr(answers, short.lower())))
            for short, kinds in REQUESTS.items()
        }


async def _answer(
    kinds: tuple[type[Message], type[Message]],
    answer: Callable[[Any], mapping.Json],
    _: Caller,
    data: bytes,
) -> bytes:
    return to_message(kinds[1], answer(checked(kinds[0], data))).SerializeToString()


class _Answers:
    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers

    def _view(self, request: Any) -> LedgerView:
        views = self._ledgers()
        chain = views[MAIN_LEDGER].genesis.chain_id
        for ledger, view in views.items():
            if mapping.network_id(chain, ledger) == request.network_id:
                return view
        raise NotFound(
            f"there is no network {request.network_id!r} here",
            where="network_id",
            next_step=f"ask for one of {', '.join(mapping.network_id(chain, k) for k in sorted(views))}",
        )

    def networks(self, _: pb.NetworksRequest) -> mapping.Json:
        main = self._ledgers()[MAIN_LEDGER]
        return mapping.networks(main.genesis, main.genesis_hash, sub_ledgers(main.store))

    def options(self, request: pb.NetworkRequest) -> mapping.Json:
        view = self._view(request)
        return mapping.options(view.version, view.assembly.executor().assembly.contracts)

    def status(self, request: pb.NetworkRequest) -> mapping.Json:
        view = self._view(request)
        return mapping.status(view.store, view.peers())

    def block(self, request: pb.HeightRequest) -> mapping.Json:
        return mapping.block(self._view(request).store, request.height)

    def tx(self, request: pb.TxRequest) -> mapping.Json:
        return mapping.tx(self._view(request).store, request.height, request.tx_id)

    def state(self, request: pb.HeightRequest) -> mapping.Json:
        return mapping.consensus(self._view(request).store, request.height)

    def ids(self, request: pb.HeightRequest) -> mapping.Json:
        return mapping.ids(self._view(request).store, request.height)

    def object(self, request: pb.ObjectRequest) -> mapping.Json:
        return mapping.object_(self._view(request).store, request.height, request.object_id)
