"""PBFT as a pure machine: ``step(input) -> [effect]`` (Castro and Liskov, OSDI '99 and TOCS 2002).

No clock, socket, disk, thread, randomness or logger inside: the node's driver performs the effects and reports their
results as new inputs, so that the same code runs in the simulator and can be replayed from a recording.
"""
