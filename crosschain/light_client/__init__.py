"""Light client, pure: whether a header of another chain is final, by named predicates in a stated order."""

from crosschain.light_client.predicates import MAX_AGE_MS, MAX_FUTURE_MS, NAMES
from crosschain.light_client.state import ClientState, Examined, Finding, Shown, Verdict
from crosschain.light_client.verifier import (
    conclude,
    contradict,
    examine_next,
    examine_past,
    is_fork,
    verify_next,
    verify_past,
)

__all__ = [
    "MAX_AGE_MS",
    "MAX_FUTURE_MS",
    "NAMES",
    "ClientState",
    "Examined",
    "Finding",
    "Shown",
    "Verdict",
    "conclude",
    "contradict",
    "examine_next",
    "examine_past",
    "is_fork",
    "verify_next",
    "verify_past",
]
