"""The region codes (辖区编码, JR/T 0326-2024 table 1), as text; names and operators: ``crosschain.regions``."""

_PROVINCES = "BJTJHESXNMLNJLHLSHJSZJAHFJJXSDHAHBHNGDGXHICQSCGZYNSNGSQHNXXJ"
_CITIES = "SZXDLCNGBXMNTAO"

REGION_CODES = frozenset(
    [_PROVINCES[i : i + 2] for i in range(0, len(_PROVINCES), 2)] + [_CITIES[i : i + 3] for i in range(0, 15, 3)]
)
"""30 provinces in two letters, five separately planned cities in three."""
