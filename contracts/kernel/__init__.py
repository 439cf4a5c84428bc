"""The market's ledger: securities, holdings with their rolls, client money, holds, freezes (docs/spec/kernel.md)."""
