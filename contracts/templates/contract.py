"""The contract ``templates``: creates instances, runs their methods, enforces what templates declare
(docs/spec/kernel.md §6).

State: ``t`` + template id -> filing record; ``i`` + instance -> template, version, creator, params; ``s`` + instance
-> state as ASCII; ``d`` + instance + key -> the instance's data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Document, Octets, Text, wrong_argument
from chain_core.execution.codes import Code, EngineFault, Refused
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.genesis import Genesis
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value
from contracts.kernel.records import KERNEL
from contracts.templates.context import TemplateContext
from contracts.templates.interface import Source, Template, TemplateMethod

TEMPLATES = "templates"
LIVE = "live"
MAX_DOCUMENT_BYTES = 16_384

_FILING_FIELDS = {"version", "source_sm3", "filing_number", "title", "status"}
_CACHED = 8_192

TEXTS: Mapping[str, RuleText] = {
    "templates.unknown": RuleText("模板 {0} 未备案", "no template {0} is on file"),
    "templates.not_live": RuleText("模板 {0} 状态为 {1}", "template {0} is {1}"),
    "templates.exists": RuleText("该编号已有合约实例 {0}", "this reference has an instance already, {0}"),
    "templates.no_instance": RuleText("合约实例 {0} 不存在", "there is no instance {0}"),
    "templates.no_method": RuleText("模板 {0} 没有方法 {1}", "template {0} has no method {1}"),
    "templates.bad_parameters": RuleText(
        "模板 {0} 的参数 {1} 缺失、多余或超出限制",
        "parameter {1} of template {0} is missing, unknown or outside its limits",
    ),
    "templates.bad_arguments": RuleText(
        "{0}.{1} 的参数 {2} 缺失、多余或超出限制", "argument {2} of {0}.{1} is missing, unknown or outside its limits"
    ),
    "templates.wrong_state": RuleText("实例状态为 {1}，不能办理 {0}", "{0} cannot be called while the instance is {1}"),
    "templates.bad_genesis": RuleText("创世文件 {0} 不正确", "the genesis document is wrong at {0}"),
}


@dataclass(frozen=True, slots=True)
class Filed:
    """A template in this build, with the SM3 of its source file."""

    template: Template
    source_sm3: bytes


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance; ``params`` fit the template's."""

    template: str
    version: int
    creator: bytes
    params: Mapping[str, Value]


def instance_key(instance: bytes) -> bytes:
    """State key of an instance's record."""
    return b"i" + instance


def state_of(instance: bytes) -> bytes:
    """State key of an instance's state."""
    return b"s" + instance


def _decode_instance(raw: bytes) -> Instance:
    row = decode_map(raw, "instance")
    return Instance(
        cast(str, row["template"]),
        cast(int, row["version"]),
        cast(bytes, row["creator"]),
        cast(Mapping[str, Value], row["params"]),
    )


# What a value decodes to depends on its bytes alone; callers do not change it.
_instance = lru_cache(maxsize=_CACHED)(_decode_instance)
_filing = lru_cache(maxsize=256)(decode_map)


