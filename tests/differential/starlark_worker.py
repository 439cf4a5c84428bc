"""The second opinion: runs programs in starlark-pyo3, which may abort its process, so it has one of its own.

Its argument is the size of the stack in MB, 0 for the usual one.
One JSON line in ({"source", "function", "arguments"}), one out ({"value"} or {"error"}). Dicts travel as pairs.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any


def to_json(value: Any) -> Any:
    """Type and value, so that True is not 1 and a dict keeps its keys' types and its order."""
    if isinstance(value, list):
        return ["l", [to_json(item) for item in value]]
    if isinstance(value, dict):
        return ["d", [[to_json(key), to_json(item)] for key, item in value.items()]]
    if isinstance(value, bool) or value is None:
        return ["c", str(value)]
    return ["i", str(value)] if isinstance(value, int) else ["s", value]


def from_json(coded: Any) -> Any:
    """Back again."""
    kind, value = coded
    if kind == "l":
        return [from_json(item) for item in value]
    if kind == "d":
        return {from_json(key): from_json(item) for key, item in value}
    if kind == "c":
        return {"True": True, "False": False, "None": None}[value]
    return int(value) if kind == "i" else value


def main() -> None:
    """Serves until the input ends."""
    import starlark

    names = starlark.Globals.extended_by([])
    dialect = starlark.Dialect.standard()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            module = starlark.Module()
            starlark.eval(module, starlark.parse("template.star", asked["source"], dialect), names)
            arguments = [from_json(argument) for argument in asked["arguments"]]
            found = {"value": to_json(module.freeze().call(asked["function"], *arguments))}
        except (starlark.StarlarkError, ValueError, TypeError) as error:
            found = {"error": str(error)[:500]}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if stack_mb := int(sys.argv[1]):
        threading.stack_size(stack_mb << 20)
        thread = threading.Thread(target=main)
        thread.start()
        thread.join()
    else:
        main()
