"""Bytes that a lenient reader would take and that encode nothing here: each decoder has to refuse them."""

from __future__ import annotations

# (name, hex of the bytes, what is wrong with them)
VALUES: tuple[tuple[str, str, str], ...] = (
    ("nothing at all", "", "ends too early"),
    ("unknown tag", "09", "unknown tag"),
    ("a byte after None", "0000", "trailing"),
    ("zero with a byte", "030100", "shortest"),
    ("one with a leading zero", "03020001", "shortest"),
    ("minus zero", "0400", "minus zero"),
    ("minus zero with a byte", "040100", "shortest"),
    ("2^255", "0320" + "80" + "00" * 31, "255 bits"),
    ("an integer of 33 bytes", "0321" + "01" * 33, "too long"),
    ("an integer cut short", "030201", "ends too early"),
    ("bytes cut short", "050000000261", "ends too early"),
    ("text that is not UTF-8", "0600000001ff", "UTF-8"),
    ("text with an overlong NUL", "0600000002c080", "UTF-8"),
    ("text with a surrogate", "0600000003eda080", "UTF-8"),
    ("a list without its item", "0700000001", "cannot follow"),
    ("a list that claims four billion items", "07ffffffff00", "cannot follow"),
    ("a map that claims four billion entries", "08ffffffff00", "cannot follow"),
    ("a key twice", "0800000002" + "060000000161" + "00" + "060000000161" + "01", "ascending"),
    ("keys descending", "0800000002" + "060000000162" + "00" + "060000000161" + "01", "ascending"),
    ("a longer key before a shorter one", "0800000002" + "06000000026161" + "00" + "060000000162" + "01", "ascending"),
    ("text keys before integer keys", "0800000002" + "060000000161" + "00" + "030101" + "00", "ascending"),
    ("a negative integer key", "0800000001" + "040101" + "00", "map key"),
    ("a key of 2^60", "0800000001" + "03081000000000000000" + "00", "2^60"),
    ("a boolean key", "0800000001" + "02" + "00", "map key"),
    ("a key of bytes", "0800000001" + "050000000161" + "00", "map key"),
    ("a key that is not UTF-8", "0800000001" + "0600000001ff" + "00", "UTF-8"),
    ("lists in lists, 34 deep", "0700000001" * 33 + "0700000000", "nested deeper"),
)