class Templates(Contract):
    """Runs the templates that are on file in state and in this build, with the same source."""

    name = TEMPLATES
    lane = Lane.BUSINESS

    def __init__(self, catalogue: Sequence[Filed]) -> None:
        self._catalogue = {(filed.template.id, filed.template.version): filed for filed in catalogue}
        self.rules = {**TEXTS, **{rule: text for f in catalogue for rule, text in f.template.rules.items()}}
        document = Document(MAX_DOCUMENT_BYTES)
        self.methods = {
            "create": Method(self.create, {"template": Text(64), "reference": Text(64), "params": document}),
            "call": Method(self.call, {"instance": Octets(ACCOUNT_ID_SIZE), "method": Text(64), "args": document}),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The document ``templates``: each template on file."""
        document = genesis.documents.get(TEMPLATES, {})
        if not isinstance(document, dict):
            writer.refuse("templates.bad_genesis", "documents.templates")
        for name, row in sorted(document.items()):
            if not isinstance(row, dict) or set(row) != _FILING_FIELDS:
                writer.refuse("templates.bad_genesis", f"documents.templates.{name}")
            version = row["version"]
            filed = self._catalogue.get((name, version)) if type(version) is int else None
            if filed is None or filed.source_sm3 != row["source_sm3"]:
                writer.refuse("templates.bad_genesis", f"documents.templates.{name}.source_sm3")
            writer.put(b"t" + name.encode("ascii"), encode_value(row))

    def create(self, ctx: CallContext, args: Arguments) -> None:
        """A new instance under the creator's own reference. Emits ``instance_created``."""
        name, reference = cast(str, args["template"]), cast(str, args["reference"])
        params = cast(Mapping[str, Value], args["params"])
        template = self._on_file(ctx, name)
        kinds = {param: declared.kind for param, declared in template.params.items()}
        wrong = wrong_argument(kinds, params)
        if wrong is not None:
            ctx.refuse("templates.bad_parameters", name, wrong[:64])
        instance = ctx.new_id(
            "instance", ctx.principal, reference, lambda known: ctx.get(instance_key(known)), "templates.exists"
        )
        record = Instance(name, template.version, ctx.principal, params)
        self._check_role(ctx, template, template.create, record, "create")
        row: dict[str, Value] = {
            "template": name,
            "version": template.version,
            "creator": record.creator,
            "params": params,
        }
        ctx.put(instance_key(instance), encode_value(row))
        ctx.emit("instance_created", instance=instance, template=name, version=template.version, reference=reference)
        self._run(ctx, template, template.create, instance, record, "", {}, "create")

    def call(self, ctx: CallContext, args: Arguments) -> None:
        """One method of an instance."""
        instance, name = cast(bytes, args["instance"]), cast(str, args["method"])
        raw = ctx.get(instance_key(instance))
        if raw is None:
            ctx.refuse("templates.no_instance", instance)
        record = _instance(raw)
        template = self._on_file(ctx, record.template)
        method = template.methods.get(name)
        if method is None:
            ctx.refuse("templates.no_method", record.template, name)
        self._check_role(ctx, template, method, record, name)
        state = (ctx.get(state_of(instance)) or b"").decode("ascii")
        if state not in method.states:
            ctx.refuse("templates.wrong_state", name, state)
        call = cast(Arguments, args["args"])
        wrong = wrong_argument(method.args, call)
        if wrong is not None:
            ctx.refuse("templates.bad_arguments", record.template, name, wrong[:64])
        self._run(ctx, template, method, instance, record, state, call, name)

    def _on_file(self, ctx: CallContext, name: str) -> Template:
        """The template as filed. EngineFault when this build's source is not the one on file: the node has to be
        upgraded.
        """
        raw = ctx.get(b"t" + name.encode("utf-8"))
        if raw is None:
            ctx.refuse("templates.unknown", name)
        row = _filing(raw)
        if row["status"] != LIVE:
            ctx.refuse("templates.not_live", name, row["status"])
        filed = self._catalogue.get((name, cast(int, row["version"])))
        if filed is None or filed.source_sm3 != row["source_sm3"]:
            raise EngineFault(f"the source of {name} version {row['version']!r} on file is not in this build")
        return filed.template

    @staticmethod
    def _check_role(
        ctx: CallContext, template: Template, method: TemplateMethod, instance: Instance, name: str
    ) -> None:
        caller = ctx.principal
        for role in (template.roles[role] for role in method.roles):
            if (
                role.source is Source.ANYBODY
                or (role.source is Source.CHAIN and role.name in ctx.roles)
                or (role.source is Source.CREATOR and caller == instance.creator)
                or (role.source is Source.PARAMETER and caller == instance.params[role.name])
            ):
                return
        raise Refused(Code.FORBIDDEN, "", (template.id, name))

    @staticmethod
    def _run(
        ctx: CallContext,
        template: Template,
        method: TemplateMethod,
        instance: bytes,
        record: Instance,
        state: str,
        call: Arguments,
        name: str,
    ) -> None:
        """Runs the handler and enters the state it returns, if the template declared that transition."""
        kernel = ctx.within(KERNEL)
        view = TemplateContext(
            ctx, kernel, template.id, template.capabilities, instance, record.creator, record.params, state
        )
        after = method.handler(view, call)
        if after not in (template.states[state] if state else template.initial):
            raise EngineFault(
                f"{template.id}.{name} went from {state or 'nothing'} to {after}, which it never declared"
            )
        if after != state:
            ctx.put(state_of(instance), after.encode("ascii"))
            ctx.emit("instance_state", instance=instance, method=name, state=after)
