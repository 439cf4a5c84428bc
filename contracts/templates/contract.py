"""The contract ``templates``: files templates, creates instances, runs their methods, enforces what they declare
(docs/spec/templates.md).

State of instances: ``i`` + instance -> template, version, creator, params; ``s`` + instance -> state as ASCII; ``d`` +
instance + key -> the instance's data. State of filings: ``filings``; ``z`` + template: ``halts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Document, Integer, Kind, Octets, Text, wrong_argument
from chain_core.execution.codes import Code, Refused
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.genesis import Genesis
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value
from contracts.engine.freezing import containers_in
from contracts.engine.limits import MAX_SOURCE_BYTES, MAX_TREE_BYTES
from contracts.engine.refusals import ABORTS, Abort
from contracts.kernel.contract import OPERATOR
from contracts.kernel.four_eyes import GOVERNOR
from contracts.kernel.records import KERNEL
from contracts.templates import halts
from contracts.templates.compiled import Compiled
from contracts.templates.context import TemplateContext
from contracts.templates.converting import to_language
from contracts.templates.filings import STEPS, Filings
from contracts.templates.interface import Source, Template, TemplateMethod
from contracts.templates.metadata import CREATE, MIGRATE

TEMPLATES = halts.TEMPLATES
MAX_DOCUMENT_BYTES = 16_384
MAX_CASES_BYTES = 49_152

_CACHED = 8_192
_CHAIN, _CREATOR, _PARAMETER, _ANYBODY = Source.CHAIN, Source.CREATOR, Source.PARAMETER, Source.ANYBODY
_IDENTIFIER = Text(64, 1, re.compile(r"[a-z][a-z0-9_.-]*"))
_VERSION = Integer(1, (1 << 31) - 1)
_FILING: Mapping[str, Kind] = {"template": _IDENTIFIER, "version": _VERSION}

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
    "templates.wrong_transition": RuleText(
        "{0}.{1} 欲进入未声明的状态 {2}", "{0}.{1} goes to {2}, which it never declared"
    ),
    "templates.no_migration": RuleText("版本 {1} 不接受 {0} 的迁移", "version {1} takes no instance from {0}"),
    "templates.filed_already": RuleText("模板 {0} 版本 {1} 已备案", "version {1} of template {0} is on file already"),
    "templates.wrong_status": RuleText("模板 {0} 版本 {1} 状态为 {2}", "version {1} of template {0} is {2}"),
    "templates.own_filing": RuleText("模板 {0} 须由另一机构核准", "another house than the filer's approves {0}"),
    "templates.other_tree": RuleText("模板 {0} 备案的语法树为 {1}", "the tree on file for {0} is {1}"),
    "templates.no_template": RuleText("{0} 不是合格模板：{1}", "{0} is no template: {1}"),
    "templates.other_name": RuleText("{0} 的文件自称 {1} 版本 {2}", "the file of {0} calls itself {1} version {2}"),
    "templates.not_yours": RuleText("{0} 不是您备案的", "you did not file {0}"),
    "templates.too_many_open": RuleText("待核准的备案已满 {0} 件", "{0} of your filings wait for approval already"),
    "templates.bad_genesis": RuleText("创世文件 {0} 不正确", "the genesis document is wrong at {0}"),
}
ENGINE_TEXTS = {
    f"tpl.{reason}": RuleText(f"模板 {{0}} 第 {{1}} 行：{zh}", f"template {{0}}, line {{1}}: {en}")
    for reason, (zh, en) in ABORTS.items()
}
"""Refusals of the engine: template and line."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance; ``params`` fit the template's."""

    template: str
    version: int
    creator: bytes
    params: Mapping[str, Value]
    given: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """``params`` as the template sees them, which it cannot change; ``frozen`` are their lists and dicts."""
    frozen: Mapping[int, int] = field(default_factory=dict, compare=False)


def instance_key(instance: bytes) -> bytes:
    """State key of an instance's record."""
    return b"i" + instance


def state_of(instance: bytes) -> bytes:
    """State key of an instance's state."""
    return b"s" + instance


