"""A client that trusts no node: it asks another one, hands in again, and settles only by proof."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chain_core.codec.block import encode_certificate, encode_header, header_hash, header_message
from chain_core.codec.proofs import encode_inclusion, encode_state_proof
from chain_core.codec.seen import seen_key
from chain_core.codec.signed import SEEN_ROOT
from chain_core.codec.transaction import encode_body, encode_envelope
from chain_core.network.refusals import DeadlinePassed, NotFound, ServiceRefusal, Unreachable
from chain_core.network.transaction_refusals import Expired, MalformedTransaction, NonceUsed, PoolFull, UnknownAccount
from chain_core.node import verifying_client as module
from chain_core.node.answers import (
    CertifiedHeader,
    ItemStatus,
    ProvenReceipt,
    ReceiptAnswer,
    SubmitAnswer,
    SubmitItem,
)
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.verifying_client import NotFinal, Refused, VerifyingClient
from chain_core.types.block import Certificate
from chain_core.types.errors import DualchainError, InvalidProof, InvalidTransaction
from tests.vectors.keys import Signatures
from tests.vectors.samples import OPERATOR, Samples
from tests.vectors.state_model import StateModel

S = Samples(Signatures(may_sign=True))
CERTIFIED = CertifiedHeader(S.header_bytes, encode_certificate(S.certificate))
FORGED = replace(CERTIFIED, certificate=encode_certificate(replace(S.certificate, signatures=((0, bytes(64)),))))
RAW = S.envelope.raw
ACCEPTED = SubmitItem(ItemStatus.ACCEPTED)


def final(index: int = 0) -> SubmitItem:
    proof = encode_inclusion(S.inclusion(S.receipt_bytes, index))
    return SubmitItem(ItemStatus.FINAL, receipt=ProvenReceipt(1, S.receipt_bytes[index], proof))


def refused(refusal: InvalidTransaction) -> SubmitItem:
    return SubmitItem(ItemStatus.REFUSED, refusal=refusal)


Script = list[SubmitItem | DualchainError]


@dataclass
class Node:
    """Answers calls of Submit as its script says (the last line again and again), with ``header``."""

    address: str
    script: Script
    header_given: CertifiedHeader = CERTIFIED
    nonce_answer: ReceiptAnswer | DualchainError = field(default_factory=lambda: NotFound("nothing"))
    calls: int = 0

    async def submit(self, envelopes: Sequence[bytes], *, final_within_s: float = 0.0) -> SubmitAnswer:
        line = self.script[min(self.calls, len(self.script) - 1)]
        self.calls += 1
        if isinstance(line, DualchainError):
            raise line
        return SubmitAnswer((line,) * len(envelopes), (self.header_given,) if line.receipt else ())

    async def receipt_of_nonce(self, account: bytes, nonce: int) -> ReceiptAnswer:
        if isinstance(self.nonce_answer, DualchainError):
            raise self.nonce_answer
        return self.nonce_answer

    async def header(self, height: int | None = None) -> CertifiedHeader:
        return self.header_given

    async def close(self) -> None:
        return


def told(nodes: list[Node], story: Callable[[VerifyingClient], Awaitable[None]]) -> None:
    async def main() -> None:
        client = VerifyingClient(ChainView(S.genesis_bytes), ["127.0.0.1:1"])
        await client.close()
        client.nodes = nodes  # type: ignore[assignment]
        await story(client)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(module, "_LAST_PAUSE_S", 0.0)


def settle(*nodes: Node, raws: Sequence[bytes] = (RAW,), within_s: float = 5.0) -> list[Any]:
    found: list[Any] = []

    async def story(client: VerifyingClient) -> None:
        found.extend(await client.submit_until_final(raws, within_s=within_s))

    told(list(nodes), story)
    return found


TROUBLE: dict[str, DualchainError | SubmitItem] = {
    "unreachable": Unreachable("no connection"),
    "too slow": DeadlinePassed("no answer"),
    "pool full": refused(PoolFull("full")),
    "only accepted": ACCEPTED,
    "account not final there yet": refused(UnknownAccount("no account")),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_another_node_is_asked(trouble: DualchainError | SubmitItem) -> None:
    first, second = Node("a", [trouble]), Node("b", [final()])
    (outcome,) = settle(first, second)
    assert isinstance(outcome, VerifiedReceipt)
    assert outcome.receipt == S.receipts[0]
    assert (first.calls, second.calls) == (1, 1)


def test_the_same_node_is_asked_again_when_there_is_no_other() -> None:
    node = Node("a", [Unreachable("gone"), ACCEPTED, refused(PoolFull("full")), final()])
    (outcome,) = settle(node)
    assert isinstance(outcome, VerifiedReceipt)
    assert node.calls == 4


LIES: dict[str, Node] = {
    "a forged certificate": Node("liar", [final()], FORGED),
    "another's receipt": Node("liar", [final(1)]),
    "no header with the receipt": Node("liar", [replace(final(), receipt=replace(final().receipt, height=5))]),  # type: ignore[type-var]
}


@pytest.mark.parametrize("liar", LIES.values(), ids=LIES)
def test_a_lie_settles_nothing(liar: Node) -> None:
    honest = Node("honest", [final()])
    (outcome,) = settle(liar, honest)
    assert isinstance(outcome, VerifiedReceipt)
    with pytest.raises(NotFinal) as caught:
        settle(liar, within_s=0.05)
    assert "INVALID_PROOF" in caught.value.where


def test_a_refusal_for_good_settles_when_f_plus_1_nodes_say_so() -> None:
    nodes = [Node(name, [refused(MalformedTransaction("broken"))]) for name in "abcd"]
    (outcome,) = settle(*nodes)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.code == "MALFORMED"
    assert [node.calls for node in nodes] == [1, 1, 0, 0]
    (alone,) = settle(Node("a", [refused(MalformedTransaction("broken"))]))
    assert isinstance(alone, Refused), "there is nobody else to ask"


@pytest.mark.parametrize("lie", [MalformedTransaction("broken"), Expired("late")], ids=lambda lie: lie.code)
def test_one_node_s_refusal_is_not_believed(lie: InvalidTransaction) -> None:
    """It may have passed the envelope on: whoever believed it would sign again, with another nonce."""
    liar = Node("liar", [refused(lie)], nonce_answer=absent(S.envelope.body.valid_until_ms - 1))
    (outcome,) = settle(liar, Node("honest", [final()]))
    assert isinstance(outcome, VerifiedReceipt)


def test_an_account_that_nobody_knows_is_unknown_in_the_end() -> None:
    node = Node("a", [refused(UnknownAccount("no account"))])
    (outcome,) = settle(node)
    assert isinstance(outcome, Refused)
    assert node.calls == 6


def test_time_runs_out() -> None:
    with pytest.raises(NotFinal, match="2 of 2"):
        settle(Node("a", [ACCEPTED]), raws=[RAW, S.plain_envelope.raw], within_s=0.05)


def test_each_is_settled_on_its_own_and_only_what_is_open_is_handed_in_again() -> None:
    class Selective(Node):
        async def submit(self, envelopes: Sequence[bytes], *, final_within_s: float = 0.0) -> SubmitAnswer:
            self.calls += 1
            sizes.append(len(envelopes))
            items = tuple(final(0) if raw == RAW else (ACCEPTED if self.calls < 3 else final(1)) for raw in envelopes)
            return SubmitAnswer(items, (CERTIFIED,))

    sizes: list[int] = []
    outcomes = settle(Selective("a", []), raws=[S.plain_envelope.raw, RAW])
    assert [one.receipt for one in outcomes] == [S.receipts[1], S.receipts[0]]
    assert sizes == [2, 1, 1]


# ---- "expired" and "nonce used" may hide a success


def seen_under(time_ms: int, height: int) -> tuple[CertifiedHeader, bytes]:
    """A certified header under which nothing was used, and the proof for the sample envelope's nonce."""
    empty = StateModel({}, 2, SEEN_ROOT)
    header = replace(S.header, height=height, time_ms=time_ms, seen_root=empty.root)
    raw = encode_header(header)
    message = header_message(S.chain, header_hash(raw))
    votes = tuple((i, S.signatures.sign(i, message)) for i in (0, 1, 2))
    certificate = encode_certificate(Certificate(header_hash(raw), votes))
    key = seen_key(0, OPERATOR, S.envelope.body.nonce)
    return CertifiedHeader(raw, certificate), encode_state_proof(empty.prove(key))


