"""See-through queries (穿透查询): what is asked of a market, and what its proven values say
(docs/spec/see-through.md).
"""
