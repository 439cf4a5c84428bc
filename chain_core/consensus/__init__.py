"""PBFT as a pure machine: ``step(input) -> [effect]``; no clock, disk, network or randomness inside."""
