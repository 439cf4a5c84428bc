"""A row of the table of operations: how a call of a template reaches a function of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chain_core.execution.arguments import Kind, Optional
from contracts.engine.host import Operation
from contracts.engine.values import Meter
from contracts.templates.context import TemplateContext
from contracts.templates.converting import converter, to_language


@dataclass(frozen=True, slots=True)
class Offered(Operation):
    """An operation, and the capability that a template needs for it; empty for none."""

    capability: str = ""


def offered(method: Callable[..., Any], capability: str, fuel: int, parameters: Mapping[str, Kind]) -> Offered:
    """A row over ``method(view, *arguments)``: parameters with their kinds, optional ones last."""
    converters = tuple(converter(kind) for kind in parameters.values())
    least = sum(1 for kind in parameters.values() if type(kind) is not Optional)

    def run(view: TemplateContext, meter: Meter, line: int, *values: Any) -> Any:
        found = method(
            view,
            *[
                None if value is None and place >= least else convert(value, line)
                for place, (convert, value) in enumerate(zip(converters, values, strict=True))
            ],
        )
        return to_language(found)

    return Offered(tuple(parameters), run, least, False, fuel, capability)
