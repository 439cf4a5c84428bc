"""The contract ``accounts``: who is on this chain, with which roles and keys (docs/spec/execution.md §7).

A registrar registers; the account itself attaches and revokes keys, grants and closes; roles of governance, status and
recovery of keys belong to proposals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import encode_value
from chain_core.execution.account_records import ACCOUNTS, ACTIVE, CLOSED, AccountRecord
from chain_core.execution.arguments import ACCOUNT, PUBLIC_KEY, Choice, ListOf, MapOf, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.registry import GOVERNANCE_ROLES, GOVERNOR, MAX_KEYS, MAX_ROLES, REGISTRAR, Registry
from chain_core.types.genesis import Genesis
from chain_core.types.ids import NO_ACCOUNT, PURPOSES

ROLE = Text(32)
ENTITY = Text(128)
REFERENCE = Text(64)
PURPOSE = Choice(frozenset(PURPOSES))
KEY_LIST = ListOf(PUBLIC_KEY, MAX_KEYS, distinct=True)
KEYS = MapOf(PURPOSE, KEY_LIST, len(PURPOSES))
ROLES = ListOf(ROLE, MAX_ROLES, distinct=True)
GENESIS_DOCUMENT = Record({"grantable_roles": ROLES})

RULES: Mapping[str, RuleText] = {
    "accounts.exists": RuleText("该登记编号已登记为账户 {0}", "this reference is already registered as account {0}"),
    "accounts.unknown": RuleText("账户 {0} 不存在", "there is no account {0}"),
    "accounts.closed": RuleText("账户 {0} 已注销", "account {0} is closed"),
    "accounts.role_not_grantable": RuleText("登记员不得授予角色 {0}", "a registrar may not give the role {0}"),
    "accounts.duties": RuleText(
        "同一账户不得兼任 {0} 与 {1}（系统管理、安全管理、审计管理三权分立）",
        "no account is both {0} and {1}: administration, security and audit are separate duties",
    ),
    "accounts.key_taken": RuleText(
        "公钥（SM3 {0}）已在本链使用过，公钥不得转用",
        "the key with SM3 {0} was used on this chain before; keys are not passed on",
    ),
    "accounts.key_purpose": RuleText(
        "该公钥的用途为 {1}，不得为账户 {0} 签署交易（一钥一用）",
        "this key serves another purpose ({1}): it signs no transactions of account {0}",
    ),
    "accounts.not_your_key": RuleText(
        "公钥（SM3 {0}）不是该账户的有效公钥", "the key with SM3 {0} is no active key of the account"
    ),
    "accounts.too_many_keys": RuleText("用途 {0} 的公钥最多 {1} 个", "at most {1} keys of purpose {0}"),
    "accounts.last_key": RuleText(
        "这是最后一个交易公钥，请先添加新公钥", "this is the last transaction key: attach the new one first"
    ),
    "accounts.not_yours": RuleText(
        "只有账户本人或其登记员可以注销账户 {0}", "only the account itself or its registrar may close account {0}"
    ),
    "accounts.governor": RuleText(
        "治理成员账户 {0} 只能通过治理提案变更", "account {0} is a governor: change it by a proposal"
    ),
    "accounts.too_many_governors": RuleText("治理成员最多 {0} 个", "at most {0} governors"),
    "accounts.no_grant": RuleText(
        "账户 {0} 未授权该账户代为办理", "account {0} has not granted this account to act for it"
    ),
    "accounts.granted": RuleText("已授权账户 {0}", "account {0} holds this grant already"),
    "accounts.bad_genesis": RuleText("创世文件 {0} 不正确", "the genesis document is wrong at {0}"),
}


class Accounts(Contract):
    """The registry. Lane governance: a key revoked in a block cannot sign for business of the same block."""

    name = ACCOUNTS
    lane = Lane.GOVERNANCE
    rules = RULES

    def __init__(self) -> None:
        self.methods = {
            "register": Method(
                self.register,
                {"reference": REFERENCE, "entity": ENTITY, "roles": ROLES, "keys": KEYS},
                frozenset((REGISTRAR,)),
            ),
            "attach_key": Method(self.attach_key, {"purpose": PURPOSE, "key": PUBLIC_KEY}),
            "revoke_key": Method(self.revoke_key, {"key": PUBLIC_KEY}),
            "grant": Method(self.grant, {"account": ACCOUNT}),
            "revoke_grant": Method(self.revoke_grant, {"account": ACCOUNT}),
            "close": Method(self.close, {"account": ACCOUNT}),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """The document's accounts, and ``documents["accounts"]["grantable_roles"]``."""
        registry = Registry(writer)
        document = genesis.documents.get(ACCOUNTS, {"grantable_roles": []})
        if not GENESIS_DOCUMENT.admits(document):
            writer.refuse("accounts.bad_genesis", "documents.accounts")
        grantable = cast(Sequence[str], cast(Arguments, document)["grantable_roles"])
        for role in grantable:
            if role in GOVERNANCE_ROLES:
                writer.refuse("accounts.role_not_grantable", role)
        registry.set_grantable(grantable)
        for row in genesis.accounts:
            keys = {purpose: list(listed) for purpose, listed in row.keys.items()}
            if not (ROLES.admits(list(row.roles)) and KEYS.admits(keys) and ENTITY.admits(row.entity)):
                writer.refuse("accounts.bad_genesis", f"accounts[{row.account.hex()}]")
            registry.create(
                row.account,
                AccountRecord(row.entity, frozenset(row.roles), ACTIVE, row.keys, NO_ACCOUNT, "", 0),
            )

    def register(self, ctx: CallContext, args: Arguments) -> None:
        """A new account under the registrar's own reference; the same reference again names the account there is."""
        registry = Registry(ctx)
        reference, roles = cast(str, args["reference"]), cast(Sequence[str], args["roles"])
        keys = cast(Mapping[str, Sequence[bytes]], args["keys"])
        account = ctx.new_id("account", ctx.account, reference, registry.find, "accounts.exists")
        grantable = registry.grantable()
        for role in roles:
            if role not in grantable or role in GOVERNANCE_ROLES:
                ctx.refuse("accounts.role_not_grantable", role)
        record = AccountRecord(
            cast(str, args["entity"]),
            frozenset(roles),
            ACTIVE,
            {purpose: tuple(listed) for purpose, listed in keys.items()},
            ctx.account,
            reference,
            ctx.block.height,
        )
        registry.create(account, record)
        ctx.emit("registered", account=account, reference=reference)

    def attach_key(self, ctx: CallContext, args: Arguments) -> None:
        """Adds a key to the calling account: the first half of a rotation."""
        Registry(ctx).attach(ctx.account, cast(str, args["purpose"]), cast(bytes, args["key"]))
        ctx.emit("key_attached", account=ctx.account, purpose=args["purpose"], key=args["key"])

    def revoke_key(self, ctx: CallContext, args: Arguments) -> None:
        """Takes a key from the calling account for good; its last transaction key stays."""
        registry, key = Registry(ctx), cast(bytes, args["key"])
        if registry.record(ctx.account).keys.get("transaction", ()) == (key,):
            ctx.refuse("accounts.last_key")
        registry.revoke(ctx.account, key)
        ctx.emit("key_revoked", account=ctx.account, key=key)

    def grant(self, ctx: CallContext, args: Arguments) -> None:
        """Lets another account act on behalf of the calling one."""
        account = cast(bytes, args["account"])
        if Registry(ctx).record(account).status == CLOSED:
            ctx.refuse("accounts.closed", account)
        key = _grant(ctx.account, account)
        if ctx.get(key) is not None:
            ctx.refuse("accounts.granted", account)
        ctx.put(key, encode_value(ctx.block.height))
        ctx.emit("granted", principal=ctx.account, account=account)

    def revoke_grant(self, ctx: CallContext, args: Arguments) -> None:
        """Ends a grant of the calling account."""
        account = cast(bytes, args["account"])
        key = _grant(ctx.account, account)
        if ctx.get(key) is None:
            ctx.refuse("accounts.no_grant", ctx.account)
        ctx.delete(key)
        ctx.emit("grant_revoked", principal=ctx.account, account=account)

    def close(self, ctx: CallContext, args: Arguments) -> None:
        """Ends an account for good, by itself or by its registrar; a governor leaves by a proposal first."""
        account = cast(bytes, args["account"])
        registry = Registry(ctx)
        record = registry.record(account)
        if ctx.account not in (account, record.registrar):
            ctx.refuse("accounts.not_yours", account)
        if record.status == CLOSED:
            ctx.refuse("accounts.closed", account)
        if GOVERNOR in record.roles:
            ctx.refuse("accounts.governor", account)
        registry.set_status(account, CLOSED)
        ctx.emit("closed", account=account)


def _grant(principal: bytes, account: bytes) -> bytes:
    """A grant's key inside the contract; ``account_records.grant_key`` is the same with the contract's name."""
    return b"g" + principal + account
