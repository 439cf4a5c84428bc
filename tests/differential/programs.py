"""Random programs of the template language: mostly well typed, so that most of them run to their end."""

from __future__ import annotations

from random import Random

INT, TEXT, BOOL, INTS, TEXTS, MAP = "int", "text", "bool", "ints", "texts", "map"
TYPES = (INT, TEXT, BOOL, INTS, TEXTS, MAP)
WORDS = ("", "a", "b", "ab", "ba", "A-1", "股权", "x y", " pad ", "12", "-12", "zz")
_MISTYPED = 0.004


class Programs:
    """One stream of programs. Each has a function ``main(a, b, c)`` and helpers."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def program(self) -> str:
        """The source of one."""
        self._helpers: list[tuple[str, list[str], str]] = []
        lines = [
            f"LIMIT = {self._random.randint(0, 50)}",
            "WORDS = ['a', 'b', '股']",
            "TABLE = {'a': 1, 'k': [1, 2]}",
            "",
        ]
        for number in range(self._random.randint(0, 2)):
            parameters = [self._random.choice(TYPES) for _ in range(self._random.randint(0, 3))]
            result = self._random.choice(TYPES)
            lines += self._function(f"f{number}", parameters, result)
            self._helpers.append((f"f{number}", parameters, result))
        lines += self._function("main", [INT, TEXTS, MAP], self._random.choice(TYPES))
        return "\n".join(lines) + "\n"

    def arguments(self) -> list[object]:
        """Arguments for ``main``."""
        r = self._random
        return [
            r.choice((0, 1, -1, 7, 2**64, r.randint(-100, 100))),
            [r.choice(WORDS) for _ in range(r.randint(0, 4))],
            {r.choice(WORDS): r.randint(-9, 9) for _ in range(r.randint(0, 3))},
        ]

    def _function(self, name: str, parameters: list[str], result: str) -> list[str]:
        self._names = {f"p{index}": kind for index, kind in enumerate(parameters)}
        self._fresh = 0
        self._loops = 0
        head = f"def {name}({', '.join(self._names)}):"
        body = self._block(self._random.randint(1, 4), 1)
        return [head, *body, f"    return {self._expression(result, 3)}", ""]

    def _block(self, size: int, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(size):
            lines += self._statement(depth)
        return lines

    def _statement(self, depth: int) -> list[str]:
        r, pad = self._random, "    " * depth
        choice = r.random()
        if choice < 0.35 or depth > 4:
            kind = r.choice(TYPES)
            value = self._expression(kind, 3)
            return [f"{pad}{self._new(kind)} = {value}"]
        if choice < 0.45 and self._named(INT):
            return [f"{pad}{r.choice(self._named(INT))} {r.choice(('+=', '-=', '*='))} {self._expression(INT, 2)}"]
        if choice < 0.5 and self._named(INTS):
            return [f"{pad}{r.choice(self._named(INTS))} += {self._expression(INTS, 1)}"]
        if choice < 0.6:
            return [pad + line for change in self._change() for line in change.split("\n")]
        if choice < 0.8:
            return self._if(depth)
        return self._for(depth)

    def _change(self) -> list[str]:
        r = self._random
        kind = r.choice([kind for kind in (INTS, TEXTS, MAP) if self._named(kind)] or [""])
        if not kind:
            return ["pass"]
        name = r.choice(self._named(kind))
        if kind == MAP:
            key, value = self._expression(TEXT, 1), self._expression(INT, 2)
            return [
                r.choice(
                    (
                        f"{name}[{key}] = {value}",
                        f"{name}.pop({key}, {value})",
                        f"{name}.setdefault({key}, {value})",
                        f"{name}.update({self._expression(MAP, 1)})",
                        f"{name}[{key}] = {name}.get({key}, 0)\n{name}[{key}] += {value}",
                    )
                )
            ]
        item = INT if kind == INTS else TEXT
        value, index = self._expression(item, 2), self._expression(INT, 1)
        return [
            r.choice(
                (
                    f"{name}.append({value})",
                    f"{name}.extend({self._expression(kind, 1)})",
                    f"{name}.insert({index}, {value})",
                    f"if {name}:\n{name}[{r.choice((-1, 0, 0, 1))}] = {value}",
                    f"if {name}:\n{name}[0] += {value}",
                    f"if {name}:\n{name}.pop()",
                    f"if {value} in {name}:\n{name}.remove({value})",
                    f"{name}.clear()",
                )
            ).replace("\n", "\n    ")
        ]

    def _scoped(self, depth: int) -> list[str]:
        known = dict(self._names)
        lines = self._block(self._random.randint(1, 3), depth)
        self._names = known
        return lines

    def _if(self, depth: int) -> list[str]:
        pad = "    " * depth
        lines = [f"{pad}if {self._expression(BOOL, 3)}:", *self._scoped(depth + 1)]
        if self._random.random() < 0.3:
            lines += [f"{pad}elif {self._expression(BOOL, 2)}:", *self._scoped(depth + 1)]
        if self._random.random() < 0.5:
            lines += [f"{pad}else:", *self._scoped(depth + 1)]
        return lines

    def _for(self, depth: int) -> list[str]:
        r, pad = self._random, "    " * depth
        known = dict(self._names)
        names, head = r.choice(
            (
                ((INT,), f"range({r.randint(0, 6)})"),
                ((INT,), f"range({r.randint(-3, 3)}, {self._expression(INT, 1)} % 7, {r.choice((1, 2, -1))})"),
                ((INT,), self._expression(INTS, 1)),
                ((TEXT,), self._expression(TEXTS, 1)),
                ((TEXT,), self._expression(MAP, 1)),
                ((TEXT, INT), f"{self._atom(MAP)}.items()"),
                ((INT, TEXT), f"enumerate({self._expression(TEXTS, 1)})"),
            )
        )
        bound = [self._new(kind) for kind in names]
        self._loops += 1
        body = self._block(r.randint(1, 3), depth + 1)
        if r.random() < 0.3:
            word = r.choice(("break", "continue"))
            body += [f"{pad}    if {self._expression(BOOL, 2)}:", f"{pad}        {word}"]
        self._names = known
        return [f"{pad}for {', '.join(bound)} in {head}:", *body]

    def _new(self, kind: str) -> str:
        if self._random.random() < 0.3 and self._named(kind):
            return self._random.choice(self._named(kind))
        self._fresh += 1
        name = f"v{self._fresh}"
        self._names[name] = kind
        return name

    def _named(self, kind: str) -> list[str]:
        return [name for name, known in self._names.items() if known == kind]

    def _atom(self, kind: str) -> str:
        r = self._random
        names = self._named(kind)
        if names and r.random() < 0.6:
            return r.choice(names)
        if kind == INT:
            return str(r.choice((0, 1, 2, 3, 10, -1, 2**62, r.randint(-50, 50), "LIMIT")))
        if kind == TEXT:
            return repr(r.choice(WORDS))
        if kind == BOOL:
            return r.choice(("True", "False"))
        if kind == INTS:
            return "[" + ", ".join(str(r.randint(-5, 9)) for _ in range(r.randint(0, 4))) + "]"
        if kind == TEXTS:
            return r.choice(("WORDS", "[" + ", ".join(repr(r.choice(WORDS)) for _ in range(r.randint(0, 3))) + "]"))
        return "{" + ", ".join(f"{w!r}: {r.randint(0, 9)}" for w in r.sample(WORDS, r.randint(0, 3))) + "}"

    def _expression(self, kind: str, depth: int) -> str:
        r = self._random
        if r.random() < _MISTYPED:
            kind = r.choice(TYPES)
        if depth <= 0 or r.random() < 0.2:
            return self._atom(kind)
        fitting = [helper for helper in self._helpers if helper[2] == kind]
        if fitting and r.random() < 0.15:
            name, parameters, _ = r.choice(fitting)
            return f"{name}({', '.join(self._expression(p, depth - 1) for p in parameters)})"
        if r.random() < 0.08:
            test = self._expression(BOOL, depth - 1)
            return f"({self._expression(kind, depth - 1)} if {test} else {self._expression(kind, depth - 1)})"
        return getattr(self, f"_{kind}")(depth - 1)  # type: ignore[no-any-return]

    def _int(self, d: int) -> str:
        e = self._expression
        return self._random.choice(
            (
                lambda: f"({e(INT, d)} {self._random.choice(('+', '-', '*', '//', '%'))} {e(INT, d)})",
                lambda: f"-({e(INT, d)})",
                lambda: f"len({e(self._random.choice((TEXT, INTS, TEXTS, MAP)), d)})",
                lambda: f"{self._random.choice(('min', 'max'))}({e(INT, d)}, {e(INT, d)})",
                lambda: f"max({e(INTS, d)} + [{e(INT, d)}])",
                lambda: f"abs({e(INT, d)})",
                lambda: f"int({self._random.choice((f'str({e(INT, d)})', e(TEXT, 0)))})",
                lambda: f"int({e(BOOL, d)})",
                lambda: f"({e(INTS, d)} + [{e(INT, d)}])[{self._near()}]",
                lambda: self._looked_up(d),
                lambda: f"{e(MAP, d)}.get({e(TEXT, d)}, {e(INT, d)})",
                lambda: f"{e(TEXT, d)}.find({e(TEXT, d)})",
                lambda: f"{e(TEXT, d)}.count({e(TEXT, d)})",
                lambda: f"({e(INTS, d)} + [{self._random.randint(0, 3)}]).index({self._random.randint(0, 3)})",
                lambda: f"({e(INT, d)} or {e(INT, d)})",
            )
        )()

    def _text(self, d: int) -> str:
        e = self._expression
        return self._random.choice(
            (
                lambda: f"({e(TEXT, d)} + {e(TEXT, d)})",
                lambda: f"({e(TEXT, d)} * {self._random.randint(-1, 4)})",
                lambda: f"str({e(self._random.choice((INT, TEXT, BOOL)), d)})",
                lambda: f"{e(TEXT, d)}[{self._slice(d)}]",
                lambda: f"({e(TEXT, d)} + 'q')[{self._near()}]",
                lambda: f"({e(TEXTS, d)} + [{e(TEXT, d)}])[{self._near()}]",
                lambda: f"{e(TEXT, d)}.{self._random.choice(('upper', 'lower', 'strip'))}()",
                lambda: f"{e(TEXT, d)}.replace({e(TEXT, d)}, {e(TEXT, d)})",
                lambda: f"{e(TEXT, d)}.join({e(TEXTS, d)})",
                lambda: f"({e(TEXT, d)} and {e(TEXT, d)})",
            )
        )()

    def _near(self) -> str:
        """An index that mostly fits."""
        return self._random.choice(("0", "0", "-1", "-1", "0", "-1", "1", self._expression(INT, 1)))

    def _looked_up(self, depth: int) -> str:
        key = self._random.choice(WORDS)
        return f"{{{key!r}: {self._expression(INT, depth)}}}[{key!r}]"

    def _slice(self, d: int) -> str:
        low = self._expression(INT, d) if self._random.random() < 0.7 else ""
        high = self._expression(INT, d) if self._random.random() < 0.7 else ""
        return f"{low}:{high}"

    def _bool(self, d: int) -> str:
        e, kind = self._expression, self._random.choice((INT, TEXT))
        anything = self._random.choice(TYPES)
        return self._random.choice(
            (
                lambda: f"({e(kind, d)} {self._random.choice(('<', '<=', '>', '>='))} {e(kind, d)})",
                lambda: f"({e(anything, d)} {self._random.choice(('==', '!='))} {e(anything, d)})",
                lambda: f"(not {e(anything, d)})",
                lambda: f"({e(BOOL, d)} {self._random.choice(('and', 'or'))} {e(BOOL, d)})",
                lambda: f"({e(TEXT, d)} {self._random.choice(('in', 'not in'))} {e(TEXTS, d)})",
                lambda: f"({e(TEXT, d)} in {e(self._random.choice((MAP, TEXT)), d)})",
                lambda: f"({e(INT, d)} in {e(INTS, d)})",
                lambda: f"{e(TEXT, d)}.{self._random.choice(('startswith', 'endswith'))}({e(TEXT, d)})",
                lambda: f"{e(TEXT, d)}.isdigit()",
                lambda: f"bool({e(anything, d)})",
                lambda: f"{self._random.choice(('any', 'all'))}({e(self._random.choice((INTS, TEXTS)), d)})",
            )
        )()

    def _ints(self, d: int) -> str:
        e = self._expression
        return self._random.choice(
            (
                lambda: f"({e(INTS, d)} + {e(INTS, d)})",
                lambda: f"({e(INTS, d)} * {self._random.randint(-1, 3)})",
                lambda: f"sorted({e(INTS, d)})",
                lambda: f"list(range({e(INT, d)} % 9))",
                lambda: f"{e(MAP, d)}.values()",
                lambda: f"{e(INTS, d)}[{self._slice(d)}]",
                lambda: self._comprehension(d),
                lambda: f"[{e(INT, d)}, {e(INT, d)}]",
            )
        )()

    def _comprehension(self, depth: int) -> str:
        iterated = self._random.choice((self._expression(INTS, depth), f"range({self._expression(INT, depth)} % 9)"))
        self._fresh += 1
        name = f"z{self._fresh}"
        self._names[name] = INT
        element = self._expression(INT, 1)
        condition = f" if {self._expression(BOOL, 1)}" if self._random.random() < 0.5 else ""
        del self._names[name]
        return f"[{element} for {name} in {iterated}{condition}]"

    def _texts(self, d: int) -> str:
        e = self._expression
        return self._random.choice(
            (
                lambda: f"{e(TEXT, d)}.split({self._random.choice(WORDS[1:])!r})",
                lambda: f"sorted({e(TEXTS, d)})",
                lambda: f"{e(MAP, d)}.keys()",
                lambda: f"list({e(MAP, d)})",
                lambda: f"({e(TEXTS, d)} + [{e(TEXT, d)}])",
                lambda: f"{e(TEXTS, d)}[{self._slice(d)}]",
            )
        )()

    def _map(self, d: int) -> str:
        e = self._expression
        return self._random.choice(
            (
                lambda: f"dict({e(MAP, d)})",
                lambda: f"{{{e(TEXT, d)}: {e(INT, d)}}}",
                lambda: self._atom(MAP),
            )
        )()
