"""The operations ``ctx.…`` of templates (docs/spec/templates.md §3): a table, each row over one method of the context.

There is none that writes a balance. What a template may ask of the ledger it declares as a capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chain_core.execution.arguments import ACCOUNT, Kind, ListOf, Optional, Text
from contracts.engine.refusals import Abort
from contracts.engine.values import Meter, check_walk
from contracts.kernel.contract import HOLDING_ROW, LISTING_ARGUMENTS, TIME
from contracts.kernel.kinds import AMOUNT, ID, QUANTITY
from contracts.kernel.records import MAX_ROWS
from contracts.templates.context import HOLD, MAX_KEY_CHARACTERS, REGISTER, TemplateContext
from contracts.templates.converting import converter
from contracts.templates.ledger import LEDGER_CAPABILITIES, LEDGER_OPERATIONS, PART
from contracts.templates.offered import Offered, offered

CAPABILITIES = frozenset((REGISTER, HOLD, *LEDGER_CAPABILITIES))
_KEY = Text(MAX_KEY_CHARACTERS)
_MAX_FACTS, _MAX_FACT = 8, 128


_key = converter(_KEY)


def _put(view: TemplateContext, meter: Meter, line: int, key: Any, value: Any) -> None:
    check_walk(meter, value, line)
    view.put(_key(key, line), value)


def _emit(view: TemplateContext, meter: Meter, line: int, name: Any, fields: Any) -> None:
    check_walk(meter, fields, line)
    view.emit(_key(name, line), fields if type(fields) is dict else {"value": fields})


def _refuse(view: TemplateContext, meter: Meter, line: int, reason: Any, *facts: Any) -> None:
    for fact in facts:
        # A receipt holds plain facts: it is hashed by every node and read by people.
        if fact is not None and type(fact) not in (str, int, bool):
            raise Abort("bad_argument", line)
    view.refuse(str(reason), *(fact if type(fact) is not str else fact[:_MAX_FACT] for fact in facts[:_MAX_FACTS]))


_TRADE: Mapping[str, Kind] = {"security": ID, "seller": ACCOUNT, "buyer": ACCOUNT, "quantity": QUANTITY}
_SHARES: Mapping[str, Kind] = {
    "owner": ACCOUNT,
    "security": ID,
    "quantity": QUANTITY,
    "counterparty": ACCOUNT,
    "price_fen": AMOUNT,
    "expires_ms": TIME,
    "reference": Optional(PART),
}
_CASH: Mapping[str, Kind] = {
    "owner": ACCOUNT,
    "against": ID,
    "amount_fen": QUANTITY,
    "expires_ms": TIME,
    "reference": Optional(PART),
}
_ROWS = ListOf(HOLDING_ROW, MAX_ROWS, 1)
_ACCOUNTS = ListOf(ACCOUNT, MAX_ROWS, 1, distinct=True)
_View = TemplateContext

OPERATIONS: Mapping[str, Offered] = {
    "get": offered(_View.get, "", 30, {"key": _KEY}),
    "put": Offered(("key", "value"), _put, fuel=30),
    "emit": Offered(("name", "fields"), _emit, fuel=30),
    "refuse": Offered(("reason",), _refuse, rest=True, fuel=5),
    "register_security": offered(_View.register_security, REGISTER, 100, LISTING_ARGUMENTS),
    "register": offered(_View.register, REGISTER, 100, {"security": ID, "rows": _ROWS}),
    "unregister": offered(_View.unregister, REGISTER, 100, {"security": ID, "accounts": _ACCOUNTS}),
    "activate": offered(_View.activate, REGISTER, 100, {"security": ID}),
    "holders": offered(_View.holders, "", 30, {"security": ID}),
    "hold_shares": offered(_View.hold_shares, HOLD, 100, _SHARES),
    "hold_cash": offered(_View.hold_cash, HOLD, 100, _CASH),
    "foresee_trade": offered(_View.foresee_trade, HOLD, 100, _TRADE),
    "release": offered(_View.release, HOLD, 100, {"hold": ID}),
    "move_held": offered(_View.move_held, HOLD, 200, {"hold": ID, "payment": ID}),
    **LEDGER_OPERATIONS,
}
