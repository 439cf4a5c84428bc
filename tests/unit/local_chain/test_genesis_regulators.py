"""The regulator's officers are accounts of a market's chain from its first block: two of them may reopen a height."""

from dataclasses import replace

from chain_core.codec.genesis import encode_genesis
from chain_core.types.genesis import GenesisAccount
from local_chain.assembly import local_assembly
from local_chain.genesis import REGULATOR, regulators
from supervisory_chain.assembly import supervisory_assembly
from tests.vectors.samples import local_genesis, supervisory_genesis


def test_officers_have_the_ids_and_transaction_keys_that_they_have_above() -> None:
    above = supervisory_genesis()
    key = bytes([7]) * 64
    officer = GenesisAccount(bytes([9]) * 16, "CSRC", ("csrc", "governor"), {"transaction": (key,)})
    clerk = GenesisAccount(bytes([8]) * 16, "CSRC", ("registrar",), {"transaction": (bytes([6]) * 64,)})
    document = encode_genesis(replace(above, accounts=(clerk, officer)))
    assert regulators(document) == (GenesisAccount(officer.account, "CSRC", (REGULATOR,), {"transaction": (key,)}),)


def test_each_chain_names_who_oversees_it() -> None:
    assert local_assembly(local_genesis()).executor().overseers == REGULATOR
    assert supervisory_assembly(supervisory_genesis()).executor().overseers == "csrc"
