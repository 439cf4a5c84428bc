"""``dualchain key``: key files. Commands parse, call and print (docs/spec/keys.md §2)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.errors import KeyFileRefused
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import (
    inspect_key_file,
    load_private_key,
    public_key_pem,
    replace_private_key,
    write_private_key,
)
from chain_core.crypto.passphrase import SOURCES, Unlock, parse_source, read_passphrase
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.command import JSON, show

app = typer.Typer(help="Make, encrypt, decrypt and show key files (PKCS#8, SM4-CBC).", no_args_is_help=True)

FILE = Annotated[Path, typer.Argument(help="The key file.")]
SOURCE = Annotated[
    str, typer.Option("--passphrase-from", metavar="SOURCE", help=f"Where the passphrase is read: {SOURCES}.")
]
NEW_SOURCE = Annotated[
    str, typer.Option("--new-passphrase-from", metavar="SOURCE", help=f"Where the new passphrase is read: {SOURCES}.")
]


@app.command()
def new(
    file: FILE,
    source: SOURCE = "prompt",
    plain: Annotated[bool, typer.Option("--plain", help="Leave the key unencrypted.")] = False,
    as_json: JSON = False,
) -> None:
    """Make a new SM2 key, encrypted unless --plain is given; print its public half."""
    passphrase = None if plain else read_passphrase(parse_source(source), new=True, purpose=str(file))
    private = generate_private_key()
    write_private_key(file, private, passphrase)
    _show(file, private, as_json)


@app.command()
def encrypt(file: FILE, source: SOURCE = "prompt", as_json: JSON = False) -> None:
    """Encrypt an unencrypted key file in its place. Old blocks of the disk, and backups, keep what they hold."""
    if inspect_key_file(file).iterations:
        raise KeyFileRefused("the key is encrypted already", where=str(file), next_step="see change-passphrase")
    private = load_private_key(file)
    replace_private_key(file, private, read_passphrase(parse_source(source), new=True, purpose=str(file)))
    _show(file, private, as_json)


@app.command()
def decrypt(
    file: FILE,
    out: Annotated[Path, typer.Option("--out", help="New file for the unencrypted key.")],
    source: SOURCE = "prompt",
    as_json: JSON = False,
) -> None:
    """Write an unencrypted copy of an encrypted key to a new file; the encrypted one stays."""
    private = load_private_key(file, Unlock(parse_source(source)))
    write_private_key(out, private)
    _show(out, private, as_json)


@app.command("change-passphrase")
def change_passphrase(
    file: FILE, source: SOURCE = "prompt", new_source: NEW_SOURCE = "prompt", as_json: JSON = False
) -> None:
    """Encrypt a key file under another passphrase, in its place. A key whose passphrase leaked is to be rotated."""
    private = load_private_key(file, Unlock(parse_source(source)))
    fresh = read_passphrase(parse_source(new_source), new=True, purpose=f"{file}, the new one")
    replace_private_key(file, private, fresh)
    _show(file, private, as_json)


@app.command("show")
def show_key(
    file: FILE,
    source: Annotated[
        str,
        typer.Option("--passphrase-from", metavar="SOURCE", help=f"To see an encrypted key's public half: {SOURCES}."),
    ] = "",
    as_json: JSON = False,
) -> None:
    """Show how a key file is encrypted, and the public half: without a passphrase only of an unencrypted one."""
    facts = inspect_key_file(file)
    if facts.iterations and not source:
        show(_facts(file), as_json)
        return
    unlock = Unlock(parse_source(source) if source else None, plain=True)
    _show(file, load_private_key(file, unlock), as_json)


def _facts(file: Path) -> dict[str, object]:
    facts = inspect_key_file(file)
    scheme = "PBES2, SM4-CBC, PBKDF2-HMAC-SHA256" if facts.iterations else "none"
    row: dict[str, object] = {"file": str(file), "encryption": scheme}
    return row | ({"iterations": facts.iterations, "salt_bytes": facts.salt_bytes} if facts.iterations else {})


def _show(file: Path, private: bytes, as_json: bool) -> None:
    public = signing_provider().sm2_public_key(private)
    row = {"public_key": public.hex(), "public_key_sm3": sm3(public).hex(), "public_key_pem": public_key_pem(public)}
    show(_facts(file) | row, as_json)
