"""Notices of services whose next version breaks its consumers (docs/spec/desk.md §1; guideline art. 13, 14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.execution.arguments import HASH, Kind, Octets, Optional
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from service_registry.authority import find_service
from service_registry.notices import encode_standing, notice_key
from supervisory_chain.desk.records import Matter

SERVICE = "service"
NAMED: Mapping[str, Kind] = {"service": Optional(Octets(16)), "definition": Optional(HASH)}
"""What such a notice has besides, and no other: the service, and the hash of the definition that is to come."""

SERVICE_RULES = {
    "desk.no_service": RuleText(
        "服务公告须写明本人发布的服务及其新定义，其他公告不得写明",
        "a notice of a service, and no other, names a service of the filer's and its new definition",
    ),
}


def check_service(ctx: CallContext, notice: Matter) -> None:
    """Refuses a notice of a service that is not the filer's, and another one that names a service."""
    named = [name for name in NAMED if name in notice.fields]
    if notice.fields["kind"] != SERVICE:
        if named:
            ctx.refuse("desk.no_service")
        return
    found = find_service(ctx.read, cast(bytes, notice.fields["service"])) if len(named) == len(NAMED) else None
    if found is None or found.publisher != notice.filer:
        ctx.refuse("desk.no_service")


def keep_service(ctx: CallContext, number: int, notice: Matter) -> None:
    """Where the last notice of this service and definition stands, for the contract ``services``."""
    if notice.fields["kind"] == SERVICE:
        named = cast(bytes, notice.fields["service"]), cast(bytes, notice.fields["definition"])
        ctx.put(notice_key(*named), encode_standing(number, notice.state))
