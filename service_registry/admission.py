"""Judging one call against proven chain state: what gateway and publisher's host have in common
(docs/spec/service-registry.md §7).
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.crypto.x509.errors import CertificateRefused
from service_registry import replay
from service_registry.authority import Denied, Permit
from service_registry.bodies import Call
from service_registry.calls import (
    NotAuthorised,
    ReplayedCall,
    SignedCall,
    UnknownCaller,
    UnknownService,
    check_call_signature,
    open_call,
)
from service_registry.chain import Facts, RegistryChain
from service_registry.definition import Definition, read_definition
from service_registry.trust import certified

_NEXT = {
    Denied.CANCELLED: "ask the publisher for another service",
    Denied.SUSPENDED: "ask the publisher; the regulator's directive has to be lifted first",
    Denied.NOT_ONLINE: "ask the publisher when it will be online",
    Denied.WRONG_VERSION: "call the version in force: dualchain registry show",
    Denied.NOT_CONFIRMED: "apply (dualchain registry apply) and wait for the publisher's confirmation",
    Denied.NOT_A_TESTER: "only an independent tester calls a version in test; wait until it is registered",
    Denied.NO_PUBLISHER_KEY: "the publisher has to upload its certificate",
}


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A fresh call of a known service, signed by its caller; whether it is allowed is another question."""

    call: Call
    signed: SignedCall
    facts: Facts


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made, with what it is judged by further on."""

    known: KnownCall
    permit: Permit
    definition: Definition


async def identify(chain: RegistryChain, signed: SignedCall, now_ms: int) -> KnownCall:
    """The call, when its caller and service are known and the caller signed it.

    Raises MalformedBytes, TamperedRequest, StaleCall, UnknownService, UnknownCaller, BadCallSignature.
    """
    call = open_call(signed, now_ms)
    facts = await chain.facts(call.service, call.version, call.consumer)
    if facts.found is None:
        raise UnknownService(
            "no such service", where=call.service.hex(), next_step="list them: dualchain registry list"
        )
    key = facts.caller_key
    if key is None:
        raise UnknownCaller(
            "no active account with a trusted certificate",
            where=call.consumer.hex(),
            next_step="upload a certificate: dualchain registry certificate",
        )
    check_call_signature(chain.genesis_hash, signed, key)
    return KnownCall(call, signed, facts)


def require_unused(known: KnownCall) -> None:
    """Raises ReplayedCall when the chain has recorded this call id."""
    log = known.facts.log
    if replay.used(log.highest, log.window, known.call.call_id):
        raise replayed(known.call)


def replayed(call: Call) -> ReplayedCall:
    """The refusal of a call id that was used."""
    return ReplayedCall(
        f"call id {call.call_id} was used before",
        where=f"consumer {call.consumer.hex()}",
        next_step="sign a new call with a higher id",
    )


def authorise(known: KnownCall) -> Admitted:
    """The call with its permit and the definition of its version. Raises NotAuthorised."""
    found = known.facts.found
    assert found is not None, "identify found it"
    verdict = known.facts.verdict(found)
    if isinstance(verdict, Denied):
        raise NotAuthorised(
            f"{verdict.name}: {verdict.value}",
            where=f"service {known.call.service.hex()} version {known.call.version}",
            next_step=_NEXT[verdict],
        )
    for account in (known.call.consumer, found.publisher):
        _require_certified(known, account)
    raw = known.facts.definition
    assert raw is not None, "a version that may be called has a definition"
    return Admitted(known, verdict, read_definition(raw))


def _require_certified(known: KnownCall, account: bytes) -> None:
    """Judged by the call's own time, which ``identify`` found to be within a minute of the clock."""
    try:
        certified(known.facts.read, account, known.call.time_ms)
    except CertificateRefused as refusal:
        raise NotAuthorised(
            f"CERTIFICATE_REFUSED: {refusal.what}",
            where=f"account {account.hex()}, {refusal.where}",
            next_step="upload a certificate of a named authority: dualchain registry certificate",
        ) from refusal
