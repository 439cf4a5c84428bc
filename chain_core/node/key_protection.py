"""How new key files are protected, and what configurations say of it (docs/spec/keys.md §3)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Passphrase, Source, Unlock, draw_passphrase, parse_source, read_passphrase
from chain_core.crypto.private_key import PrivateKey

CREDENTIAL = "node-passphrase"
"""The systemd credential that configurations name when the passphrase did not come from a file."""
NETWORK_FILE = "passphrase"


@dataclass(frozen=True, slots=True)
class Protection:
    """The passphrase of new key files and where configurations find it; without one they are left unencrypted."""

    passphrase: Passphrase | None = field(default=None, repr=False)
    source: Source | None = None

    @property
    def lines(self) -> list[str]:
        """For a node's section [node], or a service's [keys]."""
        if self.passphrase is None:
            return ["plaintext_keys = true"]
        if self.source is not None and self.source.kind == "file":
            return [f"passphrase_file = {json.dumps(str(Path(self.source.value).resolve()))}"]
        return [f'passphrase_credential = "{CREDENTIAL}"']

    @property
    def unlock(self) -> Unlock:
        """Opens what was made so, in this process."""
        return Unlock(self.source, plain=self.passphrase is None, passphrase=self.passphrase)


PLAIN = Protection()


def protection(source: str, *, plain: bool) -> Protection:
    """As a command line says. Raises PassphraseRefused."""
    if plain:
        return PLAIN
    named = parse_source(source)
    return Protection(read_passphrase(named, new=True, purpose="the new keys"), named)


def drawn_protection(directory: Path) -> Protection:
    """A passphrase of its own for a network on one machine, in a file of its directory."""
    path = directory / NETWORK_FILE
    return Protection(draw_passphrase(path), Source("file", str(path)))


def open_key(path: Path, source: str = "") -> PrivateKey:
    """The key in a file that a command was given: encrypted or not; asked for at the terminal when no source is named.

    Raises KeyFileRefused, PassphraseRefused.
    """
    named = parse_source(source) if source else Source("prompt") if sys.stdin.isatty() else None
    return load_private_key(path, Unlock(named, plain=True))


class KeysSection(BaseModel):
    """[keys] of a service's configuration: where the passphrase of its key files is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    passphrase_file: str = ""
    passphrase_credential: str = ""
    plaintext_keys: bool = True
    """Whether unencrypted files are admitted, too."""

    @model_validator(mode="after")
    def _one_source(self) -> KeysSection:
        if self.passphrase_file and self.passphrase_credential:
            raise ValueError("either passphrase_file or passphrase_credential")
        return self

    def unlock(self, directory: Path) -> Unlock:
        """Relative paths count from ``directory``."""
        source = None
        if self.passphrase_file:
            source = Source("file", str(directory / self.passphrase_file))
        elif self.passphrase_credential:
            source = Source("credential", self.passphrase_credential)
        return Unlock(source, plain=self.plaintext_keys)
