"""Who is linked when validators come and go: by name, with indices of the present epoch."""

from collections.abc import Sequence
from dataclasses import replace

from chain_core.execution.epochs import EpochInfo
from chain_core.network.roster import roster_of
from chain_core.types.validator_set import Validator, ValidatorSet

CONTACTS = {name: f"127.0.0.1:{port}" for port, name in enumerate(("a", "b", "c", "d"), 7000)}


def epoch(number: int, names: Sequence[str], **addresses: str) -> EpochInfo:
    members = tuple(Validator(name, name, name.encode() * 64, name.upper().encode() * 64) for name in names)
    return EpochInfo(number, 100 * number, ValidatorSet(members), bytes(32), None, addresses)


def test_validators_of_the_genesis_document_find_each_other_by_their_configuration() -> None:
    found = roster_of("b", epoch(0, "abcd"), None, None, CONTACTS)
    assert (found.names, found.addresses) == (("a", "b", "c", "d"), {name: CONTACTS[name] for name in "acd"})
    assert found.index("c") == 2 and found.index("e") is None


def test_who_is_about_to_join_is_linked_before_it_has_a_seat_at_the_address_on_chain() -> None:
    found = roster_of("b", epoch(0, "abcd"), epoch(1, "abcde", e="127.0.0.1:9"), None, CONTACTS)
    assert found.names == ("a", "b", "c", "d", "e")
    assert found.addresses["e"] == "127.0.0.1:9"


def test_who_left_stays_linked_behind_the_present_members_until_it_can_go() -> None:
    now = epoch(1, "bcde", e="127.0.0.1:9")
    assert roster_of("b", now, None, epoch(0, "abcd"), CONTACTS).names == ("b", "c", "d", "e", "a")
    after = roster_of("b", now, None, None, CONTACTS)
    assert after.names == ("b", "c", "d", "e")
    assert "a" not in after.addresses  # whatever the configuration says


def test_who_is_no_member_turns_to_all_it_was_told_of() -> None:
    """A node that joins starts from the genesis document, whose validators may have left long ago."""
    found = roster_of("x", epoch(0, "abcd"), None, None, {"c": "127.0.0.1:7002", "late": "127.0.0.1:7050"})
    assert (found.names, found.addresses) == (
        ("a", "b", "c", "d", "late"),
        {"c": "127.0.0.1:7002", "late": "127.0.0.1:7050"},
    )


def test_an_address_on_chain_counts_before_the_configurations() -> None:
    found = roster_of("a", epoch(1, "abcd", c="127.0.0.1:9"), None, None, CONTACTS)
    assert found.addresses["c"] == "127.0.0.1:9"


def test_keys_by_name_while_one_is_rotated() -> None:
    """Both keys count from the schedule on; afterwards, and of who was in the epoch before, only the present one's."""

    def rotated(number: int) -> EpochInfo:
        info = epoch(number, "abcd")
        members = tuple(replace(v, transport_key=b"n" * 64) if v.name == "c" else v for v in info.validators.validators)
        return replace(info, validators=ValidatorSet(members))

    old, new = b"C" * 64, b"n" * 64
    assert roster_of("a", epoch(0, "abcd"), None, None, CONTACTS).transport_keys["c"] == (old,)
    assert roster_of("a", epoch(0, "abcd"), rotated(1), None, CONTACTS).transport_keys["c"] == (old, new)
    assert roster_of("a", rotated(1), None, epoch(0, "abcd"), CONTACTS).transport_keys["c"] == (new,)
    left = roster_of("b", epoch(1, "bcde"), None, epoch(0, "abcd"), CONTACTS)
    assert left.transport_keys["a"] == (b"A" * 64,) and set(left.transport_keys) == set("abcde")
