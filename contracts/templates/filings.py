"""The life of a template on chain: filed, approved, live, suspended, revoked (docs/spec/templates.md §4).

State: ``t`` + id + version(u32) -> filing record; ``n`` + id -> newest live version, u32; ``b`` + tree's SM3 -> tree;
``q``, ``e`` + source's SM3 -> source, its examples; ``o`` + account -> how many of his filings are open, u8.
Templates of genesis have records only: their trees are in the build, under the same identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import EngineFault
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.errors import MalformedBytes
from chain_core.types.genesis import Genesis
from chain_core.types.values import Value
from contracts.engine.refusals import TemplateRefused
from contracts.kernel.four_eyes import require_second_house
from contracts.templates.compiled import Compiled, compile_tree

FILED, LIVE, SUSPENDED, REVOKED, WITHDRAWN = "filed", "live", "suspended", "revoked", "withdrawn"
COMMON_PREFIX = "csrc."
MAX_OPEN_FILINGS = 8
_TEXT_VERSIONS = 8
"""So many versions are looked through for a text."""
_GENESIS_FIELDS = {"version", "tree_sm3", "source_sm3", "filing_number", "title", "status"}
STEPS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "suspend": ((LIVE,), SUSPENDED),
    "resume": ((SUSPENDED,), LIVE),
    "revoke": ((LIVE, SUSPENDED), REVOKED),
}


# What a record decodes to depends on its bytes alone; callers do not change it.
_decoded = lru_cache(maxsize=256)(partial(decode_map, record="filing record"))


def record_key(name: str, version: int) -> bytes:
    """State key of a filing record."""
    return b"t" + name.encode("ascii") + version.to_bytes(4, "big")


def newest_key(name: str) -> bytes:
    """State key of a template's newest live version."""
    return b"n" + name.encode("ascii")


def genesis_record(compiled: Compiled, source_sm3: bytes, filing_number: str) -> dict[str, Value]:
    """A row of the genesis document ``templates``."""
    return {
        "version": compiled.template.version,
        "tree_sm3": compiled.identity,
        "source_sm3": source_sm3,
        "filing_number": filing_number,
        "title": compiled.template.title,
        "status": LIVE,
    }


