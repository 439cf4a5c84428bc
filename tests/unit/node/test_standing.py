"""Roles of a caller: the certificate's, overruled by the account that it and the chain agree on."""

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import ACTIVE, CLOSED, RECORD_PREFIX, SUSPENDED, AccountRecord, encode_record
from chain_core.network.access import Standing
from chain_core.network.identity import LOOPBACK, Caller
from chain_core.node.standing import ChainStanding

KEY, ACCOUNT = b"\x07" * 64, b"\x01" * 16
CALLER = Caller("sm", "csrc", ("client", "regulator"), b"\xaa" * 32, KEY, "CSRC")
OWN = Standing(frozenset(("client", "regulator")))


def state(
    purpose: str = "transport", active: bool = True, entity: str = "CSRC", status: str = ACTIVE, *roles: str
) -> dict[bytes, bytes]:
    record = AccountRecord(entity, frozenset(roles), status, {}, bytes(16), "", 0)
    return {
        state_key("accounts", b"k") + sm3(KEY): encode_value([ACCOUNT, purpose, active]),
        RECORD_PREFIX + ACCOUNT: encode_record(record),
    }


def of_account(*roles: str) -> Standing:
    return Standing(frozenset(roles), account=ACCOUNT)


@pytest.mark.parametrize(
    ("final", "standing"),
    [
        ({}, OWN),
        (state("transport", True, "CSRC", ACTIVE, "auditor"), of_account("client", "auditor")),
        (state("transport", True, "CSRC", ACTIVE, "peer"), of_account("client")),
        (state("transport", True, "CSRC", SUSPENDED, "auditor"), of_account("client")),
        (state("transport", True, "CSRC", CLOSED, "regulator"), of_account("client")),
        (state("transport", True, "a stranger"), OWN),
        (state("transport", False, "a stranger"), OWN),
        (state("sealing"), OWN),
    ],
    ids=["nobody's", "its account's", "doors are not given", "suspended", "closed", "named by a stranger",
         "... who revokes it", "other purpose"],
)  # fmt: skip
def test_standing(final: dict[bytes, bytes], standing: Standing) -> None:
    assert ChainStanding(final.get)(CALLER) == standing


def test_a_revoked_key_opens_nothing() -> None:
    standing = ChainStanding(state("transport", False).get)(CALLER)
    assert not standing.roles
    assert "revoked" in standing.ended


def test_a_role_ends_with_the_block_that_takes_it() -> None:
    final = state("transport", True, "CSRC", ACTIVE, "regulator")
    judge = ChainStanding(final.get)
    assert "regulator" in judge(CALLER).roles
    final |= state("transport", True, "CSRC", ACTIVE)
    assert judge(CALLER).roles == {"client"}


def test_a_plaintext_port_knows_no_names() -> None:
    assert ChainStanding({}.get)(Caller(LOOPBACK, "ipv4:127.0.0.1:5")).everything
