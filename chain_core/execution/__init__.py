"""Pure execution of ordered batches: the contract interface, the executor, receipts and the transaction pool.

Time and randomness come in as arguments; the same batch on the same state gives the same header on every node.
"""
