"""A market's chain whose people really sign, through two epochs, and the bundles that are exported from its nodes."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.crypto.providers import signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.chain_view import ChainView
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Envelope, Operation, TransactionBody
from chain_core.types.validator_set import ValidatorSet
from dualchain.evidence.bundle import Exported, state_bundle
from dualchain.evidence.writing import SCRIPT, page, root_of
from local_chain.assembly import local_assembly
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import (
    Chain,
    account,
    local_genesis,
    op,
    private_key,
    public_key,
    security,
    validators,
)
from tests.unit.crosschain.changing import newcomer, propose

SIGNERS = ("operator", "issuer", "holder")
"""Whose private keys exist; the others' envelopes carry no true signatures."""
REFERENCE = '<b onload="x">&\'京券</b>'
TOOLS = "awk cat cmp cut dd ls mkdir mktemp mv od printf rm sed sort tr wc openssl"

Files = Mapping[str, bytes]
Question = Callable[[VerifyingClient], Awaitable[Exported]]


def genesis(changed: bool = False) -> Genesis:
    """``changed``: the same names with other consensus keys."""
    members = validators("impostor") if changed else validators("beijing")
    names = ValidatorSet(tuple(replace(v, name=f"beijing-{i}") for i, v in enumerate(members.validators)))
    made = local_genesis(members=names)
    people = {account(who): public_key(who) for who in SIGNERS}
    rows = [
        replace(row, keys={"transaction": (people[row.account],)}) if row.account in people else row
        for row in made.accounts
    ]
    return replace(made, accounts=tuple(rows))


def envelope(chain: Chain, who: str, *operations: Operation, cosigners: tuple[str, ...] = (), **more: str) -> Envelope:
    """Signed by those it names."""
    nonce = chain.nonces[who] = chain.nonces.get(who, 0) + 1
    others = sorted(cosigners, key=account)
    body = TransactionBody(
        chain.store.ledger,
        account(who),
        nonce,
        chain.time_ms + 300_000,
        operations,
        cosigners=tuple(account(one) for one in others),
        business_time_ms=chain.time_ms - 5_000,
        **more,
    )
    keys = [(private_key(one), public_key(one)) for one in (who, *others)]
    return decode_envelope(sign_transaction(chain.hash, body, keys))


def ask(chain: Chain, question: Question) -> Exported:
    """What a node of this chain lets one prove."""

    async def asked() -> Exported:
        node = ServedNode(chain, local_assembly(chain.genesis))
        await node.start()
        client = VerifyingClient(ChainView(chain.genesis_bytes), [node.address])
        try:
            return await question(client)
        finally:
            await client.close()
            await node.stop()

    return asyncio.run(asked())


@dataclass
class World:
    """The chain with what it has done."""

    chain: Chain
    security: bytes
    four: list[Envelope]
    """In one block, of epoch 0."""
    shared: Envelope
    """Three signers, of epoch 1."""
    young: Exported
    """A holding, exported in epoch 0."""

    @classmethod
    def begin(cls, path: Path, *, changed: bool = False) -> World:
        chain = Chain.begin(path, genesis(changed), local_assembly)
        private = [private_key(f"{'impostor' if changed else 'beijing'} consensus {i}") for i in range(4)]
        chain.keys.update({signing_provider().sm2_public_key(key): key for key in private})
        found = derive_id(chain.hash, "security", account("operator"), "S1")
        four = [envelope(chain, "operator", security(f"S{n}"), business_id=REFERENCE) for n in range(4)]
        assert {receipt.code for receipt in chain.block(*four)} == {0}
        rows = [
            {"account": account(who), "quantity": n, "acquired_day": 0} for who, n in (("holder", 70), ("buyer", 5))
        ]
        chain.block(envelope(chain, "operator", op("kernel", "register_holding", security=found, rows=rows)))
        key = state_key("kernel", b"H" + found + account("holder"))
        young = ask(chain, partial(state_bundle, key=key, through_latest=False))
        end = propose(chain, "add_validator", **newcomer(chain, "fifth"))
        grant = op("accounts", "grant", account=account("buyer"))
        shared = envelope(chain, "issuer", grant, cosigners=("holder", "operator"))
        while chain.height < end + 1:
            chain.block(after_ms=10)
        chain.block(shared)
        assert chain.last is not None
        assert decode_receipt(chain.last.receipts[0]).code == 0
        return cls(chain, found, four, shared, young)

    def export(self, question: Question) -> Exported:
        """What a node of this chain lets one prove."""
        return ask(self.chain, question)


@dataclass
class Court:
    """A machine with a shell, openssl and the base utilities: nothing else is on its path."""

    path: Path
    shell: list[str]
    script: Path = SCRIPT

    @classmethod
    def furnish(cls, path: Path, shell: str, busybox: bool = False) -> Court:
        path.mkdir()
        for name in TOOLS.split():
            tool = shutil.which("busybox" if busybox and name != "openssl" else name)
            assert tool is not None, name
            (path / name).symlink_to(tool)
        found = shutil.which(shell)
        assert found is not None
        return cls(path, [found, "sh"] if shell == "busybox" else [found])

    def with_script(self, text: str, where: Path) -> Court:
        where.write_text(text, "utf-8")
        return replace(self, script=where)

    def run(self, folder: Path, anchor: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        command = [*self.shell, str(self.script), "--anchor", anchor, *options, str(folder)]
        environment = {"PATH": str(self.path), "TMPDIR": str(self.path.parent)}
        return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)

    def judge(self, folder: Path, anchor: str, root: str = "") -> str:
        """Empty when the bundle holds, else the reason."""
        ended = self.run(folder, anchor, *(["--root", root] if root else []))
        if ended.returncode == 0:
            assert ended.stdout.endswith(b"VERIFIED\n")
            return ""
        assert ended.returncode == 1, ended
        assert b"VERIFIED" not in ended.stdout
        return ended.stderr.decode().removeprefix("REFUSED: ").strip()

    def write(self, folder: Path, files: Files, anchor: str = "") -> Path:
        """A consistent folder: with the page that this court's script itself would write."""
        folder.mkdir()
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        root = root_of(files)
        anchor = anchor or genesis_hash(files["genesis.bin"]).hex()
        told = self.run(folder, anchor, *(["--root", root] if root else []), "--rows")
        (folder / "summary.html").write_bytes(page(told.stdout))
        return folder
