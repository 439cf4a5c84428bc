"""Light client, pure: whether a header of another chain is final, by named predicates in a stated order."""

from crosschain.light_client.predicates import MAX_FUTURE_MS, NAMES
from crosschain.light_client.state import ClientState, Finding, Shown, Verdict
from crosschain.light_client.verifier import is_fork, verify_next, verify_past

__all__ = [
    "MAX_FUTURE_MS",
    "NAMES",
    "ClientState",
    "Finding",
    "Shown",
    "Verdict",
    "is_fork",
    "verify_next",
    "verify_past",
]
