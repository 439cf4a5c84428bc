"""Evidence bundles as an auditor meets them: a shell, openssl, the base utilities, an anchor and a folder.

What each forgery needs is stated by the guard of verify.sh that stops it: with that guard taken out it passes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chain_core.codec.block import decode_header
from chain_core.codec.genesis import genesis_hash
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.x509.certificate import Certificate, parse_certificate
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.issue import Kind, Order, issue
from chain_core.crypto.x509.names import Subject
from chain_core.types.ids import ZERO_HASH
from dualchain.evidence.bundle import BundleRefused, Exported, receipt_bundle, state_bundle, transaction_bundle
from dualchain.evidence.writing import SCRIPT, certificate_files, root_of, write_bundle
from tests.integration.evidence_chain import REFERENCE, Court, World
from tests.integration.evidence_forging import Forged, Forger, at, flip
from tests.unit.crosschain.chains import START_MS, account, private_key, public_key

pytestmark = pytest.mark.integration

DAY_MS = 86_400_000


@pytest.fixture(autouse=True, scope="module")
def _openssl_with_sm2() -> None:
    for arguments in (("ecparam", "-name", "SM2", "-noout"), ("dgst", "-sm3", "/dev/null")):
        found = shutil.which("openssl")
        if found is None or subprocess.run([found, *arguments], capture_output=True, check=False).returncode:
            pytest.skip("this machine has no openssl with SM2 and SM3")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World.begin(tmp_path_factory.mktemp("chain") / "ledger")
    yield made
    made.chain.store.close()


def authorities(leaf_key: bytes, seed: int = 1) -> list[Certificate]:
    """Leaf, intermediate and root that certify a transaction key."""
    keys = [private_key(f"authority {seed} {n}") for n in range(2)]
    subjects = [Subject(name, "登记公证机构") for name in ("root", "issuing", "issuer of shares")]
    publics = [public_key(f"authority {seed} {n}") for n in range(2)] + [leaf_key]
    made: list[Certificate] = []
    for n, kind in enumerate((Kind.ROOT, Kind.INTERMEDIATE, Kind.SIGNING)):
        issuer = made[-1] if made else None
        order = Order(kind, subjects[n], publics[n], 100 + n, START_MS - DAY_MS, START_MS + DAY_MS)
        made.append(parse_certificate(issue(order, issuer, keys[max(n - 1, 0)])))
    return made[::-1]


@pytest.fixture(scope="module")
def bundles(world: World) -> dict[str, dict[str, bytes]]:
    """What honest nodes give, by kind."""
    ask = partial(world.export)
    holding = state_key("kernel", b"H" + world.security + account("holder"))
    operator = account("operator")
    made: dict[str, Exported] = {
        "shared": ask(partial(transaction_bundle, transaction_id=world.shared.transaction_id, through_latest=False)),
        "early": ask(partial(transaction_bundle, transaction_id=world.four[3].transaction_id, through_latest=False)),
        "first": ask(partial(receipt_bundle, account=operator, nonce=1, through_latest=False)),
        "fourth": ask(partial(receipt_bundle, account=operator, nonce=4, through_latest=False)),
        "latest": ask(partial(receipt_bundle, account=operator, nonce=4, through_latest=True)),
        "young": world.young,
        "holding": ask(partial(state_bundle, key=holding, through_latest=False)),
        "security": ask(partial(state_bundle, key=state_key("kernel", b"S" + world.security), through_latest=False)),
        "account": ask(partial(state_bundle, key=state_key("accounts", b"a" + operator), through_latest=False)),
    }
    found = {name: dict(exported.files) for name, exported in made.items()}
    signer = decode_envelope(found["shared"]["envelope.bin"]).signers[0].public_key
    found["shared"] |= certificate_files(authorities(signer), made["shared"])
    return found


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    return Court.furnish(tmp_path_factory.mktemp("court") / "bin", "dash" if shutil.which("dash") else "sh")


@pytest.fixture
def anchor(world: World) -> str:
    return world.chain.hash.hex()


# ---- what holds


FACTS = {
    "shared": [
        "operation 操作 1: accounts.grant",
        "quorum 法定数签名: 4 / 5",
        "epochs followed 逐纪元: 1",
        "CN=issuer of",
    ],
    "early": [
        "kernel.register_security",
        f"business id 业务编号: {REFERENCE}",
        "1 .reference: S3",
        "quorum 法定数签名: 3 / 4",
    ],
    "fourth": ["code 0, executed 已执行", "receipt 回执 3 / 4", "epochs followed 逐纪元: 0", "2026-09-21T14:13:21Z"],
    "latest": ["epochs followed 逐纪元: 1", "height 高度 1,"],
    "holding": ["holding 持有数量: 70 = available 可用 70 + pledged 质押 0 + frozen 冻结 0"],
    "security": ["units registered 登记总量: 75"],
    "account": ["value 值 .entity: entity of operator", "value 值 .roles.0: operator"],
}


@pytest.mark.parametrize("kind", FACTS)
def test_a_bundle_holds_and_says_what_it_proves(
    kind: str, bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    files = bundles[kind]
    if kind == "fourth":
        write_bundle(tmp_path / "bundle", files)
    else:
        court.write(tmp_path / "bundle", files)
    root = ["--root", root_of(files)] if root_of(files) else []
    ended = court.run(tmp_path / "bundle", anchor.upper(), *root)
    assert (ended.returncode, ended.stderr) == (0, b"")
    told = ended.stdout.decode()
    for fact in FACTS[kind]:
        assert fact in told
    summary = (tmp_path / "bundle" / "summary.html").read_text("utf-8")
    assert "<b onload" not in summary
    assert "http" not in summary.replace("http-equiv", "")


@pytest.mark.parametrize("shell", ["bash", "busybox"])
def test_any_posix_shell_will_do(
    shell: str, bundles: dict[str, dict[str, bytes]], anchor: str, tmp_path: Path, court: Court
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    theirs = Court.furnish(tmp_path / "bin", shell, busybox=shell == "busybox")
    folder = court.write(tmp_path / "bundle", bundles["early"])
    assert theirs.judge(folder, anchor) == ""


def test_the_anchor_may_be_the_validators_of_any_epoch_on_the_way(
    bundles: dict[str, dict[str, bytes]], court: Court, tmp_path: Path
) -> None:
    files = bundles["holding"]
    sets = decode_header(files["epoch-1.header"])
    for n, anchor in enumerate((sets.validator_set_hash.hex(), sets.next_validator_set_hash.hex())):
        folder = court.write(tmp_path / f"bundle{n}", files, anchor)
        assert court.judge(folder, anchor) == ""
        assert "the anchor" in court.judge(folder, sm3(b"").hex())


# ---- what does not


@pytest.mark.parametrize(("kind", "places"), [("shared", 1), ("young", 2)])
def test_any_changed_byte_is_found(
    kind: str, places: int, bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    """A byte in between of every file; the last one too where that takes little time."""
    files = bundles[kind]
    folder = court.write(tmp_path / kind, files)
    root = root_of(files)
    for number, path in enumerate(sorted(folder.iterdir())):
        raw = path.read_bytes()
        inside = (number * 37 + len(raw) // 3) % len(raw)
        for offset in (inside, len(raw) - 1)[:places]:
            path.write_bytes(flip(raw, offset, 1 << (offset + number) % 8))
            assert court.judge(folder, anchor, root), f"{path.name} at {offset}"
        path.write_bytes(raw)
    assert court.judge(folder, anchor, root) == ""


def test_no_file_may_come_or_go(
    bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    files = bundles["shared"]
    folder = court.write(tmp_path / "bundle", files)
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        path.unlink()
        assert court.judge(folder, anchor, root_of(files)), path.name
        path.mkdir()
        assert court.judge(folder, anchor, root_of(files)), path.name
        path.rmdir()
        path.write_bytes(raw)
    for name in ("a.txt", ".hidden", "key-4.value", "epoch-2.set", "state.key", "a\nb"):
        (folder / name).write_bytes(b"")
        assert court.judge(folder, anchor, root_of(files)), name
        (folder / name).unlink()
    assert court.judge(folder, anchor, root_of(files)) == ""
    assert "--root" in court.judge(folder, anchor)


def test_a_whole_chain_with_other_keys_is_another_chain(
    court: Court, anchor: str, tmp_path: Path, bundles: dict[str, dict[str, bytes]]
) -> None:
    """Same names, same business, every byte consistent: only the anchor tells."""
    made = World.begin(tmp_path / "ledger", changed=True)
    try:
        operator = account("operator")
        files = dict(made.export(partial(receipt_bundle, account=operator, nonce=4, through_latest=False)).files)
    finally:
        made.chain.store.close()
    folder = court.write(tmp_path / "bundle", files)
    assert court.judge(folder, genesis_hash(files["genesis.bin"]).hex()) == ""
    assert "the anchor" in court.judge(folder, anchor)
    mixed = files | {"genesis.bin": bundles["fourth"]["genesis.bin"]}
    assert "another version, chain" in court.judge(court.write(tmp_path / "mixed", mixed), anchor)


def other(forger: Forger, name: str, offset: int, new: bytes) -> Forged:
    return forger.changed(name, at(forger.files[name], offset, new))


def certified_by(forger: Forger, key: bytes | None, seed: int) -> Forged:
    """Certificates of another key, or a leaf of another authority of the same name."""
    signer = decode_envelope(forger.files["envelope.bin"]).signers[0].public_key
    honest, strange = authorities(key or signer), authorities(signer, seed)
    chain = honest if key else [strange[0], *honest[1:]]
    return forger.files | {f"certificate-{n}.der": one.der for n, one in enumerate(chain, start=1)}


Forgery = Callable[[Forger], Forged]
GUARDS: dict[str, tuple[str, Forgery]] = {
    # guard of verify.sh by its words -> what it stops, as (bundle, forgery)
    "$1: index beyond": ("fourth", lambda f: other(f, "receipt.proof", 8, b"\x07")),
    "$1: not as many hashes": ("fourth", lambda f: other(f, "receipt.proof", 17, b"\x03")),
    "$2: unknown version": ("fourth", lambda f: other(f, "receipt.proof", 0, b"\x02")),
    "$2 is for another number of leaves": ("first", lambda f: other(f, "receipt.proof", 16, b"\x03")),
    "$2 does not lead to the root": ("fourth", lambda f: other(f, "receipt.bin", 92, b"\x09")),
    "$1 is not of": ("fourth", lambda f: f.changed("block.certificate", f.files["block.certificate"] + b"\0")),
    "$3 is no proof of presence": ("young", lambda f: other(f, "state.proof", 1, b"\x02")),
    "$3 is for another bucket": (
        "young",
        lambda f: f.state(f.files["state.value"], key=f.files["state.key"], under="block", files="state", shift=1),
    ),
    "$3 shows not exactly one entry": ("young", lambda f: other(f, "state.proof", 14, b"\x02")),
    "$3 is about another key or value": ("young", lambda f: other(f, "state.value", 7, b"\x99")),
    "$3 does not lead to the state root": ("young", lambda f: f.header(state_root=ZERO_HASH)),
    "a signature in $5": ("fourth", lambda f: other(f, "block.certificate", -1, b"\xff")),
    "a file is missing": ("fourth", lambda f: f.files | {"note.txt": b"believe me"}),
    "$f is no regular file": ("fourth", lambda f: f.files),
    "the anchor is neither": ("fourth", lambda f: f.files),
    "$1.header is of another version": ("fourth", lambda f: f.header(ledger=1)),
    "$1.header is of a height before": ("holding", lambda f: f.header(height=3)),
    "$1.header is of a height after": ("latest", lambda f: f.header(height=500)),
    "$1.header names other validators": ("fourth", lambda f: f.header(validator_set_hash=ZERO_HASH)),
    "$1.certificate is another": ("fourth", lambda f: other(f, "block.certificate", 1, b"\0")),
    "$1.certificate has $N": ("fourth", lambda f: f.certificate(range(3), counted=2)),
    "$1.certificate: signers not ascending": ("fourth", lambda f: f.certificate((1, 1, 0))),
    "epoch-$i.header is not of epoch": (
        "holding",
        lambda f: f.strange_epoch(2, height=5, next_validator_set_hash=f.strange_hash),
    ),
    "epoch-$i.set is not": ("holding", lambda f: f.strange_epoch()),
    "epoch-$i.header ends no epoch": ("holding", lambda f: f.unchanged_epoch()),
    "receipt.bin: unknown version": ("fourth", lambda f: f.planted("receipt.bin", b"\2" + f.files["receipt.bin"][1:])),
    "code $code says": ("early", lambda f: f.receipt(index=3, code=6)),
    "the receipt is not the envelope's": ("early", lambda f: f.receipt(index=2)),
    "the receipt is of another envelope": ("early", lambda f: f.receipt(index=3, envelope_id=ZERO_HASH)),
    "the receipt is of another transaction": ("early", lambda f: f.receipt(index=3, transaction_id=ZERO_HASH)),
    "the envelope has": ("shared", lambda f: f.unsigned_cosigners()),
    "key-$i is no transaction key": ("early", lambda f: f.key_entry("holder", "transaction")),
    "certificate-$((i - 1)).der is not issued": ("shared", lambda f: certified_by(f, None, 2)),
    "certificate-1.der is of another key": ("shared", lambda f: certified_by(f, public_key("holder"), 1)),
    "the root certificate": ("shared", lambda f: f.files),
    "summary.html: not the known page": ("fourth", lambda f: f.files),
    "summary.html says": ("fourth", lambda f: f.files),
}
BACKED = {
    # guards behind which another one stands: what they refuse cannot pass anyhow, they say why
    "$file ends too early", "$1: a number of 64 bits", "genesis.bin is no value", "$2 is no value",
    "genesis.bin names no validators", "$1.header is of epoch $E", "$1: $n validators", "$1.certificate: signer $N",
    "arguments are no value", "certificate-$i.der",
}  # fmt: skip
REFUSAL = re.compile(r'refuse "([^"]*)')


def without(text: str, guard: str) -> str:
    """The script with this refusal turned into nothing."""
    assert text.count(f'refuse "{guard}') == 1, guard
    return text.replace(f'refuse "{guard}', f': "{guard}')


def test_every_guard_of_the_script_is_listed() -> None:
    known = [*GUARDS, *BACKED]
    for said in REFUSAL.findall(SCRIPT.read_text("utf-8")):
        assert said == "$1" or sum(said.startswith(one) for one in known) == 1, said


@pytest.mark.parametrize("guard", GUARDS)
def test_each_guard_stops_what_would_pass_without_it(
    guard: str, world: World, bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    kind, forge = GUARDS[guard]
    forged = forge(Forger(world, bundles[kind]))
    root = root_of(forged)
    careless = court.with_script(without(SCRIPT.read_text("utf-8"), guard), tmp_path / "careless.sh")
    if guard == "the anchor is neither":
        anchor = sm3(b"another chain").hex()
    folder = careless.write(tmp_path / "bundle", forged, anchor)
    summary = folder / "summary.html"
    if guard == "the root certificate":
        root = sm3(b"another authority").hex()
    elif guard == "$f is no regular file":
        (folder / "receipt.bin").rename(tmp_path / "elsewhere")
        (folder / "receipt.bin").symlink_to(tmp_path / "elsewhere")
    elif guard.startswith("summary.html:"):
        summary.write_bytes(flip(summary.read_bytes(), -5))
    elif guard.startswith("summary.html"):
        summary.write_bytes(summary.read_bytes().replace("已执行".encode(), "未执行".encode()))
    assert careless.judge(folder, anchor, root) == ""
    words = guard.partition("$")[0] or guard.rpartition("$")[2][1:]
    assert words.strip() in court.judge(folder, anchor, root)


def test_too_few_or_doubled_signers(
    world: World, bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    """One below the quorum, one twice, and one more than the quorum: none is a certificate."""
    cases = [Forger(world, bundles["fourth"]).cut_certificate()]
    cases += [Forger(world, bundles["fourth"]).certificate(who) for who in ((0, 1, 1), (0, 2, 1), (0, 1, 2, 3), (0,))]
    for number, forged in enumerate(cases):
        folder = court.write(tmp_path / str(number), forged)
        assert "block.certificate" in court.judge(folder, anchor)
    one_will_do = re.sub(r"q=\$\(\([^;]*\)\);", "q=1;", SCRIPT.read_text("utf-8"))
    careless = court.with_script(one_will_do, tmp_path / "careless.sh")
    forged = Forger(world, bundles["first"]).certificate((0,))
    assert careless.judge(careless.write(tmp_path / "one", forged), anchor) == ""


# ---- the exporter


def test_what_cannot_be_proven_is_not_exported(
    world: World, bundles: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with pytest.raises(BundleRefused, match="no such entry"):
        world.export(partial(state_bundle, key=b"\x01x", through_latest=False))
    with pytest.raises(BundleRefused, match="nothing used this nonce"):
        world.export(partial(receipt_bundle, account=account("operator"), nonce=99, through_latest=False))
    (tmp_path / "there").mkdir()
    with pytest.raises(BundleRefused, match="there already"):
        write_bundle(tmp_path / "there", bundles["first"])
    with pytest.raises(BundleRefused, match=r"verify\.sh ended with 1: REFUSED: a signature"):
        write_bundle(tmp_path / "new", other(Forger(world, bundles["fourth"]), "block.certificate", -1, b"\xff"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_certificates_of_another_key_are_not_exported(world: World, bundles: dict[str, dict[str, bytes]]) -> None:
    exported = Exported("transaction", 1, START_MS, 0, bundles["early"])
    with pytest.raises(BundleRefused, match="another key"):
        certificate_files(authorities(public_key("holder")), exported)
    with pytest.raises(BundleRefused, match="kind receipt"):
        certificate_files(authorities(public_key("holder")), Exported("receipt", 1, START_MS, 0, bundles["first"]))
    with pytest.raises(CertificateRefused):
        certificate_files(authorities(public_key("operator")), Exported("t", 1, 0, 0, bundles["early"]))


def test_text_that_could_deceive_the_eye_is_shown_in_hexadecimal(
    world: World, bundles: dict[str, dict[str, bytes]], court: Court, anchor: str, tmp_path: Path
) -> None:
    key = b"\x05notes1"
    texts = {
        "plain": "持有 “100” — &<é",
        "bidi": "a\u202eb",
        "escape": "\x1b[2J",
        "bom": "\ufeff",
        "c1": "\x9b1m",
        "zero": "a\u200bb",
    }
    value = encode_value({**texts, "sum": 1 << 60, "minus": -5, "many": [None, True, b"\x01"]})
    forger = Forger(world, bundles["holding"])
    forger.files["state.key"] = key
    folder = court.write(tmp_path / "bundle", forger.state(value, key=key, under="block", files="state"))
    told = court.run(folder, anchor).stdout.decode()
    assert "① value 值 .plain: 持有 “100” — &<é\n" in told
    for name in ("bidi", "escape", "bom", "c1", "zero"):
        assert f"① value 值 .{name}: hex {texts[name].encode().hex()}\n" in told
    for line in (".sum: 0x1000000000000000", ".minus: -5", ".many.0: none", ".many.1: true", ".many.2: 01"):
        assert f"① value 值 {line}\n" in told
    assert "持有 “100” — &amp;&lt;é" in (folder / "summary.html").read_text("utf-8")
