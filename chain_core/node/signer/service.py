"""The signer's desk: decodes a request, judges it, signs (docs/spec/keys.md §5). No sockets here."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chain_core.codec import signed
from chain_core.crypto.errors import SigningFailed
from chain_core.node.log import event
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer import protocol as p
from chain_core.node.signer.backend import SigningBackend
from chain_core.node.signer.record import Record
from chain_core.node.signer.rules import Item
from chain_core.types.errors import LocalFault, MalformedBytes

log = logging.getLogger(__name__)


class Desk:
    """Answers requests, one after the other. A write that failed ends it: what the disk holds is unknown then."""

    def __init__(self, genesis_hash: bytes, backends: Sequence[SigningBackend], record: Record) -> None:
        """``backends``: the present key first."""
        self.genesis_hash = genesis_hash
        self._backends = {backend.public_key: backend for backend in backends}
        self._record = record
        self.failed: LocalFault | None = None

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The keys there are, the present one first."""
        return tuple(self._backends)

    def answer(self, request: p.Request) -> p.Answer:
        """What to say; each refusal is logged."""
        answer = self._judge(request)
        if isinstance(answer, p.Refusal):
            event(log, logging.WARNING, answer.code, {"what": answer.what, "where": answer.where})
        return answer

    def _judge(self, request: p.Request) -> p.Answer:
        if request.genesis_hash != self.genesis_hash:
            return p.Refusal(p.WRONG_CHAIN, f"this signer serves the chain {self.genesis_hash.hex()[:16]}")
        if isinstance(request, p.HelloRequest):
            return p.Welcome(self.public_keys)
        backend = self._backends.get(request.public_key)
        if backend is None:
            return p.Refusal(p.UNKNOWN_KEY, f"no key {request.public_key.hex()[:16]} here")
        try:
            decoded = p.statements(request)
        except MalformedBytes as error:
            return p.Refusal(p.NOT_A_VOTE, error.what, error.where)
        ledgers = {ledger for ledger, _ in decoded}
        if len(ledgers) > 1:
            return p.Refusal(p.NOT_A_VOTE, "bodies of several ledgers in one request")
        if not decoded:
            return p.Signatures(())
        bodies = {item.place: body for (_, item), body in zip(decoded, request.bodies, strict=True)}

        def sign(item: Item) -> bytes:
            return backend.sign(signed.message(request.tag, self.genesis_hash, bodies[item.place]))

        try:
            items = [item for _, item in decoded]
            return p.Signatures(tuple(self._record.sign(request.public_key, ledgers.pop(), items, sign)))
        except SigningRefused as refusal:
            return p.Refusal(refusal.code, refusal.what, refusal.where)
        except SigningFailed as failure:
            return p.Refusal(p.FAULT, failure.what, failure.where)
        except LocalFault as fault:
            self.failed = fault
            return p.Refusal(p.FAULT, fault.what, fault.where)
