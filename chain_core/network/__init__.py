"""Links between nodes and to clients, and the ingress that decodes and authenticates what arrives on them.

Only the ingress makes verified values; everything above it accepts nothing else.
"""
