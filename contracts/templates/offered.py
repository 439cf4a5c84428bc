"""A row of the table of operations: how a call of a template reaches a function of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chain_core.execution.arguments import Kind, Optional
from contracts.engine.host import Operation
from contracts.engine.values import Meter
from contracts.templates.context import TemplateContext
from contracts.templates.converting import Convert, converter, to_language


@dataclass(frozen=True, slots=True)
class Offered(Operation):
    """An operation, and the capability that a template needs for it; empty for none."""

    capability: str = ""


def _given(convert: Convert) -> Convert:
    """Of an argument that may be left out."""
    return lambda value, line: None if value is None else convert(value, line)


def offered(method: Callable[..., Any], capability: str, fuel: int, parameters: Mapping[str, Kind]) -> Offered:
    """A row over ``method(view, *arguments)``: parameters with their kinds, optional ones last."""
    converters = tuple(
        _given(converter(kind)) if type(kind) is Optional else converter(kind) for kind in parameters.values()
    )

    def run(view: TemplateContext, meter: Meter, line: int, *values: Any) -> Any:
        found = method(view, *[convert(value, line) for convert, value in zip(converters, values, strict=True)])
        return None if found is None else to_language(found)

    least = sum(1 for kind in parameters.values() if type(kind) is not Optional)
    return Offered(tuple(parameters), run, least, False, fuel, capability)
