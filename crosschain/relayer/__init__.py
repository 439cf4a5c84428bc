"""The courier between a local chain and the supervisory one: a pure planner, and a process that does what it says.

Nobody believes it: the contracts of both chains verify what it brings (docs/spec/packets.md §5).
"""
