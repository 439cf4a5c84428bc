"""From a tree's constant ``TEMPLATE`` to what it declares; contradictions are refused (docs/spec/templates.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from chain_core.codec.wire import is_identifier
from chain_core.execution.contract import RuleText
from contracts.engine.limits import ENGINE
from contracts.engine.nodes import Kind, Node, Tree, children
from contracts.engine.program import Program
from contracts.engine.refusals import refuse
from contracts.templates.interface import Parameter, Role, Source, Template, TemplateMethod
from contracts.templates.kinds import kind_of
from contracts.templates.operations import CAPABILITIES, OPERATIONS

CREATE, MIGRATE = "create", "migrate"
_FIELDS = {
    *("id", "version", "engine", "title", "category", "capabilities", "params", "roles", "initial", "states"),
    *("create", "methods", "refusals"),
}
_OPTIONAL = {"replaces", "migrate"}
_SOURCES = {"chain": Source.CHAIN, "param": Source.PARAMETER}
_MAX_STATES = 32
_MAX_TEXT = 64
_MAX_METHODS = 32


def read_metadata(tree: Tree, program: Program) -> Template:
    """What the template declares. Raises ``TemplateRefused`` where it contradicts itself or its functions."""
    declared = program.constants.get("TEMPLATE")
    if not isinstance(declared, dict):
        _bad("the constant TEMPLATE is missing")
    missing, unknown = _FIELDS - set(declared), set(declared) - _FIELDS - _OPTIONAL
    if missing or unknown:
        _bad(f"TEMPLATE lacks {sorted(missing)} and has unknown {sorted(map(str, unknown))}")
    if declared["engine"] != ENGINE:
        _bad(f"this engine is {ENGINE}")
    template = Template(
        id=_text(declared["id"], "id"),
        version=_positive(declared["version"], "version"),
        title=_text(declared["title"], "title"),
        category=_text(declared["category"], "category"),
        capabilities=frozenset(_texts(declared["capabilities"], "capabilities")),
        params=_params(declared["params"]),
        roles=_roles(declared["roles"]),
        initial=_texts(declared["initial"], "initial"),
        states={_text(s, "states"): _texts(after, f"states.{s}") for s, after in _map(declared["states"], "states")},
        create=_method(declared[CREATE], CREATE),
        methods={_text(name, "methods"): _method(row, name) for name, row in _map(declared["methods"], "methods")},
        refusals={
            _text(name, "refusals"): _texts_of(row, name) for name, row in _map(declared["refusals"], "refusals")
        },
        replaces=_positive(declared["replaces"], "replaces") if "replaces" in declared else 0,
        migrate=_method(declared[MIGRATE], MIGRATE) if MIGRATE in declared else None,
    )
    _check(template)
    _check_functions(template, program)
    _check_operations(template, tree)
    return template


def _bad(detail: str) -> NoReturn:
    refuse("bad_declaration", 0, detail)


def _text(value: Any, where: str) -> str:
    return (
        value if isinstance(value, str) and 0 < len(value) <= 64 else _bad(f"{where} is a text of 1 to 64 characters")
    )


def _positive(value: Any, where: str) -> int:
    if type(value) is not int or not 0 < value < 1 << 31:
        _bad(f"{where} is a positive integer")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(set(map(str, value))) != len(value):
        _bad(f"{where} is a list of different texts")
    return tuple(_text(item, where) for item in value)


def _map(value: Any, where: str) -> Iterable[tuple[Any, Any]]:
    if not isinstance(value, dict):
        _bad(f"{where} is a map")
    return value.items()


def _params(value: Any) -> dict[str, Parameter]:
    found = {}
    for name, row in _map(value, "params"):
        where = f"params.{_text(name, 'params')}"
        kind = kind_of(row, where)
        found[name] = Parameter(kind, _text(row.get("note"), f"{where}.note"))
    return found


def _roles(value: Any) -> dict[str, Role]:
    found = {}
    for name, text in _map(value, "roles"):
        source, _, holder = _text(text, f"roles.{name}").partition(":")
        if text == "creator":
            found[name] = Role(Source.CREATOR)
        elif text == "anybody":
            found[name] = Role(Source.ANYBODY)
        elif source in _SOURCES and holder:
            found[name] = Role(_SOURCES[source], holder)
        else:
            _bad(f"roles.{name} is creator, anybody, chain:<role> or param:<parameter>")
    return found


def _method(value: Any, name: str) -> TemplateMethod:
    if not isinstance(value, dict) or not {"roles"} <= set(value) <= {"roles", "states", "args"}:
        _bad(f"method {name} has roles, and may have states and args")
    args = {arg: kind_of(row, f"{name}.{arg}") for arg, row in _map(value.get("args", {}), f"{name}.args")}
    return TemplateMethod(_texts(value["roles"], name), _texts(value.get("states", []), name), args)


def _texts_of(value: Any, name: str) -> RuleText:
    if not isinstance(value, dict) or set(value) != {"zh", "en"} or not all(isinstance(t, str) for t in value.values()):
        _bad(f"refusals.{name} has a text zh and a text en")
    return RuleText(value["zh"], value["en"])


def _check(template: Template) -> None:
    methods = [*template.methods.values(), template.create, *([template.migrate] if template.migrate else [])]
    if not is_identifier(template.id) or "." not in template.id:
        _bad("the id is an identifier with a prefix and a dot")
    if not template.capabilities <= CAPABILITIES:
        _bad(f"capabilities are of {sorted(CAPABILITIES)}")
    if len(template.states) > _MAX_STATES or len(methods) > _MAX_METHODS:
        _bad(f"at most {_MAX_STATES} states and {_MAX_METHODS} methods")
    if not template.initial or not template.methods or template.create.states or template.create.args:
        _bad("create leads to an initial state, takes parameters only, and some method follows")
    if (template.replaces > 0) != (template.migrate is not None) or template.replaces >= template.version:
        _bad("a version that replaces an earlier one says who may migrate to it, and only such a one")
    named = {*template.initial, *(after for follow in template.states.values() for after in follow)}
    named |= {state for method in template.methods.values() for state in method.states}
    if named != set(template.states):
        _bad(f"states and methods differ on {sorted(named ^ set(template.states))}")
    if not all(map(is_identifier, named)):
        _bad("states are identifiers: lower-case letters, digits, _ . -")
    for method in template.methods.values():
        if not method.states:
            _bad("a method names the states it can be called in")
    for role in (role for method in methods for role in method.roles):
        if role not in template.roles:
            _bad(f"a method names the role {role}, which the template has not")
    for name, holder in template.roles.items():
        if holder.source is Source.PARAMETER and holder.name not in template.params:
            _bad(f"role {name} names the parameter {holder.name}, which the template has not")


def _check_functions(template: Template, program: Program) -> None:
    wanted = {CREATE: template.create, **template.methods}
    if template.migrate is not None:
        wanted[MIGRATE] = template.migrate
    if len(wanted) != len(template.methods) + 1 + (template.migrate is not None):
        _bad("create and migrate are no methods")
    for name, method in wanted.items():
        parameters = ("ctx", "call", *method.args)
        if program.parameters(name) != parameters:
            _bad(f"there is no function {name}({', '.join(parameters)})")


def _nodes(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _nodes(children(node))


def _check_operations(template: Template, tree: Tree) -> None:
    """Operations within the declared capabilities; reasons of refusals as declared, and written out where they are
    used.
    """
    used = set()
    for node in _nodes(tree.functions):
        if node[0] != Kind.HOST:
            continue
        name, arguments = node[2], node[3]
        capability = OPERATIONS[name].capability
        if capability and capability not in template.capabilities:
            refuse("capability", node[1], f"ctx.{name} needs the capability {capability}")
        if name == "refuse":
            if not arguments or node[4] or arguments[0][0] != Kind.TEXT or arguments[0][2] not in template.refusals:
                refuse("undeclared_refusal", node[1], "ctx.refuse names a reason that TEMPLATE declares")
            used.add(arguments[0][2])
        if capability:
            used.add(capability)
    idle = (set(template.refusals) | template.capabilities) - used
    if idle:
        _bad(f"declared and never used: {sorted(idle)}")
