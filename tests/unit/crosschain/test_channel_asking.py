"""Arguments of a request between chains as people write them."""

from __future__ import annotations

import pytest

from chain_core.types.errors import MalformedBytes
from crosschain.channel import MAX_TIMEOUT_MS
from crosschain.channel_asking import new_request, read_arguments
from crosschain.channel_services import LOCAL, SUPERVISORY


def test_arguments_are_read_by_the_services_own_kinds() -> None:
    assert read_arguments("roll_head", LOCAL, [f"security={'0a' * 16}"]) == {"security": b"\n" * 16}
    assert read_arguments("party_status", SUPERVISORY, ["entity=a=b"]) == {"entity": "a=b"}
    coded = read_arguments("investor_code", SUPERVISORY, [f"identity={'00' * 32}", "category=R"])
    assert coded == {"category": "R", "identity": bytes(32)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["roll_head", "security=00"], "ask for investor_code, party_status"),
        (["party_status"], "write entity=<text>"),
        (["party_status", "name=x"], "write entity=<text>"),
        (["party_status", "entity"], "write entity=<text>"),
        (["party_status", "entity="], "write entity=<text>"),
        (["party_status", "entity=x", "entity=y"], "write entity=<text>"),
        (["investor_code", "category=Q", "identity=zz"], "identity=<64 hex digits>"),
        (["investor_code", "category=Q", "identity=00"], "identity=<64 hex digits>"),
        (["investor_code", "category=X", f"identity={'00' * 32}"], "category=Q|R|S"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_does(words: list[str], expected: str) -> None:
    with pytest.raises(MalformedBytes) as refused:
        read_arguments(words[0], SUPERVISORY, words[1:])
    assert expected in str(refused.value)


def test_a_deadline_stays_within_what_the_channel_takes() -> None:
    longest = MAX_TIMEOUT_MS // 1_000 - 60
    soon, late = (new_request("roll_head", {}, within)["timeout_ms"] for within in (1, longest))
    assert isinstance(soon, int) and isinstance(late, int)
    assert (longest - 2) * 1_000 < late - soon < MAX_TIMEOUT_MS
