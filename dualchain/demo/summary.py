"""What the evidence amounts to: one pure function over verified evidence, used by the run and by the verifier alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from chain_core.codec.signed import derive_id
from chain_core.codec.values import decode_map
from chain_core.node.provision import genesis_account_id
from chain_core.types.transaction import Operation
from crosschain.following import decode_position
from crosschain.packets import chain_record_key, client_key, count_in, directive_next_key, read_acknowledgement
from dualchain.demo.border import status_key, tally_key
from dualchain.demo.days import date_of, run_days
from dualchain.demo.evidence import Evidence, EvidenceRefused, ProvenTransaction
from dualchain.demo.inputs import MarketDay, Order, read_market_day
from dualchain.demo.layout import MARKETS, SUPERVISORY
from dualchain.demo.market_setup import rolls_of
from dualchain.demo.observe import cash_of, roll_of
from dualchain.demo.services import services_summary
from dualchain.demo.steps import steps_of

Row = dict[str, Any]
BEFORE, AFTER, CASH = "rolls before", "rolls after", "cash after"


def summarise(evidence: Evidence) -> Row:
    """The summary. EvidenceRefused when the evidence contradicts the inputs or itself."""
    days = run_days(evidence.views[SUPERVISORY].genesis.time_ms)
    run_day = days[0]
    day = read_market_day(evidence.directory / "inputs", days)
    markets = {market: _market(evidence, day, market) for market in MARKETS}
    found = {
        "format": 1,
        "run_day": date_of(run_day).isoformat(),
        "run_day_opened_by_genesis": run_day in day.calendar.opened,
        "chains": {chain: _chain(evidence, chain) for chain in sorted(evidence.views)},
        "registration": _registration(evidence),
        "markets": markets,
        "border": {market: _border(evidence, market) for market in MARKETS},
        "forgeries_refused": _forgeries(evidence),
        "services": services_summary(evidence),
    }
    return found | {"steps": steps_of(found)}


def _chain(evidence: Evidence, chain: str) -> Row:
    view, headers = evidence.views[chain], evidence.headers.get(chain, {})
    receipts = evidence.transactions[chain]
    return {
        "chain_id": view.genesis.chain_id,
        "genesis": view.genesis_hash.hex(),
        "validators": view.genesis.validators.n,
        "quorum": view.genesis.validators.q,
        "headers_certified": len(headers),
        "highest": max(headers, default=0),
        "receipts_proven": len(receipts),
        "receipts_refused": sum(bool(t.receipt.code) for t in receipts),
    }


def _operations(
    evidence: Evidence, chain: str, contract: str, method: str
) -> Iterator[tuple[ProvenTransaction, Operation]]:
    for transaction in evidence.transactions[chain]:
        for operation in transaction.envelope.body.operations:
            if (operation.contract, operation.method) == (contract, method):
                yield transaction, operation


def _registration(evidence: Evidence) -> Row:
    admitted = {}
    for market in MARKETS:
        chain = evidence.views[market].genesis_hash
        raw = evidence.state[SUPERVISORY][f"following {market}"][chain_record_key(chain)]
        if raw is None:
            raise EvidenceRefused("the market's chain is not registered", where=market)
        record = decode_map(raw)
        admitted[market] = {
            "chain_id": record["chain_id"],
            "status": record["status"],
            "endpoints": len(cast(Sequence[object], record["endpoints"])),
            "validators": len(cast(Sequence[object], record["validators"])),
        }
    refused = [
        {"case": _case(transaction), "rule": transaction.receipt.rule}
        for transaction, _ in _operations(evidence, SUPERVISORY, "chains", "register")
        if transaction.receipt.code
    ]
    return {"admitted": admitted, "refused": refused}


def _case(transaction: ProvenTransaction) -> str:
    """What a refused transaction was about: its label, as far as its signer put it into the transaction."""
    if not transaction.label.startswith(transaction.envelope.body.business_id):
        raise EvidenceRefused("a label is not its transaction's", where=transaction.label)
    return transaction.label


def _forgeries(evidence: Evidence) -> list[Row]:
    return [
        {"case": _case(transaction), "rule": transaction.receipt.rule}
        for transaction, _ in _operations(evidence, SUPERVISORY, "clients", "submit_headers")
        if transaction.receipt.code
    ]


def _account(evidence: Evidence, market: str, name: str) -> bytes:
    return derive_id(evidence.views[market].genesis_hash, "account", genesis_account_id("registrar"), name)


def _security(evidence: Evidence, market: str, security: str) -> bytes:
    return derive_id(evidence.views[market].genesis_hash, "security", genesis_account_id("operator"), security)


def _market(evidence: Evidence, day: MarketDay, market: str) -> Row:
    outcomes = [_outcome(evidence, market, order) for order in day.orders if order.market == market]
    orders = [order for order in day.orders if order.market == market]
    settled = [order for order, row in zip(orders, outcomes, strict=True) if row["outcome"] == "settled"]
    return {
        "investors": sum(i.market == market for i in day.investors),
        "orders": outcomes,
        "orders_settled": len(settled),
        "orders_refused": len(orders) - len(settled),
        "securities": _reconcile_rolls(evidence, day, market, settled),
        "cash": _reconcile_cash(evidence, day, market, settled),
    }


def _outcome(evidence: Evidence, market: str, order: Order) -> Row:
    """The order's transactions, found by what they say and who signed them, never by their label."""
    seller, buyer = (_account(evidence, market, name) for name in (order.seller, order.buyer))
    instance = derive_id(evidence.views[market].genesis_hash, "instance", seller, order.order)
    steps = [
        transaction
        for transaction, operation in _operations(evidence, market, "templates", "create")
        if transaction.envelope.body.account == seller and operation.args["reference"] == order.order
    ]
    for method in ("accept", "settle"):
        steps += [
            transaction
            for transaction, operation in _operations(evidence, market, "templates", "call")
            if operation.args["instance"] == instance and operation.args["method"] == method
        ]
    if not steps or any(t.receipt.code for t in steps[:-1]) or len(steps) > 3:
        raise EvidenceRefused("its transactions are missing or contradict each other", where=order.order)
    params = cast(Row, steps[0].envelope.body.operations[0].args["params"])
    said = (params["security"], params["buyer"], params["quantity"], params["price_fen"])
    if said != (_security(evidence, market, order.security), buyer, order.quantity, order.price_fen):
        raise EvidenceRefused("the order on chain is not the one in orders.csv", where=order.order)
    last = steps[-1]
    finished = len(steps) == 3 and not last.receipt.code
    if not finished and not last.receipt.code:
        raise EvidenceRefused("it was neither settled nor refused", where=order.order)
    return {
        "order": order.order,
        "outcome": "settled" if finished else "refused",
        "rule": last.receipt.rule,
        "height": last.header.height,
        "transaction": last.receipt.transaction_id.hex(),
    }