def _decode_instance(raw: bytes) -> Instance:
    row = decode_map(raw, "instance")
    params = cast(Mapping[str, Value], row["params"])
    return _instance_of(cast(str, row["template"]), cast(int, row["version"]), cast(bytes, row["creator"]), params)


def _instance_of(template: str, version: int, creator: bytes, params: Mapping[str, Value]) -> Instance:
    given = to_language(params)
    return Instance(template, version, creator, params, given, containers_in(given))


# What a value decodes to depends on its bytes alone; callers do not change it.
_instance = lru_cache(maxsize=_CACHED)(_decode_instance)


class Templates(Contract):
    """Files templates and runs those that are live. ``catalogue`` are the trees of this build."""

    name = TEMPLATES
    lane = Lane.BUSINESS

    def __init__(self, catalogue: Sequence[tuple[bytes, Template]]) -> None:
        self._filings = Filings([tree for tree, _ in catalogue])
        self.rules = {
            **TEXTS,
            **halts.RULES,
            **ENGINE_TEXTS,
            **{rule: text for _, template in catalogue for rule, text in template.rules.items()},
        }
        document = Document(MAX_DOCUMENT_BYTES)
        governor, filer = frozenset((GOVERNOR,)), frozenset((OPERATOR, GOVERNOR))
        approval: dict[str, Kind] = {"tree_sm3": HASH, "source_sm3": HASH, "filing_number": Text(64)}
        filing: dict[str, Kind] = {
            "title": Text(64),
            "tree": Octets(1, MAX_TREE_BYTES),
            "source": Octets(1, MAX_SOURCE_BYTES),
            "cases": Octets(0, MAX_CASES_BYTES),
        }
        steps = {name: Method(partial(self._filings.step, name=name), _FILING, governor) for name in STEPS}
        self.methods = {
            "create": Method(self.create, {"template": _IDENTIFIER, "reference": Text(64), "params": document}),
            "call": Method(self.call, {"instance": Octets(ACCOUNT_ID_SIZE), "method": Text(64), "args": document}),
            "migrate": Method(self.migrate, {"instance": Octets(ACCOUNT_ID_SIZE), "version": _VERSION}),
            "file": Method(self._filings.file, {**_FILING, **filing}, filer),
            "approve": Method(self._filings.approve, {**_FILING, **approval}, governor),
            "withdraw": Method(self._filings.withdraw, _FILING, filer),
            **steps,
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The document ``templates``: each template on file."""
        self._filings.genesis(genesis, writer)

    def text_of(self, rule: str, get: Callable[[bytes], bytes | None]) -> RuleText | None:
        """What a template on file says of a refusal of its own."""
        return self._filings.text_of(rule, get)

    def create(self, ctx: CallContext, args: Arguments) -> None:
        """A new instance under the creator's own reference. Emits ``instance_created``."""
        fit: Mapping[str, Any] = args
        name, reference, params = fit["template"], fit["reference"], fit["params"]
        halts.check_running(ctx, name)
        compiled = self._filings.on_file(ctx, name)
        template = compiled.template
        wrong = wrong_argument(compiled.kinds, params)
        if wrong is not None:
            ctx.refuse("templates.bad_parameters", name, wrong[:64])
        instance = ctx.new_id(
            "instance", ctx.principal, reference, lambda known: ctx.get(instance_key(known)), "templates.exists"
        )
        record = _instance_of(name, template.version, ctx.principal, params)
        self._check_role(ctx, template, template.create, record, CREATE)
        self._enter(ctx, instance, record)
        ctx.emit("instance_created", instance=instance, template=name, version=template.version, reference=reference)
        self._run(ctx, compiled, template.create, instance, record, "", {}, CREATE)

    def call(self, ctx: CallContext, args: Arguments) -> None:
        """One method of an instance."""
        fit: Mapping[str, Any] = args
        instance, name, call = fit["instance"], fit["method"], fit["args"]
        record, state = self._found(ctx, instance)
        halts.check_running(ctx, record.template)
        compiled = self._filings.on_file(ctx, record.template, record.version)
        method = compiled.template.methods.get(name)
        if method is None:
            ctx.refuse("templates.no_method", record.template, name)
        self._check_role(ctx, compiled.template, method, record, name)
        if state not in method.states:
            ctx.refuse("templates.wrong_state", name, state)
        wrong = wrong_argument(method.args, call)
        if wrong is not None:
            ctx.refuse("templates.bad_arguments", record.template, name, wrong[:64])
        self._run(ctx, compiled, method, instance, record, state, call, name)

    def migrate(self, ctx: CallContext, args: Arguments) -> None:
        """Moves an instance to a later version that replaces its own. Its parameters must fit there. Emits
        ``instance_migrated``.
        """
        instance, version = cast(bytes, args["instance"]), cast(int, args["version"])
        record, state = self._found(ctx, instance)
        halts.check_running(ctx, record.template)
        compiled = self._filings.on_file(ctx, record.template, version)
        template, method = compiled.template, compiled.template.migrate
        if method is None or template.replaces != record.version:
            ctx.refuse("templates.no_migration", record.version, version)
        self._check_role(ctx, template, method, record, MIGRATE)
        if state not in method.states:
            ctx.refuse("templates.wrong_state", MIGRATE, state)
        wrong = wrong_argument(compiled.kinds, record.params)
        if wrong is not None:
            ctx.refuse("templates.bad_parameters", record.template, wrong[:64])
        moved = _instance_of(record.template, version, record.creator, record.params)
        self._enter(ctx, instance, moved)
        ctx.emit("instance_migrated", instance=instance, template=record.template, version=version)
        self._run(ctx, compiled, method, instance, moved, state, {}, MIGRATE)

    @staticmethod
    def _found(ctx: CallContext, instance: bytes) -> tuple[Instance, str]:
        raw = ctx.get(instance_key(instance))
        if raw is None:
            ctx.refuse("templates.no_instance", instance)
        return _instance(raw), (ctx.get(state_of(instance)) or b"").decode("ascii")

    @staticmethod
    def _enter(ctx: CallContext, instance: bytes, record: Instance) -> None:
        row: dict[str, Value] = {
            "template": record.template,
            "version": record.version,
            "creator": record.creator,
            "params": record.params,
        }
        ctx.put(instance_key(instance), encode_value(row))

    @staticmethod
    def _check_role(
        ctx: CallContext, template: Template, method: TemplateMethod, instance: Instance, name: str
    ) -> None:
        caller = ctx.principal
        for named in method.roles:
            role = template.roles[named]
            source = role.source
            if (
                (source is _CREATOR and caller == instance.creator)
                or (source is _PARAMETER and caller == instance.params.get(role.name))
                or source is _ANYBODY
                or (source is _CHAIN and role.name in ctx.roles)
            ):
                return
        raise Refused(Code.FORBIDDEN, "", (template.id, name))

    @staticmethod
    def _run(
        ctx: CallContext,
        compiled: Compiled,
        method: TemplateMethod,
        instance: bytes,
        record: Instance,
        state: str,
        args: Arguments,
        name: str,
    ) -> None:
        """Runs the function and enters the state it returns, if the template declared that transition."""
        template = compiled.template
        view = TemplateContext(ctx, ctx.within(KERNEL), template.id, instance)
        call: dict[str, Any] = {
            "caller": ctx.principal.hex(),
            "creator": record.creator.hex(),
            "instance": instance.hex(),
            "state": state,
            "now_ms": view.now_ms,
            "day": view.day,
            "params": record.given,
        }
        given = [call, *[to_language(args.get(arg)) for arg in method.args]] if method.args else [call]
        try:
            after, _ = compiled.program.call(name, view, given, frozen=record.frozen)
        except Abort as end:
            ctx.refuse(f"tpl.{end.reason}", template.id, end.line)
        allowed = template.initial if not state else template.states.get(state, ())
        if name == MIGRATE:
            allowed = tuple(template.states)
        if type(after) is not str or after not in allowed:
            ctx.refuse("templates.wrong_transition", template.id, name, after[:64] if type(after) is str else "")
        if after != state:
            ctx.put(state_of(instance), after.encode("ascii"))
            ctx.emit("instance_state", instance=instance, method=name, state=after)
