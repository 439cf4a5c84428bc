"""The end of a block's work: one registration a holding, counts, scales, rolls, and what is deleted
(docs/spec/exporter.md §3, §3.1).
"""

from __future__ import annotations

from local_chain.exporter import bodies
from local_chain.exporter.working import Working

PENDING = "x/"
"""Books of objects that end."""


def product_of(security: bytes) -> str:
    """Id of a security's product."""
    return f"product-{security.hex()}"


def registration_of(security: bytes, account: bytes) -> str:
    """Id of a holding's registration."""
    return f"registration-{security.hex()}-{account.hex()}"


def roll_of(security: bytes) -> str:
    """Id of a security's roll."""
    return f"roll-{security.hex()}"


def end(w: Working, object_id: str, reason: str) -> None:
    """The object is deleted by the first later block whose events say nothing of it."""
    w.set_book(PENDING + object_id, reason)


def finish(w: Working) -> None:
    """Everything that follows from the block's events as a whole."""
    w.know([f"subject-{account.hex()}" for _, account in w.moved])
    for security, account in w.moved:
        _registration(w, security, account)
    for security in w.counts:
        issuer, count = bytes.fromhex(w.security(security)["issuer"]), w.book(f"n/{security.hex()}") or 0
        w.touch(w.subject(issuer), "subject", bodies.holder_count(count))
    for security in w.scales:
        book = w.security(security)
        w.touch(product_of(security), "product", bodies.product_scale(book["declared"], book["decimals"]))
    for security in w.rolls:
        _roll(w, security)
    _deletions(w)


def _registration(w: Working, security: bytes, account: bytes) -> None:
    movement = w.moved[security, account]
    refs = {
        "register_subject_ref": w.reference(w.subject(account)),
        "register_subject_account_ref": w.reference(f"account-{account.hex()}"),
        "register_product_ref": w.reference(product_of(security)),
    }
    if movement.report:
        refs["register_transaction_ref"] = w.reference(movement.report)
    facts = bodies.registration(
        refs,
        (_subject_type(w, account), movement.event),
        movement.before,
        w.balance(security, account),
        w.decimals(security),
        w.time_ms,
        "；".join(movement.notes),
    )
    w.replace(registration_of(security, account), "registration", facts)


def _subject_type(w: Working, account: bytes) -> int:
    """1 organisation, 2 person; 0 while its attributes do not say."""
    found = w.private(f"subject-{account.hex()}")
    for name in ("subject_information", "basic_information_subject", "general_information_subject"):
        found = found.get(name, {})
    code = found.get("subject_type", 0)
    return code if isinstance(code, int) else 0


def _roll(w: Working, security: bytes) -> None:
    """The register as it stands now."""
    book = w.security(security)
    rows = [(w.reference(w.subject(account)), w.balance(security, account).total) for account in w.holders(security)]
    issuer = w.reference(w.subject(bytes.fromhex(book["issuer"])))
    facts = bodies.roll(issuer, w.reference(product_of(security)), rows, book["decimals"], w.time_ms)
    w.touch(roll_of(security), "registration", facts)


def _deletions(w: Working) -> None:
    """What ended in an earlier block, and what a closed account leaves behind once it has neither shares nor money."""
    for object_id, reason in w.pending_deletions():
        if object_id in w.touched or object_id in w.referred:
            continue
        account = object_id.partition("-")[2]
        if object_id.startswith(("account-", "fund-")) and (w.book(f"a/{account}") or w.book(f"c/{account}")):
            continue
        stored = w.database.object(object_id)
        w.set_book(PENDING + object_id, None)
        if stored is not None:
            w.delete(object_id, stored.kind, stored.latest, reason)
