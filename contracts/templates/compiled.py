"""A filed tree, ready to run: checked, compiled, its declarations read. Cached by identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Kind
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
    kinds: Mapping[str, Kind]
    """Of its parameters."""


@lru_cache(maxsize=_CACHED)
def compile_tree(raw: bytes) -> Compiled:
    """Of the canonical bytes of a tree. Raises ``TemplateRefused``, or the codec's error for bytes that are no tree."""
    tree = decode_tree(raw)
    program = Program(tree, OPERATIONS)
    template = read_metadata(tree, program)
    kinds = {name: parameter.kind for name, parameter in template.params.items()}
    return Compiled(sm3(raw), template, program, kinds)
