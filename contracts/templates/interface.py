"""What a template is: identity, parameters, roles, states, methods (docs/spec/kernel.md §6).

A template file has a docstring for its reviewer, a ``TEMPLATE`` constant and plain functions ``method(ctx, call)``
that return the instance's next state. The contract ``templates``, not the template, enforces parameters, roles,
argument types and transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from chain_core.codec.wire import is_identifier
from chain_core.execution.arguments import Kind
from chain_core.execution.contract import Arguments, RuleText
from contracts.templates.context import TemplateContext

Handler = Callable[[TemplateContext, Arguments], str]


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

    handler: Handler
    roles: tuple[str, ...]
    states: tuple[str, ...] = ()
    args: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A template as it is filed. ``states`` maps each state to those that may follow; ``initial`` are those after
    ``create``.

    ``refusals`` are the texts of its own reasons; a receipt names them ``<id>.<reason>``. ``capabilities`` are the
    ledger operations it may ask for. Raises ValueError for a template that contradicts itself.
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
    engine: str = "python/1"

    def __post_init__(self) -> None:
        named = {*self.initial, *(after for follow in self.states.values() for after in follow)}
        for method in (self.create, *self.methods.values()):
            named |= set(method.states)
            if not set(method.roles) <= set(self.roles):
                raise ValueError(f"{self.id}: a method names a role that the template has not")
        for role in self.roles.values():
            if role.source is Source.PARAMETER and role.name not in self.params:
                raise ValueError(f"{self.id}: a role names the parameter {role.name}, which the template has not")
        if not is_identifier(self.id) or named != set(self.states):
            raise ValueError(f"{self.id}: its id is no identifier, or its methods name other states than it declares")

    @property
    def rules(self) -> dict[str, RuleText]:
        """The texts of its refusals by rule id."""
        return {f"{self.id}.{reason}": text for reason, text in self.refusals.items()}
