"""Names that the log's service and those who ask it share."""

from __future__ import annotations

from typing import Final

QUERY: Final = "/dualchain.jrt0314.v1.CrossChainLog/Query"
CROSSLOG: Final = "crosslog"
"""Role in the certificate of whoever serves the cross-chain log."""
MAX_ENTRIES: Final = 1_000
"""Entries of one answer."""
