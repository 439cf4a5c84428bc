"""What a node keeps on disk: block store, state tree with its proofs, seen tree and vote log in one LevelDB.

A block, the state it leaves and its certificate become durable in one atomic synced batch.
"""
