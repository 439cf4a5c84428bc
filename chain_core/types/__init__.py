"""Plain frozen values: ids, keys with their purpose, validator sets, transactions, headers, certificates,
packets.

No behaviour beyond arithmetic on their own fields; quorum sizes are computed here and nowhere else.
"""
