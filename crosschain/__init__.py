"""Following another chain without believing it: packets, proofs, the relayer and the light client.

A relayer is untrusted; what it carries is checked against certificates and Merkle proofs where it arrives.
"""
