"""``dualchain local agreement``: documents deposited and signed on a market's chain (docs/spec/agreements.md §8)."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.signed import derive_id
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, answer, identifier
from chain_core.node.key_protection import open_key
from chain_core.node.validators_cli import submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import InvalidProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.agreements.contract import Agreements
from contracts.agreements.records import AGREEMENTS, FREE, SEQUENTIAL
from contracts.data.commitments import commitment
from local_chain.agreements import chain
from service_registry.deposits import slips

agreement_app = typer.Typer(
    help="Deposit documents 存证 and sign them between several parties 电子签约.", no_args_is_help=True
)

ACCOUNT = Annotated[str, typer.Option("--account", help="Your account id, 32 hexadecimal digits 账户.")]
KEY = Annotated[Path, typer.Option("--key", help="Its transaction key 交易密钥: SM2 PKCS#8 PEM, mode 0600.")]
DOCUMENT = Annotated[Path, typer.Option("--document", help="The document 文件; not a byte of it goes on the chain.")]
SLIP = Annotated[Path, typer.Argument(help="The document's slip 凭条 (JSON).")]
NEW_SLIP = Annotated[Path, typer.Option("--slip", help="New file for the slip 凭条: keep it with the document.")]
AGREEMENT = Annotated[str, typer.Argument(help="Agreement id 协议编号, 32 hexadecimal digits.")]
SEE = "look at `local agreement show`"
DAY_MS = 86_400_000


async def _submit(client: VerifyingClient, account: str, key: bytes, method: str, args: dict[str, Value]) -> render.Row:
    operation = Operation(AGREEMENTS, method, args)
    return await submit_one(client, account, key, operation, contracts=(Agreements(),), next_step=SEE)


@agreement_app.command()
def deposit(
    document: DOCUMENT,
    slip: NEW_SLIP,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    kind: Annotated[
        str, typer.Option("--kind", help="agreement, disclosure, identity, financial, evidence, other.")
    ] = "evidence",
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Put a document's salted hash on the chain 存证, and write the slip that proves it with the document."""
    content, salt, private = slips.read_document(document), slips.new_salt(), open_key(key, passphrase)
    who, reference = identifier(account, "--account"), secrets.token_hex(16)
    slips.require_new(slip)

    async def ask(client: VerifyingClient) -> render.Row:
        committed, chain_id = commitment(salt, content), client.view.genesis_hash
        made = slips.Slip(
            chain_id,
            "deposit",
            derive_id(chain_id, "deposit", who, reference),
            salt,
            committed,
            len(content),
        )
        slips.write_slip(slip, made)  # before anything is sent: a salt that is lost proves nothing
        args: dict[str, Value] = {"reference": reference, "kind": kind, "commitment": committed}
        done = await _submit(client, account, private, "deposit", args)
        return {"deposit": made.id.hex(), "slip": str(slip), **done}

    answer(genesis, node, ask, as_json)


@agreement_app.command()
def propose(
    document: DOCUMENT,
    slip: NEW_SLIP,
    party: Annotated[list[str], typer.Option("--party", help="Account id of a party 签约方; 2 to 16, in order.")],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="Days until the deadline 签署期限.")] = 7,
    sequential: Annotated[bool, typer.Option("--sequential", help="Parties sign in this order 按顺序签署.")] = False,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose an agreement 发起签约. Each party needs the document and the slip, from you."""
    content, salt, private = slips.read_document(document), slips.new_salt(), open_key(key, passphrase)
    who, reference = identifier(account, "--account"), secrets.token_hex(16)
    parties = [identifier(one, "--party") for one in party]
    slips.require_new(slip)

    async def ask(client: VerifyingClient) -> render.Row:
        committed, chain_id = commitment(salt, content), client.view.genesis_hash
        made = slips.Slip(
            chain_id,
            "agreement",
            derive_id(chain_id, "agreement", who, reference),
            salt,
            committed,
            len(content),
        )
        slips.write_slip(slip, made)
        args: dict[str, Value] = {
            "reference": reference,
            "commitment": committed,
            "parties": list(parties),
            "order": SEQUENTIAL if sequential else FREE,
            "deadline_ms": time.time_ns() // 1_000_000 + days * DAY_MS,
        }
        done = await _submit(client, account, private, "propose", args)
        return {"agreement": made.id.hex(), "slip": str(slip), **done}

    answer(genesis, node, ask, as_json)


@agreement_app.command()
def sign(
    slip: SLIP,
    document: DOCUMENT,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Sign as a party 签署: only when the document in your hands is the agreement's."""
    held, content, private = slips.read_slip(slip), slips.read_document(document), open_key(key, passphrase)

    async def ask(client: VerifyingClient) -> render.Row:
        found = await chain.agreed_text(client, held, content)
        args: dict[str, Value] = {"agreement": held.id, "commitment": found.commitment}
        return {"agreement": held.id.hex(), **await _submit(client, account, private, "sign", args)}

    answer(genesis, node, ask, as_json)


