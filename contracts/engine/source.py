"""The text of a template before any parser sees it (docs/spec/tpl-1.md §1). Off chain only.

Only characters of a fixed list pass: what a reviewer sees is what there is, on every release of Python and Unicode.
"""

from __future__ import annotations

import io
import re
import tokenize

from contracts.engine.limits import MAX_SOURCE_BYTES
from contracts.engine.refusals import refuse

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_PUNCTUATION = (
    "\u3001\u3002\u3008-\u3011\u3014\u3015\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f\u2018\u2019\u201c\u201d"
    "\u2014\u2026\u00b7\uffe5\u00a7\u2264\u2265"
)
_FOREIGN = re.compile(f"[^\n -~{_HAN}{_PUNCTUATION}]")
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,79})\Z")
_ESCAPE = re.compile(r"\\(?![\\\"'nt])", re.DOTALL)
_MAX_OPEN_BRACKETS = 40
_MAX_LINE = 400
_MAX_PREFIXES = 8
_FORMATTED: int = getattr(tokenize, "FSTRING_START", -1)
"""A token of its own from Python 3.12 on."""
_LAYOUT = frozenset(
    (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER)
)


def read_source(raw: bytes) -> str:
    """The text of a source file. Raises ``TemplateRefused`` for bytes that no template has."""
    if len(raw) > MAX_SOURCE_BYTES:
        refuse("too_large", 0, f"{len(raw)} bytes, at most {MAX_SOURCE_BYTES}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse("not_utf8", raw[: error.start].count(b"\n") + 1, f"byte {error.start} is not UTF-8")
    for number, row in enumerate(text.split("\n"), 1):
        if len(row) > _MAX_LINE:
            refuse("line_too_long", number, f"{len(row)} characters, at most {_MAX_LINE}")
        if row.endswith("\\"):
            refuse("joined_line", number, "a line does not go on behind a backslash: use brackets")
    found = _FOREIGN.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        refuse("bad_character", line, f"U+{ord(found[0]):04X} is not in the alphabet of templates")
    return text


def check_tokens(text: str) -> None:
    """Refuses what the two languages write differently: escapes, prefixes of texts, numbers, joined lines."""
    opened, prefixes, before = 0, 0, tokenize.NL
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            line, word = token.start[0], token.string
            _check_token(token.type, word, line, before)
            if token.type == tokenize.OP and word in "([{":
                opened += 1
            elif token.type == tokenize.OP and word in ")]}":
                opened -= 1
            # Operators before an operand nest without brackets: a parser's stack is not ours to exhaust.
            prefixes = prefixes + 1 if word in ("-", "not") else 0
            if opened > _MAX_OPEN_BRACKETS or prefixes > _MAX_PREFIXES:
                refuse("nesting", line, f"more than {_MAX_OPEN_BRACKETS} open brackets or {_MAX_PREFIXES} prefixes")
            if token.type not in (tokenize.NL, tokenize.COMMENT):
                before = token.type
    except (tokenize.TokenError, IndentationError) as error:
        refuse("syntax", _line_of(error), "the file does not read as lines of the language")


def _line_of(error: Exception) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    position = error.args[1] if len(error.args) > 1 else None
    return int(position[0]) if isinstance(position, tuple) and position else 0


def _check_token(kind: int, word: str, line: int, before: int) -> None:
    if kind == _FORMATTED:
        refuse("prefix", line, "a text has no prefix: no f, r, b or u")
    if kind == tokenize.STRING:
        if word[0] not in "\"'":
            refuse("prefix", line, "a text has no prefix: no f, r, b or u")
        if before == tokenize.STRING:
            refuse("joined_texts", line, "two texts side by side: join them with +")
        if _ESCAPE.search(re.sub(r"\\\\", "", word)):
            refuse("escape", line, "the escapes are \\\\ \\\" \\' \\n \\t")
    elif kind == tokenize.NUMBER:
        if not _NUMBER.match(word):
            refuse("number", line, "numbers are decimal integers, without underscores or leading zeros")
    elif kind == tokenize.OP:
        if word in ("**", "@", ":=", "->", "...", "~", "^", "&", "|", "<<", ">>", "/", ";", "<>", "!", "$"):
            refuse("operator", line, f"there is no {word} in the language")
    elif kind == tokenize.ERRORTOKEN and word.strip():
        refuse("syntax", line, f"{word[:16]!r} cannot stand here")
    elif kind not in _LAYOUT and kind != tokenize.NAME and word.strip():
        refuse("syntax", line, f"{word[:16]!r} cannot stand here")
