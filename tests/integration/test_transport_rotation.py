"""On a live chain of real processes, under load: transport keys change, links follow, old keys open nothing any more.

One validator's operator does as the guide says and restarts between the schedule and the barrier; another one forgets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header
from chain_core.crypto.keys import load_private_key, write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import open_authority
from chain_core.crypto.x509.files import load_certificates
from chain_core.network.links import LINK_METHOD
from chain_core.network.raw_rpc import RawChannel
from chain_core.network.secured.security import SmClient, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.ports import PeerIdentity
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.node import certify
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.config import load_config
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import Genesis
from tests.integration.test_membership import FOUNDERS, PARAMETERS, STEP_S, Story, decide, lay_out, load

WAIT_S = 2 * STEP_S
STALL_MS = 2 * PARAMETERS["order_timeout_max_ms"]
"""A view's longest timer, and as much again for what a machine that does other work adds."""


def genesis_of(story: Story) -> Genesis:
    return ChainView(story.genesis).genesis


def make_key(story: Story, name: str) -> bytes:
    """A new transport key with its certificate, in the node's folder; the public half."""
    folder = story.directory / name
    private = generate_private_key()
    public = signing_provider().sm2_public_key(private)
    write_private_key(folder / "transport-2.key", private)
    authority = open_authority(story.directory / certify.AUTHORITY / certify.ISSUING)
    member = certify.Member(name, f"entity {name}", "127.0.0.1", public)
    made = authority.issue(certify.node_wish(genesis_of(story).chain_id, member), certify.now_ms())
    (folder / "transport-2.pem").write_text(authority.chain_pem(made), "ascii")
    return public


async def restart_with_new_key(story: Story, name: str) -> None:
    await story.stop(name)
    file = story.directory / name / "node.toml"
    text = file.read_text("utf-8")
    for old, new in (("transport.key", "transport-2.key"), ("transport.pem", "transport-2.pem")):
        assert f'"{old}"' in text
        text = text.replace(f'"{old}"', f'"{new}"')
    file.write_text(text, "utf-8")
    await story.start(name)


async def status_until(story: Story, name: str, holds: Callable[..., bool]) -> None:
    async with NodeClient(story.address(name)) as node, asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(DualchainError):
                if holds(await node.status()):
                    return
            story.progress.clear()
            await story.progress.wait()


def linked(name: str, expected: bool) -> Callable[..., bool]:
    """Whether links with this validator are up in both directions, or in none."""
    return lambda status: (
        [(p.connected_out, p.connected_in) for p in status.peers if p.name == name] == [(expected, expected)]
    )


async def minted(story: Story, count: int) -> None:
    before = story.minted
    async with asyncio.timeout(WAIT_S):
        while story.minted < before + count:
            story.progress.clear()
            await story.progress.wait()


async def knock(story: Story, at: str, as_: str, key: str) -> SessionRefused:
    """Dial a peer port with a validator's credentials; the refusal."""
    folder = story.directory / as_

    def believe(certificates: Sequence[bytes]) -> PeerIdentity:
        own = ChainView(story.genesis).genesis.validators.validators[FOUNDERS.index(at)]
        return _Anybody(own.transport_key, at)

    identity = identity_of(
        tuple(one.der for one in load_certificates(folder / f"{key}.pem")), load_private_key(folder / f"{key}.key")
    )
    binding = Binding(ChainView(story.genesis).genesis_hash, Role.PEER)
    channel = RawChannel(
        load_config(story.directory / at / "node.toml").listen.peer, SmClient(identity, binding, believe)
    )
    try:
        with pytest.raises(SessionRefused) as refused:
            await channel.unary(LINK_METHOD, b"", timeout_s=STEP_S)
        return refused.value
    finally:
        await channel.close()


class _Anybody:
    """Who answers at a port whose key is known."""

    def __init__(self, public_key: bytes, subject: str) -> None:
        self.public_key, self.subject = public_key, subject
        self.entity, self.roles, self.fingerprint = "", ("peer",), bytes(32)


async def rotations(story: Story) -> None:
    # Two: scheduled, restarted under the new key while both count, and past the barrier no link of it goes down.
    await decide(story, 1, "rotate_validator_key", name="two", purpose="transport", key=make_key(story, "two"))
    await restart_with_new_key(story, "two")
    for name in ("one", "three", "four"):
        await status_until(story, name, linked("two", True))
    for name in FOUNDERS:
        await status_until(story, name, lambda status: status.epoch == 1)
        await story.nodes[name].says("MEMBERS epoch=1")
    for name in ("one", "three", "four"):
        assert linked("two", True)(await status(story, name)), "the barrier needs no new handshake"
        refusal = await knock(story, name, "two", "transport")
        assert refusal.reason is Reason.NOT_A_VALIDATOR and "two" in refusal.what, refusal

    # Three forgets: at the barrier every link with it ends, by name, and the others go on.
    await decide(story, 2, "rotate_validator_key", name="three", purpose="transport", key=make_key(story, "three"))
    for name in ("one", "two", "four"):
        await status_until(story, name, lambda status: status.epoch == 2)
        await status_until(story, name, linked("three", False))
        await story.nodes[name].says("three: its key is no other validator's transport key")
    await story.nodes["three"].says("NOT_A_VALIDATOR")
    await minted(story, 25)
    await restart_with_new_key(story, "three")
    for name in ("one", "two", "four"):
        await status_until(story, name, linked("three", True))
    # Without one there is no quorum but with both new keys.
    await story.stop("one")
    await minted(story, 25)


async def status(story: Story, name: str):  # type: ignore[no-untyped-def]
    async with NodeClient(story.address(name)) as node:
        return await node.status()


async def longest_stall_ms(story: Story, at: str) -> int:
    """Between two neighbouring headers of the chain, by their own times."""
    async with NodeClient(story.address(at)) as node:
        latest = decode_header((await node.header()).header).height
        times = [decode_header((await node.header(height)).header).time_ms for height in range(1, latest + 1)]
    return max(after - before for before, after in zip(times, times[1:], strict=False))


async def tell(story: Story) -> None:
    stop = asyncio.Event()
    try:
        await asyncio.gather(*(story.start(name) for name in FOUNDERS))
        async with asyncio.TaskGroup() as group:
            group.create_task(load(story, stop))
            try:
                await rotations(story)
            finally:
                stop.set()
        assert await longest_stall_ms(story, "four") <= STALL_MS
    finally:
        for name in tuple(story.nodes):
            await story.stop(name)


def test_transport_keys_change_under_load_and_old_ones_open_nothing(tmp_path: Path) -> None:
    asyncio.run(tell(lay_out(tmp_path / "network")))
