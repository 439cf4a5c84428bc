"""Argument kinds that the kernel's methods and templates share."""

from __future__ import annotations

from chain_core.execution.arguments import Integer, Octets, Text
from chain_core.types.ids import ACCOUNT_ID_SIZE
from contracts.kernel.calendar import MAX_DAY
from contracts.kernel.records import MAX_QUANTITY

ID = Octets(ACCOUNT_ID_SIZE)
QUANTITY = Integer(1, MAX_QUANTITY)
AMOUNT = Integer(0, MAX_QUANTITY)
DAY = Integer(0, MAX_DAY)
REFERENCE = Text(64)
