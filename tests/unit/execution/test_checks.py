"""Each check on an ordered envelope, its code, and the order of the checks (docs/spec/execution.md §4)."""

from itertools import combinations
from typing import Any

import pytest

from chain_core.codec.seen import seen_key
from chain_core.execution.codes import UNMARKED, Code
from tests.unit.execution.world import World, account, key, op

TRANSFER = op("coins", "transfer", to=account("bob"), amount=1)
BORDER = op("border", "mark", value=b"1")
WINDOW = 600_000

# In the order of the checks: name, code, and how an envelope comes to fail it.
DEFECTS: list[tuple[str, Code, dict[str, Any]]] = [
    ("another ledger", Code.WRONG_LEDGER, {"ledger": 1}),
    ("account unknown", Code.UNKNOWN_ACCOUNT, {"as_account": bytes(15) + b"\x07"}),
    ("a stranger's key", Code.UNAUTHORISED, {"signer": "mallory"}),
    ("a cosigner unknown", Code.UNKNOWN_ACCOUNT, {"cosigners": ("nobody",)}),
    ("a cosigner's key wrong", Code.UNAUTHORISED, {"cosigners": ("bob",), "cosigner_keys": ("mallory",)}),
    ("window over", Code.EXPIRED, {"valid_for_ms": 999}),
    ("window too long", Code.NOT_YET, {"valid_for_ms": 1_000 + WINDOW + 1}),
    ("nonce used", Code.NONCE_USED, {"nonce": 1}),
    ("no grant", Code.FORBIDDEN, {"on_behalf_of": account("bob")}),
    ("lanes mixed", Code.MIXED_LANES, {"more": (TRANSFER, BORDER)}),
    ("contract unknown", Code.UNKNOWN_CONTRACT, {"first": op("nothing", "transfer")}),
    ("method unknown", Code.UNKNOWN_METHOD, {"first": op("coins", "steal", amount="?")}),
    ("role missing", Code.FORBIDDEN, {"first": op("accounts", "register", reference=7), "more": ()}),
    ("argument wrong", Code.BAD_ARGUMENTS, {"first": op("coins", "transfer", to=b"", amount=10**9)}),
    ("a rule", Code.REFUSED_BY_RULE, {"first": op("coins", "transfer", to=account("bob"), amount=10**9)}),
]


def judged(world: World, defect: dict[str, Any]) -> Code:
    options = {name: value for name, value in defect.items() if name not in ("first", "more")}
    operations = (defect.get("first", TRANSFER), *defect.get("more", ()))
    (receipt,) = world.block(world.sign("alice", *operations, **options))
    return Code(receipt.code)


@pytest.fixture
def world() -> World:
    """A chain where alice has used her nonce 1."""
    world = World.begin()
    assert world.one("alice", TRANSFER).code == Code.OK
    return world


@pytest.mark.parametrize(("code", "defect"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_a_defect_has_its_code(world: World, code: Code, defect: dict[str, Any]) -> None:
    assert judged(world, defect) == code


PAIRS = [(a, b) for a, b in combinations(DEFECTS, 2) if not a[2].keys() & b[2].keys()]
"""Two defects that one envelope can have at once."""


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda row: row[0])
def test_of_two_defects_the_earlier_check_decides(
    world: World, first: tuple[str, Code, dict[str, Any]], second: tuple[str, Code, dict[str, Any]]
) -> None:
    assert judged(world, {**second[2], **first[2]}) == first[1]


@pytest.mark.parametrize(("code", "defect"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_what_enters_seen_and_state(world: World, code: Code, defect: dict[str, Any]) -> None:
    """Only an envelope whose keys act, in its window, uses up its nonce; no refused one changes the state."""
    options = {name: value for name, value in defect.items() if name not in ("first", "more")}
    operations = (defect.get("first", TRANSFER), *defect.get("more", ()))
    envelope = world.sign("alice", *operations, **options)
    result = world.execute(envelope)
    assert result.writes == {}
    assert result.events == (b"\x07\0\0\0\0",)
    expected = set() if code in UNMARKED else {seen_key(0, envelope.body.account, envelope.body.nonce)}
    assert set(result.seen_added) == expected


@pytest.mark.parametrize(
    ("valid_for_ms", "code"),
    [(999, Code.EXPIRED), (1_000, Code.OK), (1_000 + WINDOW, Code.OK), (1_000 + WINDOW + 1, Code.NOT_YET)],
)
def test_the_window_is_closed_at_both_ends(world: World, valid_for_ms: int, code: Code) -> None:
    """The block is 1,000 ms later than the signing; the longest window is 600,000 ms."""
    assert judged(world, {"valid_for_ms": valid_for_ms}) == code


@pytest.mark.parametrize(
    ("options", "code", "parameters"),
    [
        ({"ledger": 3}, Code.WRONG_LEDGER, (0,)),
        ({"signer": "bob"}, Code.UNAUTHORISED, (account("alice"),)),
        (
            {"cosigners": ("bob", "carol"), "cosigner_keys": ("bob", "bob")},
            Code.UNAUTHORISED,
            (max(account("bob"), account("carol")),),
        ),
    ],
)
def test_receipts_say_who_or_what(
    world: World, options: dict[str, Any], code: Code, parameters: tuple[object, ...]
) -> None:
    if "cosigner_keys" in options and account("bob") > account("carol"):
        options = {**options, "cosigner_keys": ("carol", "carol")}
    receipt = world.one("alice", TRANSFER, **options)
    assert (receipt.code, receipt.parameters) == (code, parameters)


def test_cosigners_with_their_own_keys_are_accepted(world: World) -> None:
    assert world.one("alice", TRANSFER, cosigners=("bob", "carol")).code == Code.OK


def test_a_key_of_another_purpose_does_not_sign(world: World) -> None:
    attach = op("accounts", "attach_key", purpose="assertion", key=key("alice-assertion"))
    assert world.one("alice", attach).code == Code.OK
    assert world.one("alice", TRANSFER, signer="alice-assertion").code == Code.UNAUTHORISED


def test_an_operation_is_named_by_its_place(world: World) -> None:
    dear = op("coins", "transfer", to=account("bob"), amount=5_000)
    receipt = world.one("alice", TRANSFER, TRANSFER, dear)
    assert (receipt.code, receipt.rule, receipt.parameters) == (Code.REFUSED_BY_RULE, "coins.short", (2, 997, 5_000))
    assert (world.balance("alice"), world.balance("bob")) == (999, 1_001)
    receipt = world.one("alice", TRANSFER, BORDER)
    assert (receipt.code, receipt.parameters) == (Code.MIXED_LANES, (-1,))


def test_a_long_unknown_argument_does_not_swell_the_receipt(world: World) -> None:
    receipt = world.one("alice", op("coins", "transfer", to=account("bob"), amount=1, **{"z" * 5_000: 1}))
    assert receipt.parameters == (0, "coins", "transfer", "z" * 64)


def test_authority_is_decided_when_the_transaction_runs(world: World) -> None:
    """A key revoked by an earlier transaction of the same batch signs nothing later in it."""
    world.one("alice", op("accounts", "attach_key", purpose="transaction", key=key("alice-2")))
    business = world.sign("alice", TRANSFER)
    revoke = world.sign("alice", op("accounts", "revoke_key", key=key("alice")), signer="alice-2")
    codes = [receipt.code for receipt in world.block(business, revoke)]
    assert codes == [Code.UNAUTHORISED, Code.OK]
