"""What a template declares must hold together, before anything of it runs (docs/spec/templates.md §2)."""

from __future__ import annotations

import pytest

from contracts.engine.refusals import TemplateRefused
from contracts.templates.compiled import compile_tree
from tests.unit.contracts.test_templates import PROBE, tree_of

CONTRADICTIONS = {
    "no identifier": ('"id": "test.probe"', '"id": "Not An Id"', "bad_declaration"),
    "no prefix": ('"id": "test.probe"', '"id": "probe"', "bad_declaration"),
    "another engine": ('"engine": "tpl/1"', '"engine": "tpl/9"', "bad_declaration"),
    "an unknown state": ('"initial": ["open"]', '"initial": ["nowhere"]', "bad_declaration"),
    "a state that is no ASCII": ('"open"', '"已开"', "bad_declaration"),
    "an unused state": ('"states": {"open": ["open"]}', '"states": {"open": ["open"], "idle": []}', "bad_declaration"),
    "an unknown role": ('"act": {"roles": ["anybody"]', '"act": {"roles": ["stranger"]', "bad_declaration"),
    "a role without its parameter": ('"anybody": "anybody"}', '"anybody": "param:missing"}', "bad_declaration"),
    "an unknown capability": ('"capabilities": ["hold"]', '"capabilities": ["mint"]', "bad_declaration"),
    "a capability it does not declare": ('"capabilities": ["hold"]', '"capabilities": []', "capability"),
    "a capability it does not use": ('["hold"]', '["hold", "register"]', "bad_declaration"),
    "an undeclared reason": ('ctx.refuse("never"', 'ctx.refuse("seldom"', "undeclared_refusal"),
    "a computed reason": ('ctx.refuse("never", number)', "ctx.refuse(what)", "undeclared_refusal"),
    "a method without its function": ("def act(ctx, call, count):", "def acts(ctx, call, count):", "bad_declaration"),
    "another signature": ("def create(ctx, call):", "def create(ctx):", "bad_declaration"),
    "an unknown type": ('"type": "text"', '"type": "float"', "bad_declaration"),
    "a type that is a list": ('"type": "text"', '"type": ["text"]', "bad_declaration"),
    "limits of two kinds": ('"type": "text"', '"type": "text", "pattern": "x", 7: 1', "bad_declaration"),
    "a key that is none": ('"version": 1,', '"version": 1, -1: 1,', "bad_key"),
    "an unknown limit": ('"type": "text"', '"type": "text", "pattern": "x"', "bad_declaration"),
    "no note": (', "note": "what to do"', "", "bad_declaration"),
    "no text": ('"zh": "不可 {0}", ', "", "bad_declaration"),
    "an unknown field": ('"version": 1,', '"version": 1, "owner": "me",', "bad_declaration"),
    "no version": ('"version": 1,', '"version": 0,', "bad_declaration"),
    "migration from nowhere": ('"version": 1,', '"version": 2, "migrate": {"roles": ["anybody"]},', "bad_declaration"),
    "no TEMPLATE": ("TEMPLATE = ", "SAMPLE = ", "bad_declaration"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "reason"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_template_that_contradicts_itself_is_none(before: str, after: str, reason: str) -> None:
    assert before in PROBE
    with pytest.raises(TemplateRefused) as caught:
        compile_tree(tree_of(PROBE.replace(before, after)))
    assert caught.value.reason == reason, str(caught.value)
