"""JSON-LD documents as canonical N-Quads, with the contexts that stand in this package and no others.

What no context defines is not in the quads, and so not signed: a document with such a term, a relative identifier or a
blank node of its own naming is refused (docs/spec/identity.md §5; JR/T 0325-2024 annex F; W3C RDFC-1.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pyld import jsonld

CREDENTIALS_CONTEXT = "https://www.w3.org/2018/credentials/v1"
REM_CONTEXT = "urn:dualchain:context:rem-v1"
_FILES: Mapping[str, str] = {CREDENTIALS_CONTEXT: "credentials-v1.json", REM_CONTEXT: "rem-v1.json"}

MAX_DOCUMENT_CHARACTERS = 65_536
MAX_DEPTH = 16
MAX_NODES = 256
"""Objects of a document: those without an identifier are labelled, at a price that grows with their number."""


class NotSignable(ValueError):
    """The document cannot be canonicalised without losing something: what, and where."""


def canonical_quads(document: Mapping[str, Any]) -> bytes:
    """The document's RDF dataset as canonical N-Quads (RDFC-1.0), in UTF-8. Raises NotSignable."""
    _check_shape(document)
    try:
        processor = jsonld.JsonLdProcessor(on_property_dropped=_refuse_dropped)
        expanded = processor.expand(dict(document), {"documentLoader": _load, "base": _BASE})
        _check_absolute(expanded, "document")
        options = {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": _load}
        quads: str = jsonld.normalize(expanded, options)
    except NotSignable:
        raise
    except jsonld.JsonLdError as error:
        raise _cause_of(error, str(error)) from None
    if not quads:
        raise NotSignable("the document makes no statement")
    return quads.encode("utf-8")


def _cause_of(error: BaseException, said: str) -> NotSignable:
    """What the library wrapped: our own refusal where the loader raised one."""
    if isinstance(error, NotSignable):
        return error
    inner = error.__cause__ or error.__context__
    return NotSignable(f"JSON-LD: {said[:160]}") if inner is None else _cause_of(inner, said)


def _refuse_dropped(name: str | None) -> None:
    raise NotSignable(f"the term {name!r} is defined by none of the document's contexts")


def _check_shape(document: Mapping[str, Any]) -> None:
    """Bounds, and that contexts are named, never inlined."""
    if len(json.dumps(document, ensure_ascii=False)) > MAX_DOCUMENT_CHARACTERS:
        raise NotSignable(f"the document has more than {MAX_DOCUMENT_CHARACTERS} characters")
    if not encodable(document):
        raise NotSignable("a text has half a surrogate pair, which no bytes stand for")
    nodes = 0
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise NotSignable(f"the document is nested more than {MAX_DEPTH} deep")
        if isinstance(value, Mapping):
            nodes += 1
            if nodes > MAX_NODES:
                raise NotSignable(f"the document has more than {MAX_NODES} objects")
            for name, item in value.items():
                if name == "@context":
                    _check_context(item)
                else:
                    waiting.append((item, depth + 1))
        elif isinstance(value, list):
            waiting.extend((item, depth + 1) for item in value)
        elif isinstance(value, float):
            raise NotSignable("a number with a fraction has no single form: write it as text")


def encodable(document: Mapping[str, Any]) -> bool:
    """Whether UTF-8 has bytes for all of its texts: JSON's escapes can spell halves of surrogate pairs."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_context(value: object) -> None:
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str) or one not in _FILES:
            raise NotSignable(f"the context {str(one)[:80]!r} is not one that stands in this package")


def _check_absolute(value: Any, where: str) -> None:
    """Identifiers and types are absolute IRIs: relative ones, and blank nodes named by the author, say nothing."""
    if isinstance(value, list):
        for item in value:
            _check_absolute(item, where)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("@id", "@type"):
                for one in item if isinstance(item, list) else [item]:
                    if not isinstance(one, str) or one.startswith(("_:", _RELATIVE)) or set(one) & _UNSAFE:
                        raise NotSignable(f"{where}: {str(one)[:80]!r} is neither a defined type nor an absolute IRI")
            else:
                _check_absolute(item, name)


_RELATIVE = "relative:"
_BASE = f"{_RELATIVE}//document/"
"""What is relative gets this base, so that it can be told; nothing absolute begins with it."""
_UNSAFE = frozenset(' <>"{}|\\^`\n\r\t')


def _load(url: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The document loader: files of this package, never the network."""
    if url not in _FILES:
        raise NotSignable(f"the context {url[:80]!r} is not one that stands in this package")
    return {"contextUrl": None, "documentUrl": url, "document": _context(url)}


@cache
def _context(url: str) -> Any:
    return json.loads((files(__package__) / "contexts" / _FILES[url]).read_text("utf-8"))