@agreement_app.command()
def statement(
    slip: SLIP,
    document: DOCUMENT,
    party: Annotated[str, typer.Option("--party", help="Your account id 签约方账户.")],
    assertion_key: Annotated[Path, typer.Option("--assertion-key", help="Your assertion key 声明密钥.")],
    output: Annotated[Path, typer.Option("--output", help="New file for the signature 签名文件.")],
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Sign with an assertion key and send nothing 离线签名: the operator hands it in (`sign-for`)."""
    held, content = slips.read_slip(slip), slips.read_document(document)
    private, who = open_key(assertion_key, passphrase), identifier(party, "--party")

    async def ask(client: VerifyingClient) -> render.Row:
        await chain.agreed_text(client, held, content)
        chain.write_statement(output, await chain.state_of(client, held.id, who, private))
        return {"agreement": held.id.hex(), "party": party, "statement": str(output)}

    answer(genesis, node, ask, as_json)


@agreement_app.command("sign-for")
def sign_for(
    made: Annotated[Path, typer.Argument(metavar="STATEMENT", help="A party's signature 签名文件.")],
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Hand in a party's signature 代为提交, as the market's operator."""
    found, private = chain.read_statement(made), open_key(key, passphrase)

    async def ask(client: VerifyingClient) -> render.Row:
        args: dict[str, Value] = {name: getattr(found, name) for name in chain.Statement.__slots__}
        return {"agreement": found.agreement.hex(), **await _submit(client, account, private, "sign_for", args)}

    answer(genesis, node, ask, as_json)


def _step(method: str, help_text: str) -> None:
    """A command that is one step of an agreement."""

    def command(
        agreement: AGREEMENT,
        account: ACCOUNT,
        key: KEY,
        node: NODES,
        genesis: GENESIS,
        passphrase: PASSPHRASE = "",
        as_json: JSON = False,
    ) -> None:
        private, identity = open_key(key, passphrase), identifier(agreement, "AGREEMENT")

        async def ask(client: VerifyingClient) -> render.Row:
            done = await _submit(client, account, private, method, {"agreement": identity})
            return {"agreement": agreement, "done": method, **done}

        answer(genesis, node, ask, as_json)

    agreement_app.command(method, help=help_text)(command)


_step("decline", "Decline as a party that has not signed 拒绝签署: the agreement ends.")
_step("withdraw", "Withdraw your own proposal 撤回.")
_step("expire", "End an agreement whose deadline has passed 到期终止; anybody may.")


@agreement_app.command("show")
def show_one(
    identity: Annotated[str, typer.Argument(help="Id of an agreement or deposit 协议或存证编号.")],
    node: NODES,
    genesis: GENESIS,
    is_deposit: Annotated[bool, typer.Option("--deposit", help="It is a deposit's id 存证.")] = False,
    as_json: JSON = False,
) -> None:
    """An agreement with its signatures, or a deposit, proven 查询."""
    found = identifier(identity, "ID")

    async def ask(client: VerifyingClient) -> render.Row:
        if is_deposit:
            height, one = await chain.deposit_of(client, found)
            return chain.deposit_row(height, found, one)
        height, agreement = await chain.agreement_of(client, found)
        return chain.agreement_row(height, found, agreement)

    answer(genesis, node, ask, as_json)


@agreement_app.command()
def verify(slip: SLIP, document: DOCUMENT, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """Check document and slip against the chain 核验: since when it is there, who has signed exactly this."""
    held, content = slips.read_slip(slip), slips.read_document(document)

    async def ask(client: VerifyingClient) -> render.Row:
        if held.kind == "deposit":
            slips.require_document(held, content)
            height, one = await chain.deposit_of(client, held.id)
            if one.commitment != held.commitment:
                raise InvalidProof("the deposit is of another document", where=held.id.hex(), next_step=SEE)
            return chain.deposit_row(height, held.id, one) | {"document": "is the deposited one 文件一致"}
        found = await chain.agreed_text(client, held, content)
        wrong = chain.wrong_signatures(held.id, found)
        if wrong:
            raise InvalidProof(f"signatures that do not verify: {wrong}", where=held.id.hex(), next_step=SEE)
        height, found = await chain.agreement_of(client, held.id)
        return chain.agreement_row(height, held.id, found) | {"document": "is the agreement's 文件一致"}

    answer(genesis, node, ask, as_json)
