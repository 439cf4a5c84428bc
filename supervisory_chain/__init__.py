"""The regulator's chain (监管链): its system contracts, genesis, assembly and commands."""
