"""Forwarding: what the primary was given, what it may lack, what it is late with."""

from chain_core.node.forwarding import FORWARD_LIMIT, Forwarding

A, B, C = b"a", b"b", b"c"


def test_a_body_counts_once_the_primary_was_given_it() -> None:
    waiting = Forwarding()
    waiting.arrived(A, 0)
    assert not waiting.any_given
    waiting.give([A, B], 10)
    assert waiting.any_given
    waiting.give([A], 20)
    waiting.gone([A, A, C])
    assert not waiting.any_given and len(waiting) == 0


def test_due_is_what_waits_since_it_came_or_was_given() -> None:
    waiting = Forwarding()
    for name, at in ((A, 0), (B, 100), (C, 300)):
        waiting.arrived(name, at)
    assert waiting.due(300, 0) == [A, B, C]
    assert waiting.due(300, 200) == [A, B]
    waiting.give([A], 300)
    assert waiting.due(400, 200) == [B]
    waiting.arrived(B, 400)
    assert waiting.due(400, 200) == [B], "arriving again changes nothing"
    assert waiting.due(50, 10_000) == [A, B, C], "the clock was set back"


def test_only_the_oldest_are_forwarded_at_once() -> None:
    waiting = Forwarding()
    names = [number.to_bytes(4, "big") for number in range(FORWARD_LIMIT + 10)]
    for name in names:
        waiting.arrived(name, 0)
    assert waiting.oldest() == waiting.due(0, 0) == names[:FORWARD_LIMIT]
    waiting.gone(names[:10])
    assert waiting.oldest() == names[10 : FORWARD_LIMIT + 10]


def test_a_primary_is_late_with_what_it_was_given_and_a_new_one_has_its_own_time() -> None:
    waiting = Forwarding()
    waiting.arrived(A, 0)
    assert not waiting.overdue(0, 9_000, 1_000), "it was never given"
    waiting.give([A], 9_000)
    waiting.give([A], 9_900)
    assert not waiting.overdue(0, 9_999, 1_000)
    assert waiting.overdue(0, 10_000, 1_000), "giving it again does not start anew"
    assert not waiting.overdue(1, 10_000, 1_000)
    assert waiting.overdue(1, 11_000, 1_000)
    waiting.gone([A])
    assert not waiting.overdue(1, 11_000, 1_000)


def test_a_clock_that_was_set_back_excuses_the_primary_no_longer_than_a_new_one() -> None:
    waiting = Forwarding()
    waiting.arrived(A, 3_600_000)
    waiting.give([A], 3_600_000)
    assert not waiting.overdue(0, 3_600_500, 1_000)
    assert not waiting.overdue(0, 700, 1_000)
    assert waiting.overdue(0, 1_700, 1_000)
