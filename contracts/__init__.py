"""Business contracts: the template interface, the regulatory hooks around each call and the market's common templates.

A template never writes a balance; it asks for guarded ledger operations which keep the invariants.
"""
