"""Coverage-guided fuzzing of every decoder: ``python -m tests.fuzz --seconds 120`` (docs/guides/fuzzing.md)."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.campaign import Row

_HEAD = ("harness", "targets", "seconds", "executions", "cov", "ft", "corpus", "RSS warm", "RSS end", "finds")
_WIDTHS = (15, 8, 8, 11, 6, 7, 7, 9, 9, 6)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each harness")
    parser.add_argument("--target", action="append", default=[], help="a harness, or one target alone; all by default")
    parser.add_argument("--input", help="judge one input, hexadecimal or - for none; needs --target and no atheris")
    parser.add_argument("--keep", action="store_true", help="merge what was learnt into tests/fuzz/corpus")
    parser.add_argument("--list", action="store_true", help="harnesses and their targets")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args()


def _reproduce(name: str, text: str) -> int:
    """One input, in this process."""
    from tests.fuzz.target import judge
    from tests.fuzz.targets import TARGETS

    if name not in TARGETS:
        print(f"no target {name}: see --list", file=sys.stderr)
        return 2
    try:
        data = b"" if text == "-" else bytes.fromhex(text)
    except ValueError:
        print("--input is not hexadecimal", file=sys.stderr)
        return 2
    found = judge(TARGETS[name], data)
    print("a value or a typed refusal" if found is None else f"{found.kind}: {found.text}\n  at {found.place}")
    return 0 if found is None else 1


def _list() -> int:
    from tests.fuzz.targets import HARNESSES

    for harness in HARNESSES.values():
        print(f"{harness.name}: {', '.join(target.name for target in harness.targets)}")
    return 0


def _line(cells: tuple[object, ...]) -> str:
    return " ".join(
        str(cell).ljust(w) if i == 0 else str(cell).rjust(w)
        for i, (cell, w) in enumerate(zip(cells, _WIDTHS, strict=True))
    )


def _show(row: Row) -> None:
    cells = (row.harness, row.targets, row.seconds, row.executions, row.coverage, row.features, row.corpus)
    memory = (f"{row.rss_warm >> 20} MiB", f"{row.rss_end >> 20} MiB")
    print(_line((*cells, *memory, len(row.finds))), flush=True)
    for find in row.finds:
        print(f"  {find.target}: {find.kind} at {find.place}: {find.text}\n  {find.reproducer}", flush=True)
    if row.grew:
        print("  memory grew beyond the bound", flush=True)
    if row.died:
        print(f"  the process died: {row.died}", flush=True)


def _fuzz(names: list[str], seconds: int, *, keep: bool, as_json: bool) -> int:
    from tests.fuzz.engine import instrumented

    try:
        with instrumented():
            from tests.fuzz.targets import HARNESSES, harness
    except ImportError as error:
        if error.name != "atheris":
            raise
        version = platform.python_version()
        print(
            f"atheris is not installed: coverage-guided fuzzing needs it, and it has no wheel for every interpreter"
            f" (this is Python {version} on {platform.machine()}).\nmake fuzz installs it where there is one;"
            " the corpus and property tests in tests/fuzz run everywhere.",
            file=sys.stderr,
        )
        return 2
    from tests.fuzz import campaign, stored

    try:
        chosen = [harness(name) for name in names or HARNESSES]
    except LookupError as error:
        print(f"{error.args[0]}: see --list", file=sys.stderr)
        return 2
    rows = []
    if not as_json:
        print(_line(_HEAD), flush=True)
    for one in chosen:
        row = campaign.run(one, seconds, keep=keep)
        rows.append(row)
        for find in row.finds:
            if find.kind not in ("slow", "timeout", "oom"):
                stored.add_case(find.target, find.data, f"{find.kind} {find.place}")
        if not as_json:
            _show(row)
    good = all(row.good for row in rows)
    if as_json:
        print(json.dumps({"good": good, "seconds": seconds, "harnesses": [row.plain() for row in rows]}, indent=1))
    return 0 if good else 1


def main() -> int:
    """0: nothing was found; 1: something was; 2: it cannot run."""
    options = _options()
    if options.list:
        return _list()
    if options.input is not None:
        if len(options.target) != 1:
            print("--input needs one --target", file=sys.stderr)
            return 2
        return _reproduce(options.target[0], options.input)
    return _fuzz(options.target, options.seconds, keep=options.keep, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
