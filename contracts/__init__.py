"""Business contracts: the template interface, the regulatory hooks around each call, the common templates.

A template never writes a balance; it asks for guarded ledger operations which keep the invariants.
"""
