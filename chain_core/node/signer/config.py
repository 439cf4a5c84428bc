"""The signer's configuration file (docs/spec/keys.md §5): read once, checked as a whole, frozen."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chain_core.codec.genesis import genesis_hash
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Source, Unlock
from chain_core.node.config import MAX_CONFIG_BYTES, ConfigRefused, read_genesis
from chain_core.node.signer.backend import FileKey
from chain_core.node.signer.protocol import MAX_KEYS


class SignerSection(BaseModel):
    """[signer]. Relative paths count from the file's directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    genesis: str
    """The chain it signs for."""
    keys: list[str] = Field(min_length=1, max_length=MAX_KEYS)
    """Consensus keys, the present one first."""
    record_dir: str
    """What was signed; made by ``signer init``, never copied, never restored."""
    socket: str
    passphrase_file: str = ""
    passphrase_credential: str = ""
    plaintext_keys: bool = False
    uids: list[int] = Field(default=[], max_length=16)
    """Users that may connect; none named: the signer's own."""
    group: str = ""
    """Group of the socket, whose mode then is 0660."""

    @model_validator(mode="after")
    def _one_source(self) -> SignerSection:
        if self.passphrase_file and self.passphrase_credential:
            raise ValueError("either passphrase_file or passphrase_credential")
        return self


class SignerConfig(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    signer: SignerSection
    file: str = ""
    """Where it was read from."""

    def path(self, name: str) -> Path:
        """A path of the file, from the file's directory."""
        return Path(self.file).parent / name

    def genesis_hash(self) -> bytes:
        """The chain's. Raises ConfigRefused."""
        return genesis_hash(read_genesis(self.path(self.signer.genesis))[1])

    def backends(self, passphrase_from: Source | None) -> list[FileKey]:
        """The keys, opened. Raises KeyFileRefused, PassphraseRefused."""
        section, source = self.signer, passphrase_from
        if source is None and section.passphrase_file:
            source = Source("file", str(self.path(section.passphrase_file)))
        elif source is None and section.passphrase_credential:
            source = Source("credential", section.passphrase_credential)
        unlock = Unlock(source, plain=section.plaintext_keys)
        return [FileKey(load_private_key(self.path(key), unlock)) for key in section.keys]


def load_signer_config(path: Path) -> SignerConfig:
    """The configuration in ``path``. Raises ConfigRefused."""
    where, next_step = str(path), "see docs/spec/keys.md"
    try:
        data = path.read_bytes()
        if len(data) > MAX_CONFIG_BYTES:
            raise ConfigRefused(f"{len(data)} bytes are no configuration", where=where, next_step=next_step)
        table = tomllib.loads(data.decode("utf-8"))
        return SignerConfig.model_validate({"signer": table.pop("signer", {}), **table, "file": where})
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigRefused(what, where=where, next_step="name the signer's configuration file") from error
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigRefused(first["msg"], where=f"{where}, key {key}", next_step=next_step) from None
    except (ValueError, RecursionError) as error:  # undecodable, not TOML, a number too long, nested too deeply
        raise ConfigRefused(f"not TOML: {error}", where=where, next_step="mend the line it names") from error
