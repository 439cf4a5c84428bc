"""The demonstration: three chains of real processes, and a market's day told on input files."""
