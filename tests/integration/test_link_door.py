"""Several ledgers behind one peer port: each link is of the ledger that its Hello names."""

from dataclasses import replace

import pytest

from chain_core.network.hello import decode_hello
from chain_core.network.raw_rpc import RawServer
from chain_core.network.refusals import ServiceRefusal
from tests.integration.network import served
from tests.integration.test_links import GENUINE, VOTE, Station, frames, opened, pair


def test_a_link_is_of_the_ledger_that_its_hello_names() -> None:
    async def story(one: Station, two: Station) -> None:
        below = Station(1, hello=replace(two.hello, ledger=1))
        server = RawServer(served(two.links, below.links))
        address = server.bind("127.0.0.1:0")
        await server.start()
        try:
            for ledger, met in ((0, two), (1, below)):
                channel, stream = await opened(address, replace(GENUINE, ledger=ledger))
                assert decode_hello(await stream.receive()).ledger == ledger
                await stream.send(frames(VOTE))
                await met.until(lambda met=met: len(met.frames) == 1)  # type: ignore[misc]
                await channel.close()
        finally:
            await server.stop(0)
            await below.close()

    pair(story)


def test_a_ledger_that_does_not_run_here_is_no_alarm() -> None:
    """Whoever has the block that creates it a moment earlier dials again."""

    async def story(one: Station, two: Station) -> None:
        channel, stream = await opened(two.address, replace(GENUINE, ledger=1))
        with pytest.raises(ServiceRefusal) as caught:
            await stream.receive()
        assert (caught.value.code, caught.value.where) == ("WRONG_LEDGER", "hello.ledger")
        assert not two.alarms and not two.frames
        await channel.close()

    pair(story)