class Filings:
    """Keeps the records, and finds the compiled template behind one. ``shipped`` are the trees of this build."""

    def __init__(self, shipped: Sequence[bytes]) -> None:
        self._shipped = {sm3(tree): tree for tree in shipped}

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The document ``templates``: each template on file, in this build under the same identity."""
        document = genesis.documents.get("templates", {})
        if not isinstance(document, dict):
            writer.refuse("templates.bad_genesis", "documents.templates")
        for name, row in sorted(document.items()):
            where = f"documents.templates.{name}"
            if not isinstance(row, dict) or set(row) != _GENESIS_FIELDS:
                writer.refuse("templates.bad_genesis", where)
            tree = self._shipped.get(row["tree_sm3"]) if type(row["tree_sm3"]) is bytes else None
            template = None if tree is None else compile_tree(tree).template
            if template is None or (template.id, template.version) != (name, row["version"]):
                writer.refuse("templates.bad_genesis", f"{where}.tree_sm3")
            record = {**row, "filer": bytes(16), "approver": bytes(16), "entity": ""}
            writer.put(record_key(name, template.version), encode_value(record))
            if row["status"] == LIVE:
                writer.put(newest_key(name), template.version.to_bytes(4, "big"))

    # ---- finding

    def on_file(self, ctx: CallContext, name: str, version: int = 0) -> Compiled:
        """The live template of that version, or its newest. EngineFault when a tree of genesis is not in this build:
        the node has to be upgraded.
        """
        if not version:
            newest = ctx.get(newest_key(name)) if name.isascii() else None
            if newest is None:
                ctx.refuse("templates.unknown", name)
            version = int.from_bytes(newest, "big")
        row = self.record(ctx, name, version)
        if row["status"] != LIVE:
            ctx.refuse("templates.not_live", name, row["status"])
        return self._compiled(ctx, cast(bytes, row["tree_sm3"]))

    def record(self, ctx: CallContext, name: str, version: int) -> Mapping[str, Value]:
        """The filing record. Refuses with templates.unknown."""
        raw = ctx.get(record_key(name, version)) if name.isascii() else None
        if raw is None:
            ctx.refuse("templates.unknown", f"{name} {version}")
        return _decoded(raw)

    def _compiled(self, ctx: CallContext, identity: bytes) -> Compiled:
        tree = self._shipped.get(identity)
        if tree is None:
            tree = ctx.get(b"b" + identity)
        if tree is None:
            raise EngineFault(f"the template tree {identity.hex()} on file is not in this build")
        return compile_tree(tree)

    def text_of(self, rule: str, get: Callable[[bytes], bytes | None]) -> RuleText | None:
        """What ``<template id>.<reason>`` says, of the newest approved version on file that declares it."""
        for place in [at for at, letter in enumerate(rule) if letter == "."][::-1]:
            name = rule[:place]
            newest = get(newest_key(name)) if name.isascii() else None
            last = int.from_bytes(newest or b"", "big")
            for version in range(last, max(0, last - _TEXT_VERSIONS), -1):
                raw = get(record_key(name, version))
                row = {} if raw is None else _decoded(raw)
                if row.get("status") not in (LIVE, SUSPENDED, REVOKED):  # what nobody has approved, nobody has checked
                    continue
                identity = cast(bytes, row["tree_sm3"])
                tree = self._shipped.get(identity) or get(b"b" + identity)
                text = None if tree is None else compile_tree(tree).template.rules.get(rule)
                if text is not None:
                    return text
        return None

    # ---- filing

    def file(self, ctx: CallContext, args: Arguments) -> None:
        """A new version is put on file, with its source and its examples. Nothing of it runs before approval. Only its
        size is looked at here: a tree is checked when somebody approves it.
        """
        name, version = cast(str, args["template"]), cast(int, args["version"])
        tree, source, cases = (cast(bytes, args[part]) for part in ("tree", "source", "cases"))
        raw = ctx.get(record_key(name, version))
        if raw is not None and decode_map(raw)["status"] != WITHDRAWN:
            ctx.refuse("templates.filed_already", name, version)
        self._count(ctx, ctx.account, 1)
        row: dict[str, Value] = {
            "version": version,
            "tree_sm3": sm3(tree),
            "source_sm3": sm3(source),
            "filing_number": "",
            "title": args["title"],
            "status": FILED,
            "filer": ctx.account,
            "approver": bytes(16),
            "entity": ctx.entity,
        }
        ctx.put(record_key(name, version), encode_value(row))
        ctx.put(b"b" + sm3(tree), tree)
        ctx.put(b"q" + sm3(source), source)
        ctx.put(b"e" + sm3(source), cases)
        self._told(ctx, name, row)

    def approve(self, ctx: CallContext, args: Arguments) -> None:
        """The regulator's word: the tree that he recomputed from the source is a template, and has a filing number."""
        name, version = cast(str, args["template"]), cast(int, args["version"])
        row = dict(self.record(ctx, name, version))
        if row["status"] != FILED:
            ctx.refuse("templates.wrong_status", name, version, row["status"])
        if row["entity"] == ctx.entity:
            ctx.refuse("templates.own_filing", name)
        if (args["tree_sm3"], args["source_sm3"]) != (row["tree_sm3"], row["source_sm3"]):
            ctx.refuse("templates.other_tree", name, row["tree_sm3"])
        if name.startswith(COMMON_PREFIX):
            # A common template (通用模板) binds every market: two houses of the regulator's side say so.
            require_second_house(ctx)
        try:
            template = self._compiled(ctx, cast(bytes, row["tree_sm3"])).template
        except (TemplateRefused, MalformedBytes) as refused:
            ctx.refuse("templates.no_template", name, str(refused)[:200])
        if (template.id, template.version, template.title) != (name, version, row["title"]):
            ctx.refuse("templates.other_name", name, template.id, template.version)
        if template.replaces and ctx.get(record_key(name, template.replaces)) is None:
            ctx.refuse("templates.unknown", f"{name} {template.replaces}")
        row |= {"status": LIVE, "filing_number": args["filing_number"], "approver": ctx.account}
        ctx.put(record_key(name, version), encode_value(row))
        newest = ctx.get(newest_key(name))
        if newest is None or int.from_bytes(newest, "big") < version:
            ctx.put(newest_key(name), version.to_bytes(4, "big"))
        self._count(ctx, cast(bytes, row["filer"]), -1)
        self._told(ctx, name, row)

    def withdraw(self, ctx: CallContext, args: Arguments) -> None:
        """The filer takes back what nobody has approved; an approver refuses it so as well."""
        name, version = cast(str, args["template"]), cast(int, args["version"])
        row = dict(self.record(ctx, name, version))
        if row["status"] != FILED:
            ctx.refuse("templates.wrong_status", name, version, row["status"])
        if ctx.account != row["filer"] and "governor" not in ctx.roles:
            ctx.refuse("templates.not_yours", name)
        row["status"] = WITHDRAWN
        ctx.put(record_key(name, version), encode_value(row))
        self._count(ctx, cast(bytes, row["filer"]), -1)
        self._told(ctx, name, row)

    def step(self, ctx: CallContext, args: Arguments, name: str) -> None:
        """``suspend``, ``resume``, ``revoke``: by a governor; a revoked version never comes back."""
        template, version = cast(str, args["template"]), cast(int, args["version"])
        row = dict(self.record(ctx, template, version))
        before, after = STEPS[name]
        if row["status"] not in before:
            ctx.refuse("templates.wrong_status", template, version, row["status"])
        row["status"] = after
        ctx.put(record_key(template, version), encode_value(row))
        self._told(ctx, template, row)

    def _count(self, ctx: CallContext, filer: bytes, change: int) -> None:
        key = b"o" + filer
        count = int.from_bytes(ctx.get(key) or b"\0", "big") + change
        if count > MAX_OPEN_FILINGS:
            ctx.refuse("templates.too_many_open", MAX_OPEN_FILINGS)
        ctx.put(key, count.to_bytes(1, "big"))

    @staticmethod
    def _told(ctx: CallContext, name: str, row: Mapping[str, Any]) -> None:
        ctx.emit(
            "template_filing", template=name, **{f: row[f] for f in ("version", "status", "filing_number", "tree_sm3")}
        )
