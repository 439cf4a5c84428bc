"""Pure verification of another chain's headers: named predicates in a stated order, a three-way verdict.

The present time is an argument, as are the trusted genesis and the last header accepted.
"""
