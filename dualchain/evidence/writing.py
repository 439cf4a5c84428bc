"""A bundle on disk: its files, its summary, and the auditor's own script run over it before it gets its name."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.crypto.x509.certificate import Certificate
from chain_core.crypto.x509.files import load_certificates
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain
from dualchain.evidence.bundle import BundleRefused, Exported

SCRIPT = Path(__file__).with_name("verify.sh")
SUMMARY = "summary.html"
MAX_CERTIFICATES = 5
_WITHIN_S = 600.0


def certificate_files(chain: Sequence[Certificate], exported: Exported) -> dict[str, bytes]:
    """``certificate-K.der``: the chain of signer 1's transaction key, leaf first, root last, as it held at block time.

    Raises BundleRefused when it is another key's, CertificateRefused when the path does not hold.
    """
    raw = exported.files.get("envelope.bin")
    if raw is None or not 2 <= len(chain) <= MAX_CERTIFICATES:
        what = f"{len(chain)} certificates for a bundle of kind {exported.kind}"
        next_step = "give leaf to root of a transaction's signer, 2 to 5"
        raise BundleRefused(what, where="--certificates", next_step=next_step)
    leaf = verify_chain(
        [one.der for one in chain[:-1]],
        Anchors((chain[-1],), "*"),
        exported.time_ms,
        usage=Usage.SIGNATURE,
        crls=None,
    )
    if leaf.public_key != decode_envelope(raw).signers[0].public_key:
        raise BundleRefused(
            f"the certificate of {leaf.subject} is of another key than the one that signed",
            where="--certificates",
            next_step="have the transaction key certified: dualchain ca issue --key",
        )
    return {f"certificate-{number}.der": one.der for number, one in enumerate(chain, start=1)}


def read_chain(path: Path) -> list[Certificate]:
    """The certificates of a PEM file in their order. Raises CertificateFileRefused."""
    return list(load_certificates(path))


def page(rows: bytes) -> bytes:
    """The summary around rows that the script printed."""
    begin, end = (SCRIPT.with_name(f"page-{part}.html").read_bytes() for part in ("begin", "end"))
    return begin + rows + end


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> str:
    """The folder with its summary, once verify.sh has accepted it; what the script printed. Raises BundleRefused."""
    if folder.exists():
        raise BundleRefused("it is there already", where=str(folder), next_step="name a new folder with --output")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, raw in files.items():
            (made / name).write_bytes(raw)
        anchor = genesis_hash(files["genesis.bin"]).hex()
        root = root_of(files)
        (made / SUMMARY).write_bytes(page(run_script(made, anchor, root, "--rows")))
        told = run_script(made, anchor, root)
        made.chmod(0o755)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return told.decode("utf-8")


def root_of(files: Mapping[str, bytes]) -> str:
    """SM3 of the last certificate in hexadecimal, empty when there is none."""
    names = [f"certificate-{number}.der" for number in range(1, MAX_CERTIFICATES + 1)]
    present = [name for name in names if name in files]
    return sm3(files[present[-1]]).hex() if present else ""


def run_script(folder: Path, anchor: str, root: str, *options: str) -> bytes:
    """What verify.sh prints. Raises BundleRefused with its reason."""
    command = ["sh", str(SCRIPT), "--anchor", anchor, *(["--root", root] if root else []), *options, str(folder)]
    try:
        ended = subprocess.run(command, capture_output=True, check=False, timeout=_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"verify.sh could not be run: {error}"
        raise BundleRefused(what, where=str(SCRIPT), next_step="install a POSIX shell and openssl 3") from error
    if ended.returncode:
        what = f"verify.sh ended with {ended.returncode}: {ended.stderr.decode('utf-8', 'replace').strip()[:300]}"
        raise BundleRefused(what, where=str(folder), next_step="install openssl 3 with SM2 and SM3, ask another node")
    return ended.stdout
