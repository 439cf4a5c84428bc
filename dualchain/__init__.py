"""The command line that stands on top of all packages: one root command, one sub-command a persona."""

__version__ = "0.1.0"
