"""What a template declares about itself: parameters, roles, states, methods (docs/spec/templates.md §2).

The contract ``templates``, not the template, enforces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from chain_core.execution.arguments import Kind
from chain_core.execution.contract import RuleText


class Source(Enum):
    """Where a role's holder is found."""

    CHAIN = "an account with this chain role"
    CREATOR = "the account that created the instance"
    PARAMETER = "the account that this parameter names"
    ANYBODY = "any account"


@dataclass(frozen=True, slots=True)
class Role:
    """Who plays a role: ``name`` is the chain role or the parameter."""

    source: Source
    name: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's type with its limits, and what it means."""

    kind: Kind
    note: str


@dataclass(frozen=True, slots=True)
class TemplateMethod:
    """A method: who may call it, in which states, with which arguments. ``states`` is empty for ``create``."""

    roles: tuple[str, ...]
    states: tuple[str, ...] = ()
    args: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it is filed. ``states`` maps each state to those that may follow; ``initial`` are those after
    ``create``.

    ``refusals`` are the texts of its own reasons; a receipt names them ``<id>.<reason>``. ``capabilities`` are the
    ledger operations it may ask for. ``replaces`` is the version whose instances may migrate here, 0 for none:
    ``migrate`` says who may ask for it, and from which states of that version.
    """

    id: str
    version: int
    title: str
    category: str
    capabilities: frozenset[str]
    params: Mapping[str, Parameter]
    roles: Mapping[str, Role]
    initial: tuple[str, ...]
    states: Mapping[str, tuple[str, ...]]
    create: TemplateMethod
    methods: Mapping[str, TemplateMethod]
    refusals: Mapping[str, RuleText]
    replaces: int = 0
    migrate: TemplateMethod | None = None

    @property
    def rules(self) -> dict[str, RuleText]:
        """The texts of its refusals by rule id."""
        return {f"{self.id}.{reason}": text for reason, text in self.refusals.items()}
