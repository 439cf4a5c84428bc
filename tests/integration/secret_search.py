"""Looking for secrets in bytes: each scalar and passphrase as it is, turned round, in hexadecimal and in base64."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

CHUNK = 4 << 20


def forms(secret: bytes) -> set[bytes]:
    """Every way these bytes may stand in a text or a file."""
    found = {secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):  # base64 looks different at each of three offsets in what is encoded
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(shift) + secret)
            found.add(text[(0, 2, 3)[shift] : len(text) - 4])  # without what the neighbours' bits change
    return found


class Search:
    """Finds any of many secrets in one pass; their names are told, never they themselves."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._by_prefix: dict[bytes, list[tuple[bytes, str]]] = defaultdict(list)
        for name, secret in secrets.items():
            for form in forms(secret):
                assert len(form) >= 8
                self._by_prefix[form[:4]].append((form, name))
        prefixes = np.array([int.from_bytes(prefix, "big") for prefix in self._by_prefix], dtype=np.uint32)
        self._prefixes = np.sort(prefixes)
        self._first = np.zeros(1 << 16, dtype=bool)
        self._first[self._prefixes >> 16] = True
        self._longest = max(len(form) for forms in self._by_prefix.values() for form, _ in forms)

    def names_in(self, data: bytes) -> set[str]:
        """Whose secrets are in ``data``, line ends in it or not."""
        found = set(self._scan(data))
        if b"\n" in data:
            found |= set(self._scan(data.replace(b"\n", b"").replace(b"\r", b"")))
        return found

    def _scan(self, data: bytes) -> Iterator[str]:
        for start in range(0, len(data), CHUNK):
            part = data[start : start + CHUNK + self._longest]
            if len(part) < 8:
                continue
            raw = np.frombuffer(part, dtype=np.uint8).astype(np.uint32)
            pairs = (raw[:-1] << 8) | raw[1:]
            places = np.flatnonzero(self._first[pairs[:-2]])
            quads = (pairs[places] << 16) | pairs[places + 2]
            for place in places[np.isin(quads, self._prefixes)]:
                at = int(place)
                for form, name in self._by_prefix[part[at : at + 4]]:
                    if part.startswith(form, at):
                        yield name


def files(directory: Path) -> Iterable[Path]:
    """All files below."""
    return (path for path in sorted(directory.rglob("*")) if path.is_file() and not path.is_symlink())