def _reconcile_rolls(evidence: Evidence, day: MarketDay, market: str, settled: Sequence[Order]) -> Row:
    """Proven roll before = roll.csv; proven roll after = before and the settled orders, holder by holder."""
    rows = {}
    for security, entries in rolls_of(day, market).items():
        identity = _security(evidence, market, security)
        before = roll_of(identity, evidence.state[market][BEFORE])
        after = roll_of(identity, evidence.state[market][AFTER])
        if before != {_account(evidence, market, h.holder): h.quantity for h in entries}:
            raise EvidenceRefused("the roll on chain is not the one in roll.csv", where=security)
        expected = dict(before)
        moved = 0
        for order in settled:
            if order.security == security:
                seller, buyer = (_account(evidence, market, name) for name in (order.seller, order.buyer))
                expected[seller] -= order.quantity
                expected[buyer] = expected.get(buyer, 0) + order.quantity
                moved += order.quantity
        if after != {account: quantity for account, quantity in expected.items() if quantity}:
            raise EvidenceRefused("the roll after does not follow from the roll before and the orders", where=security)
        rows[security] = {
            "holders_before": len(before),
            "holders_after": len(after),
            "total_before": sum(before.values()),
            "total_after": sum(after.values()),
            "moved": moved,
        }
    return rows


def _reconcile_cash(evidence: Evidence, day: MarketDay, market: str, settled: Sequence[Order]) -> Row:
    expected = {_account(evidence, market, i.holder): 0 for i in day.investors if i.market == market}
    for item in day.cash:
        if item.market == market:
            expected[_account(evidence, market, item.holder)] += item.amount_fen
    deposited = sum(expected.values())
    for order in settled:
        expected[_account(evidence, market, order.buyer)] -= order.price_fen
        expected[_account(evidence, market, order.seller)] += order.price_fen
    if cash_of(list(expected), evidence.state[market][CASH]) != expected:
        raise EvidenceRefused("client money does not follow from the deposits and the settled orders", where=market)
    paid = sum(order.price_fen for order in settled)
    return {"deposited_fen": deposited, "after_fen": sum(expected.values()), "paid_fen": paid}


def _border(evidence: Evidence, market: str) -> Row:
    """Directives with their proven acknowledgements; how far the supervisory chain followed, and what it was told."""
    chain = evidence.views[market].genesis_hash
    values = evidence.state[SUPERVISORY][f"following {market}"]
    position = decode_position(values[client_key(chain)])
    raw = values[tally_key(chain)]
    tally = decode_map(raw) if raw is not None else {}
    if evidence.hashes[market].get(position.height) != position.header_hash:
        raise EvidenceRefused("the supervisory chain follows another header than the market's own", where=market)
    return {
        "followed_height": position.height,
        "followed_header": position.header_hash.hex(),
        "reports": tally.get("reports", 0),
        "transactions_reported": tally.get("transactions", 0),
        "directives": _directives(evidence, market),
    }


def _directives(evidence: Evidence, market: str) -> list[Row]:
    chain = evidence.views[market].genesis_hash
    values = evidence.state[SUPERVISORY].get(f"directives to {market}", {})
    acknowledged = {}
    for height, packet in evidence.packets.get(market, []):
        if packet.kind == "ack" and packet.destination_genesis == evidence.views[SUPERVISORY].genesis_hash:
            ack = read_acknowledgement(packet.payload)
            acknowledged[ack.sequence] = (height, ack.code)
    rows = []
    for sequence in range(count_in(values.get(directive_next_key(chain)))):
        raw = values[status_key(chain, sequence)]
        if raw is None or sequence not in acknowledged:
            raise EvidenceRefused(f"directive {sequence} has no proven acknowledgement", where=market)
        record = decode_map(raw)
        height, code = acknowledged[sequence]
        rows.append(
            {
                "kind": record["kind"],
                "reference": record["reference"],
                "status": record["status"],
                "executed_at_height": height,
                "code": code,
            }
        )
    return rows