def absent(time_ms: int, height: int = 5) -> ReceiptAnswer:
    header, proof = seen_under(time_ms, height)
    return ReceiptAnswer(None, header, proof)


FOUND = ReceiptAnswer(final().receipt, CERTIFIED, b"")
UNTIL = S.envelope.body.valid_until_ms


@pytest.mark.parametrize("refusal", [Expired("late"), NonceUsed("used")], ids=lambda r: r.code)
def test_it_was_final_all_along(refusal: InvalidTransaction) -> None:
    node = Node("a", [Unreachable("the answer was lost"), refused(refusal)], nonce_answer=FOUND)
    (outcome,) = settle(node)
    assert isinstance(outcome, VerifiedReceipt)
    assert outcome.receipt == S.receipts[0]


def test_another_transaction_has_the_nonce() -> None:
    other = replace(S.envelope.body, business_id="other")
    raw = encode_envelope(encode_body(other), S.envelope.signers)
    (outcome,) = settle(Node("a", [refused(NonceUsed("used"))], nonce_answer=FOUND), raws=[raw])
    assert isinstance(outcome, Refused)


def test_expired_before_anybody_took_it() -> None:
    (outcome,) = settle(Node("a", [refused(Expired("late"))], nonce_answer=absent(UNTIL - 1)))
    assert isinstance(outcome, Refused)


