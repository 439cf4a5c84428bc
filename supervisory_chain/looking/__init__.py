"""The regulator's desk for see-through queries (穿透查询, docs/spec/see-through.md)."""
