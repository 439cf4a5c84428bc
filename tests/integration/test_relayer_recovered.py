"""After both sides chose a branch of the supervisory chain, the relayer proves that what it brings is on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from crosschain.packets import chosen_key
from tests.integration.served_chain import serve
from tests.unit.local_chain.branches import branched, follow_a_and_stop, go_on


def test_it_goes_on_above_the_header_that_was_chosen(tmp_path: Path) -> None:
    async def story() -> None:
        with branched(tmp_path, "holder") as made:
            made.a.direct("freeze_holder", "buyer")
            made.b.direct("freeze_holder", "issuer")
            follow_a_and_stop(made, 0, 2)
            chosen = made.b.supervisory.height
            async with serve(made.b) as served:
                assert not await served.relayer.step_down()
                go_on(made, made.b, chosen)
                made.b.direct("freeze_holder", "operator")
                assert await served.relayer.step_down()
                assert (made.position().height, made.position().count) == (made.b.supervisory.height, 3)
                assert made.market.store.get(chosen_key()) is None and made.frozen("issuer")
                made.b.direct("freeze_holder", "bank")
                assert await served.relayer.step_down()
                assert made.position().count == 4
            async with serve(made.a) as served:  # a relayer of the branch given up carries nothing
                assert not await served.relayer.step_down()

    asyncio.run(asyncio.wait_for(story(), 60))