def test_expired_after_somebody_took_it_needs_a_later_header() -> None:
    unsettled = Node("a", [ACCEPTED, refused(Expired("late"))], nonce_answer=absent(UNTIL))
    with pytest.raises(NotFinal):
        settle(unsettled, within_s=0.05)
    settled = Node("a", [ACCEPTED, refused(Expired("late"))], nonce_answer=absent(UNTIL + 1, 6))
    (outcome,) = settle(settled)
    assert isinstance(outcome, Refused)


def test_an_absence_that_is_no_proof() -> None:
    lie = replace(absent(UNTIL + 1), absence=b"")
    with pytest.raises(NotFinal) as caught:
        settle(Node("a", [refused(Expired("late"))], nonce_answer=lie), within_s=0.05)
    assert "INVALID_PROOF" in caught.value.where


# ---- questions


def test_a_question_goes_on_to_the_next_node() -> None:
    async def story(client: VerifyingClient) -> None:
        assert await client.header() == S.header
        assert await client.header(1) == S.header
        assert client.nodes[client._turn].address == "honest"

    told([Node("liar", [], FORGED), Node("honest", [])], story)


def test_questions_at_the_same_time_pass_over_no_node() -> None:
    """Each failure moves nobody else on: eight that meet one dead node among four all end at a living one."""

    async def story(client: VerifyingClient) -> None:
        gone = client.nodes[0]

        async def ask(node: Any) -> str:
            await asyncio.sleep(0)
            if node is gone:
                raise Unreachable("gone")
            return str(node.address)

        assert set(await asyncio.gather(*(client.from_any(ask) for _ in range(8)))) == {"b"}

    told([Node(name, []) for name in "abcd"], story)


def test_a_node_that_answers_another_height() -> None:
    async def story(client: VerifyingClient) -> None:
        with pytest.raises(InvalidProof, match="header 1 for height 2"):
            await client.header(2)

    told([Node("a", []), Node("b", [])], story)


def test_a_receipt_of_another_nonce() -> None:
    async def story(client: VerifyingClient) -> None:
        found = await client.receipt_of_nonce(OPERATOR, S.envelope.body.nonce)
        assert isinstance(found, VerifiedReceipt)
        with pytest.raises(InvalidProof, match="another account or nonce"):
            await client.receipt_of_nonce(OPERATOR, 99)

    told([Node("a", [], nonce_answer=FOUND)], story)


def test_what_no_node_can_answer() -> None:
    async def story(client: VerifyingClient) -> None:
        with pytest.raises(ServiceRefusal, match="nothing"):
            await client.receipt_of_nonce(OPERATOR, 1)

    told([Node("a", []), Node("b", [])], story)


def test_nobody_to_ask() -> None:
    with pytest.raises(ValueError, match="at least one"):
        VerifyingClient(ChainView(S.genesis_bytes), [])
