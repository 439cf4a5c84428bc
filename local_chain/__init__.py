"""A market's own chain (地方业务链): its system contracts, genesis, assembly and commands."""
