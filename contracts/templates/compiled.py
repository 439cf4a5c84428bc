"""A filed tree, ready to run: checked, compiled, its declarations read. Cached by identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chain_core.crypto.hashing import sm3
from contracts.engine.nodes import decode_tree
from contracts.engine.program import Program
from contracts.templates.interface import Template
from contracts.templates.metadata import read_metadata
from contracts.templates.operations import OPERATIONS

_CACHED = 128


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template's declarations and its functions. ``identity`` is the SM3 of its tree."""

    identity: bytes
    template: Template
    program: Program


@lru_cache(maxsize=_CACHED)
def compile_tree(raw: bytes) -> Compiled:
    """Of the canonical bytes of a tree. Raises ``TemplateRefused``, or the codec's error for bytes that are no tree."""
    tree = decode_tree(raw)
    program = Program(tree, OPERATIONS)
    return Compiled(sm3(raw), read_metadata(tree, program), program)
