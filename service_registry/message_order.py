"""What changed between two protobuf messages so that code built on the former one breaks."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor


def changed_fields(old: Descriptor, new: Descriptor, *, answered: bool) -> list[str]:
    """``field: what``, by the order of the former fields; ``answered`` messages are read by who knows ``old`` only.

    A field that is new and optional breaks nothing, nor does another name of the message.
    """
    found: list[str] = []
    _compare(old, new, "", answered, found, set())
    return found


def _compare(
    old: Descriptor, new: Descriptor, path: str, answered: bool, found: list[str], seen: set[tuple[str, str]]
) -> None:
    if (old.full_name, new.full_name) in seen:
        return
    seen.add((old.full_name, new.full_name))
    numbers = {field.number: field for field in new.fields}
    names = {field.name: field for field in new.fields}
    for field in old.fields:
        place, now = f"{path}{field.name}", numbers.get(field.number)
        if now is None and field.name in names:
            found.append(f"{place}: number {names[field.name].number} instead of {field.number}")
        elif now is None:
            found.append(f"{place}: removed")
        elif now.name != field.name:
            found.append(f"{place}: its number {field.number} now belongs to {now.name}")
        else:
            _field(field, now, place, answered, found, seen)
    known = {field.number for field in old.fields}
    for now in new.fields:
        if now.is_required and now.number not in known:
            found.append(f"{path}{now.name}: new and required")


def _field(
    old: FieldDescriptor, new: FieldDescriptor, place: str, answered: bool, found: list[str], seen: set[tuple[str, str]]
) -> None:
    if old.type != new.type or old.is_repeated != new.is_repeated:
        found.append(f"{place}: another type")
        return
    if _group(old) != _group(new):
        found.append(f"{place}: of another oneof")
    if new.is_required != old.is_required:
        found.append(f"{place}: {'now' if new.is_required else 'no longer'} required")
    if old.enum_type is not None and new.enum_type is not None:
        found.extend(f"{place}: {told}" for told in _values(old.enum_type, new.enum_type, answered))
    if old.message_type is not None and new.message_type is not None:
        _compare(old.message_type, new.message_type, f"{place}.", answered, found, seen)


def _group(field: FieldDescriptor) -> str | None:
    oneof = field.containing_oneof
    return None if oneof is None or len(oneof.fields) == 1 else oneof.name


def _values(old: EnumDescriptor, new: EnumDescriptor, answered: bool) -> list[str]:
    before = {value.name: value.number for value in old.values}
    now = {value.name: value.number for value in new.values}
    told = [f"{name} is no longer {number}" for name, number in before.items() if now.get(name) != number]
    if answered:
        told += [f"{name} is new, who reads it does not know it" for name in now if name not in before]
    return told
