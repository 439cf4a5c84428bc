"""Business templates (合约模板): their interface, the contract that runs instances, the common ones
(docs/spec/kernel.md §6).
"""
