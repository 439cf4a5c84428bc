"""Markets with very many holdings, made in a minute: a state written at once under one certified header, served by a
real node.

What stands in the state is what the kernel would have written (``contracts.kernel.invariants.check_state`` holds); only
the transactions that led there were never made. The genesis document asks for as many state buckets as the tree would
have grown to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chain_core.codec.block import encode_batch, encode_certificate, header_hash, header_message
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.signed import derive_id
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.execution.account_records import ACTIVE, RECORD_PREFIX, AccountRecord, encode_record
from chain_core.execution.context import BlockContext
from chain_core.execution.roots import StoreRoots, build_header
from chain_core.ledger.store import BlockRecord
from chain_core.node.ledger_files import open_ledger
from chain_core.node.provision import (
    NodePlan,
    genesis_account_id,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
)
from chain_core.types.block import Batch, Certificate
from chain_core.types.genesis import Genesis
from contracts.kernel.codes import BOUND_CODE, INVESTOR_CODE, code_key
from contracts.kernel.records import (
    CASH,
    HOLDING,
    KERNEL,
    LABEL,
    MONEY,
    SECURITY,
    SUITABILITY,
    Cash,
    Holding,
    Security,
    Status,
    Suitability,
    encode_cash,
    encode_holding,
    encode_money,
    encode_security,
    encode_suitability,
)
from contracts.kernel.roll import (
    CHUNK_IDS,
    HELD_HEAD,
    ISSUED_HEAD,
    ROLL_HEAD,
    chunk_key,
    encode_head,
    held_chunk_key,
    issued_chunk_key,
    list_digest,
)
from local_chain.assembly import local_assembly
from local_chain.genesis import MarketCalendar, market_accounts, market_genesis

HOLDERS = 200
"""Of a security: as many as the regulation admits."""
SECURITIES_OF_AN_ISSUER = 10
HELD_EACH = 10
"""Securities of an ordinary investor."""
CASH_FEN = 1_000_000
ENTRIES_A_BUCKET = 8


@dataclass(frozen=True, slots=True)
class MarketState:
    """A market's genesis document, its first header, and where its first node's configuration is."""

    genesis: Genesis
    chain: bytes
    plans: tuple[NodePlan, ...]
    config: Path
    header: bytes
    certificate: bytes
    holdings: int


def investor(number: int) -> bytes:
    """Account id of an investor."""
    return sm3(b"investor %d" % number)[:16]


def investor_code(number: int) -> str:
    """His code: the same in every market. Number 0 is the one who is looked for."""
    return f"Q{number:09}"


def kernel_state(chain: bytes, market: str, holdings: int, held: int) -> Iterator[tuple[bytes, bytes]]:
    """(own key of the kernel, value) of securities with ``holdings`` holdings in all, ``held`` of them investor 0's."""
    operator = genesis_account_id("operator")
    lists: dict[bytes, list[bytes]] = {}
    issued: dict[bytes, list[bytes]] = {}
    others = max(1, holdings // HELD_EACH)
    done = 0
    while done < holdings:
        number = done // HOLDERS
        security = derive_id(chain, "security", operator, f"S{number}")
        issuer = investor(1 + number // SECURITIES_OF_AN_ISSUER)
        count = min(HOLDERS, holdings - done)
        first = [0] if number < held else []
        holders = [*first, *(1 + (done + place) % others for place in range(len(first), count))]
        accounts = [investor(one) for one in dict.fromkeys(holders)]
        total = 0
        for slot, account in enumerate(accounts):
            total += 100 + slot
            yield HOLDING + security + account, encode_holding(Holding(100 + slot, 0, 0, slot))
            lists.setdefault(account, []).append(security)
        record = Security(Status.LIVE, 0, 0, 0, issuer, bytes(16), operator, total, total)
        yield SECURITY + security, encode_security(record)
        names = {"reference": f"S{number}", "name": f"Security {number} of {market}", "province": market}
        yield LABEL + security, encode_value(names)
        yield from _list(ROLL_HEAD + security, lambda n, of=security: chunk_key(of, n), accounts)
        issued.setdefault(issuer, []).append(security)
        done += count
    for issuer, securities in issued.items():
        yield from _list(ISSUED_HEAD + issuer, lambda n, of=issuer: issued_chunk_key(of, n), securities)
    for account, securities in lists.items():
        yield from _list(HELD_HEAD + account, lambda n, of=account: held_chunk_key(of, n), securities)
    yield from _investors(others)


def _list(head: bytes, chunk, entries: list[bytes]) -> Iterator[tuple[bytes, bytes]]:  # type: ignore[no-untyped-def]
    chunks = [encode_value(entries[start : start + CHUNK_IDS]) for start in range(0, len(entries), CHUNK_IDS)]
    yield head, encode_head(len(entries), list_digest(chunks))
    for number, raw in enumerate(chunks):
        yield chunk(number), raw


def _investors(others: int) -> Iterator[tuple[bytes, bytes]]:
    proof = encode_suitability(Suitability(1, 99_999, 50_000_000, 24))
    for number in range(others + 1):
        account, code = investor(number), investor_code(number)
        yield code_key(INVESTOR_CODE, code), account
        yield BOUND_CODE + account, code.encode("ascii")
        yield CASH + account, encode_cash(Cash(CASH_FEN, 0))
        yield SUITABILITY + account, proof
    yield MONEY, encode_money((others + 1) * CASH_FEN)


def accounts_state(others: int) -> Iterator[tuple[bytes, bytes]]:
    """(full key, value) of the investors' account records."""
    registrar = genesis_account_id("registrar")
    for number in range(others + 1):
        record = AccountRecord(f"investor {number}", frozenset(), ACTIVE, {}, registrar, f"H{number}", 1)
        yield RECORD_PREFIX + investor(number), encode_record(record)


def full_state(chain: bytes, market: str, holdings: int, held: int) -> dict[bytes, bytes]:
    """All of it by full key."""
    state = {state_key(KERNEL, key): value for key, value in kernel_state(chain, market, holdings, held)}
    state.update(accounts_state(max(1, holdings // HELD_EACH)))
    return state


def make_market(
    directory: Path,
    market: str,
    supervisory: bytes,
    plans: tuple[NodePlan, ...],
    time_ms: int,
    holdings: int,
    held: int,
) -> MarketState:
    """A chain's directory whose first node has the state at height 1, certified by the validators' own keys."""
    new_directory(directory)
    keys = holdings * 9 // 5
    genesis = market_genesis(
        f"rem-{market.lower()}",
        market,
        time_ms - 1_000,
        make_validators(directory, plans),
        make_accounts(directory, market_accounts("Operator", "Bank")),
        supervisory,
        MarketCalendar(),
        {"state_buckets": max(4_096, keys // ENTRIES_A_BUCKET)},
    )
    write_network(directory, genesis, plans, client_security="plaintext")
    chain = genesis_hash(encode_genesis(genesis))
    assembly = local_assembly(genesis)
    store = open_ledger(directory / plans[0].name / "data", assembly, genesis, chain)
    executor = assembly.executor()
    result = executor.execute(BlockContext(chain, 0, 1, 0, 0, time_ms), (), store, store)
    staged = store.stage({**result.writes, **full_state(chain, market, holdings, held)}, {}, ())
    roots = StoreRoots(staged.state_root, staged.seen_root, *store.history_root_of(1))
    parent = store.header(0) or b""
    now, after = (executor.epoch_at(store, height).set_hash for height in (1, 2))
    header = build_header(parent, BlockContext(chain, 0, 1, 0, 0, time_ms), (), result, roots, now, after)
    certificate = _certified(chain, header, directory, plans[: genesis.validators.q])
    batch = encode_batch(Batch(0, 0, 1, 0, time_ms, ()))
    store.commit_block(
        BlockRecord(header, certificate, batch, (), result.receipts, result.events, result.outbox, staged)
    )
    store.close()
    config = directory / plans[0].name / "node.toml"
    return MarketState(genesis, chain, plans, config, header, certificate, holdings)


def _certified(chain: bytes, header: bytes, directory: Path, plans: tuple[NodePlan, ...]) -> bytes:
    digest = header_hash(header)
    message, sign = header_message(chain, digest), signing_provider().sm2_sign
    keys = (load_private_key(directory / plan.name / "consensus.key") for plan in plans)
    return encode_certificate(Certificate(digest, tuple((i, sign(key, message)) for i, key in enumerate(keys))))
