"""The templates of this build, each with the SM3 of its source file, and their filing records for genesis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from chain_core.crypto.hashing import sm3
from chain_core.types.values import Value
from contracts.templates import holder_roll_registration, negotiated_transfer
from contracts.templates.contract import LIVE, Filed


def _filed(module: ModuleType) -> Filed:
    """Reads the template's source once, when the process starts; execution never touches files."""
    assert module.__file__ is not None
    return Filed(module.TEMPLATE, sm3(Path(module.__file__).read_bytes()))


CATALOGUE: tuple[Filed, ...] = (_filed(holder_roll_registration), _filed(negotiated_transfer))


def template_documents(filing_numbers: Mapping[str, str] | None = None) -> dict[str, Value]:
    """The genesis document ``templates``: all of this build's, live. A filing number is empty until the regulator
    gives one.
    """
    numbers = filing_numbers or {}
    return {
        filed.template.id: {
            "version": filed.template.version,
            "source_sm3": filed.source_sm3,
            "filing_number": numbers.get(filed.template.id, ""),
            "title": filed.template.title,
            "status": LIVE,
        }
        for filed in CATALOGUE
    }
