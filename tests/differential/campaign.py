"""Compares random programs in ``tpl/1`` and in Starlark: ``python -m tests.differential.campaign --programs 20000``."""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from contracts.engine.parser import parse_template
from contracts.engine.program import Program
from contracts.engine.refusals import Abort, TemplateRefused
from tests.differential.programs import Programs
from tests.differential.starlark_worker import to_json

_WORKER = Path(__file__).with_name("starlark_worker.py")
_SHOWN = 5
_LARGE_STACK_MB = 512


class Starlark:
    """The other engine, in a process of its own."""

    def __enter__(self) -> Starlark:
        self._start()
        return self

    def _start(self, stack_mb: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), str(stack_mb)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def run(self, source: str, function: str, arguments: list[Any]) -> dict[str, Any]:
        """{"value": coded}, {"error": text}, or {"crashed": how} of a program that it dies of, also when it is sent
        once more, to a fresh worker with a larger stack.
        """
        for stack_mb in (0, _LARGE_STACK_MB):
            answer = self._answer(source, function, arguments)
            if "crashed" not in answer:
                return answer
            self._start(_LARGE_STACK_MB if not stack_mb else 0)
        return answer

    def _answer(self, source: str, function: str, arguments: list[Any]) -> dict[str, Any]:
        asked = {"source": source, "function": function, "arguments": [to_json(argument) for argument in arguments]}
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            return {"crashed": f"exit code {self._process.wait()}"}
        return dict(json.loads(answer))


@dataclass
class Comparison:
    """What a campaign found. ``differences`` are values of ours that are not theirs: there must be none.
    ``crashed_other`` are programs that the other engine dies of, twice: it has no opinion on them.
    """

    same: int = 0
    crashed_other: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)


def compare(seed: int, programs: int) -> Comparison:
    """Runs ``programs`` random programs of ``seed`` in both engines."""
    found, made = Comparison(), Programs(seed)
    with Starlark() as other:
        for number in range(programs):
            source, arguments = made.program(), made.arguments()
            theirs = other.run(source, "main", arguments)
            if "crashed" in theirs:
                found.crashed_other.append(f"seed {seed}, program {number}, {theirs['crashed']}:\n{source}{arguments}")
                continue
            try:
                program = Program(parse_template(source.encode()), {})
                ours = to_json(program.call("main", None, copy.deepcopy(arguments))[0])
            except Abort as end:
                found.ends[f"{end.reason}{', they went on' if 'value' in theirs else ''}"] += 1
            except TemplateRefused as end:
                found.ends[f"refused: {end.reason}{', they did not' if 'value' in theirs else ''}"] += 1
            else:
                found.same += theirs.get("value") == ours
                if theirs.get("value") != ours:
                    found.differences.append(f"seed {seed}, program {number}:\n{source}{arguments}\n{ours}\n{theirs}")
    return found


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="Random programs in both engines of the template language.")
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = compare(arguments.seed, arguments.programs)
    told = {
        "programs": arguments.programs,
        "same": found.same,
        "different": len(found.differences),
        "crashed_other": len(found.crashed_other),
        "ended": found.ends,
    }
    print(json.dumps(told) if arguments.json else "\n".join(f"{name:>10}  {value}" for name, value in told.items()))
    print("\n".join(found.differences[:_SHOWN]), file=sys.stderr)
    for one in found.crashed_other:
        print(f"the other engine died of {one}", file=sys.stderr)
    sys.exit(1 if found.differences else 0)


if __name__ == "__main__":
    main()
