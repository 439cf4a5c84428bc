"""The engine of a permissioned chain: ordering, finality, state and the node that runs them.

It knows nothing of equity, markets or regulators; the packages above it bring those. Inside, imports point
downward only: node, network, ledger, execution, consensus, codec, crypto, types.
"""
