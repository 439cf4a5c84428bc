"""The registry of services that markets publish to each other: contract, gateway, joint test, look-up, commands.

docs/spec/service-registry.md; guideline art. 19, 21, 22.
"""
