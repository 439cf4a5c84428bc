"""`local init` and `supervisory init`: a network laid out for its machines, or a refusal that leaves nothing behind."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

import local_chain.cli
import supervisory_chain.cli
from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.crypto.errors import KeyFileRefused
from chain_core.crypto.keys import inspect_key_file, load_private_key, write_private_key
from chain_core.crypto.passphrase import PassphraseRefused, parse_source
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.crl import Crls
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.files import load_certificates, load_crls
from chain_core.crypto.x509.verify import Anchors, PeerCertificate, Usage, verify_chain
from chain_core.node import ca_cli
from chain_core.node.client_security import client_security
from chain_core.node.config import join, load_config
from chain_core.types.errors import DualchainError

ENTITIES = ("Exchange House", "Depository Bank", "Province Office", "Notary")
PLANS = [f"n{i},{entity},127.0.0.1,{7000 + 10 * i},{7001 + 10 * i}" for i, entity in enumerate(ENTITIES)]


def call(app: object, *words: str | Path) -> dict[str, object]:
    """The one JSON object that a command prints; its refusal is raised."""
    result = CliRunner().invoke(app, [*map(str, words), "--json"])  # type: ignore[arg-type]
    if isinstance(result.exception, DualchainError):
        raise result.exception
    assert result.exit_code == 0, result.output + repr(result.exception)
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def nodes(plans: list[str]) -> list[str]:
    return [word for plan in plans for word in ("--node", plan)]


def supervisory(directory: Path, plans: list[str] = PLANS, *more: str) -> dict[str, object]:
    return call(supervisory_chain.cli.app, "init", directory, *nodes(plans), "--plain-keys", *more)


def local(directory: Path, upper: Path, plans: list[str] = PLANS, **changes: str) -> dict[str, object]:
    options = {"market": "BJ", "chain-id": "rem-beijing", "operator": "Exchange House", "bank": "Depository Bank"}
    options |= {"supervisory-genesis": str(upper), **{name.replace("_", "-"): text for name, text in changes.items()}}
    words = [word for name, text in options.items() for word in (f"--{name}", text)]
    return call(local_chain.cli.app, "init", directory, *words, *nodes(plans), "--plain-keys")


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    supervisory(tmp_path / "upper")
    return tmp_path / "upper" / "genesis.bin"


def test_everybody_has_a_certificate(tmp_path: Path, upper: Path) -> None:
    """Nodes for the transport keys that the chain lists, accounts and services as clients, under one new authority."""
    local(tmp_path / "net", upper)
    net = tmp_path / "net"
    document = decode_genesis((net / "genesis.bin").read_bytes())
    anchors = Anchors(tuple(load_certificates(net / "n0" / "anchors.pem")), "rem-beijing")
    lists = Crls(load_crls(net / "n0" / "crl.pem"))

    def holder(file: Path, usage: Usage) -> PeerCertificate:
        chain = [one.der for one in load_certificates(file)]
        return verify_chain(chain, anchors, time.time_ns() // 1_000_000, usage=usage, crls=lists)

    for validator in document.validators.validators:
        found = holder(net / validator.name / "transport.pem", Usage.PEER)
        assert (found.subject, found.entity, found.public_key) == (
            validator.name,
            validator.entity,
            validator.transport_key,
        )
        security = load_config(net / validator.name / "node.toml").security
        assert (security.certificate, security.anchors, security.crl) == ("transport.pem", "anchors.pem", "crl.pem")
    clients = {folder.name: holder(folder / "client.pem", Usage.CLIENT) for folder in (net / "clients").iterdir()}
    assert set(clients) == {path.stem for path in (net / "accounts").iterdir()} | {"cli", "gateway"}
    assert clients["bank"].roles == ("client", "depository_bank") and clients["bank"].entity == "Depository Bank"
    for name, found in clients.items():
        key = load_private_key(net / "clients" / name / "client.key")
        assert found.public_key == signing_provider().sm2_public_key(key)
    accounts = [load_private_key(path) for path in (net / "accounts").iterdir()]
    assert not {signing_provider().sm2_public_key(key) for key in accounts} & {
        one.public_key for one in clients.values()
    }


def test_a_newcomer_is_certified_by_the_authority_or_asks_for_it(tmp_path: Path, upper: Path) -> None:
    local(tmp_path / "net", upper)
    issuing = tmp_path / "net" / "authority" / "issuing"
    options = [
        "--name",
        "n9",
        "--entity",
        "Auditor",
        "--peer-port",
        "127.0.0.1:7900",
        "--client-port",
        "127.0.0.1:7901",
    ]
    options += ["--contact", "n0=127.0.0.1:7000", "--genesis", tmp_path / "net" / "genesis.bin"]
    made = call(
        local_chain.cli.app, "validators", "prepare", tmp_path / "one", *options, "--ca", issuing, "--plain-keys"
    )
    own = load_certificates(tmp_path / "one" / "transport.pem")[0]
    assert own.public_key.hex() == made["transport_key"]
    assert load_config(tmp_path / "one" / "node.toml").security.certificate == "transport.pem"

    made = call(local_chain.cli.app, "validators", "prepare", tmp_path / "two", *options, "--plain-keys")
    assert load_config(tmp_path / "two" / "node.toml").security.certificate == ""
    request, out = tmp_path / "two" / "transport.csr", tmp_path / "two" / "transport.pem"
    call(ca_cli.app, "sign", request, "--ca", issuing, "--out", out, "--for", "node", "--chain", "rem-beijing")
    assert load_certificates(out)[0].public_key.hex() == made["transport_key"]


def test_each_nodes_folder_is_all_that_its_machine_needs(tmp_path: Path, upper: Path) -> None:
    shown = local(tmp_path / "net", upper)
    raw = (tmp_path / "net" / "genesis.bin").read_bytes()
    document = decode_genesis(raw)
    assert shown["genesis_hash"] == genesis_hash(raw).hex() and shown["nodes"] == 4
    assert (document.chain_id, document.market, document.kind) == ("rem-beijing", "BJ", "local")
    assert document.supervisory_genesis == upper.read_bytes() and shown["supervised_by"] == "rem-supervisory"
    for number, validator in enumerate(document.validators.validators):
        folder = tmp_path / "net" / validator.name
        assert validator.entity == ENTITIES[number] and (folder / "genesis.bin").read_bytes() == raw
        config = load_config(folder / "node.toml")
        assert config.listen.client == f"127.0.0.1:{7001 + 10 * number}" and len(config.peers) == 3
        for purpose, public in (("consensus", validator.consensus_key), ("transport", validator.transport_key)):
            path = folder / f"{purpose}.key"
            assert signing_provider().sm2_public_key(load_private_key(path)) == public
            assert path.stat().st_mode & 0o077 == 0


def test_every_account_of_the_document_has_its_key_file(tmp_path: Path, upper: Path) -> None:
    """The regulator's officers have theirs in the supervisory chain's network, whose document this one carries."""
    local(tmp_path / "net", upper)
    document = decode_genesis((tmp_path / "net" / "genesis.bin").read_bytes())
    officers = {a.account for a in document.accounts if a.roles == ("regulator",)}
    assert officers and officers < {a.account for a in decode_genesis(document.supervisory_genesis).accounts}
    keys = {a.keys["transaction"][0] for a in document.accounts if a.account not in officers}
    files = list((tmp_path / "net" / "accounts").iterdir())
    assert {signing_provider().sm2_public_key(load_private_key(path)) for path in files} == keys


def test_the_calendar_goes_into_the_document(tmp_path: Path, upper: Path) -> None:
    file = tmp_path / "calendar.csv"
    file.write_text("date,kind\n2026-10-10,workday\n2026-10-01,holiday\n2026-11-22,opened\n\n", "utf-8-sig")
    local(tmp_path / "net", upper, calendar=str(file))
    calendar = decode_genesis((tmp_path / "net" / "genesis.bin").read_bytes()).documents["calendar"]
    number = lambda *day: (date(*day) - date(1970, 1, 1)).days  # noqa: E731
    assert calendar == {
        "holidays": [number(2026, 10, 1)],
        "workdays": [number(2026, 10, 10)],
        "opened": [number(2026, 11, 22)],
    }


CALENDARS = [
    ("2026-10-01,feast", "line 2", "is not a date"),
    ("2026-13-01,holiday", "line 2", "is not a date"),
    ("1969-12-31,holiday", "line 2", "is not a date"),
    ("2026-10-01", "line 2", "is not a date"),
    ("2026-10-01,holiday\n2026-10-01,opened", "line 3", "stands twice, first in line 2"),
    ("2026-10-12,workday", "line 2", "neither Saturday nor Sunday"),
]


@pytest.mark.parametrize(("lines", "where", "words"), CALENDARS)
def test_a_bad_calendar_is_named_by_line(tmp_path: Path, upper: Path, lines: str, where: str, words: str) -> None:
    file = tmp_path / "calendar.csv"
    file.write_text(f"date,kind\n{lines}\n", "utf-8")
    with pytest.raises(DualchainError, match=words) as caught:
        local(tmp_path / "net", upper, calendar=str(file))
    assert caught.value.where == f"{file}, {where}"
    assert not (tmp_path / "net").exists()


PLAN_CASES = [
    (PLANS[:3], "3 nodes; PBFT takes at least 4"),
    ([*PLANS[:3], PLANS[0].replace("7000", "1").replace("7001", "2")], "the name n0 is given 2 times"),
    ([*PLANS[:3], "n3,Notary,127.0.0.1,7000,7031"], r"the address 127\.0\.0\.1:7000 is given 2 times"),
    ([*PLANS[:3], "n3,Notary,127.0.0.1,7030,7030"], r"the address 127\.0\.0\.1:7030 is given 2 times"),
    ([*PLANS[:3], "../n3,Notary,127.0.0.1,7030,7031"], "'../n3' is no name for a node"),
    ([*PLANS[:3], "accounts,Notary,127.0.0.1,7030,7031"], "'accounts' is no name for a node"),
    ([*PLANS[:3], "N 3,Notary,127.0.0.1,7030,7031"], "'N 3' is no name for a node"),
    ([*PLANS[:3], "n3,Notary,127.0.0.1,7030"], "has 4 parts"),
    ([*PLANS[:3], "n3,,127.0.0.1,7030,7031"], "has 5 parts"),
    ([*PLANS[:3], "n3,Notary,127.0.0.1,7030,70310"], "are no ports"),
    ([*PLANS[:3], "n3,Notary,127.0.0.1,7030,x"], "are no ports"),
    ([*PLANS[:3], "n3,Notary,no host,7030,7031"], "not a host"),
]


@pytest.mark.parametrize(("plans", "words"), PLAN_CASES, ids=[words for _, words in PLAN_CASES])
def test_bad_plans_are_refused_before_there_are_keys(tmp_path: Path, plans: list[str], words: str) -> None:
    with pytest.raises(DualchainError, match=words) as caught:
        supervisory(tmp_path / "net", plans)
    assert caught.value.next_step and not any(tmp_path.iterdir())


def test_what_registration_would_refuse_is_refused_at_once(tmp_path: Path, upper: Path) -> None:
    two = [*PLANS[:3], PLANS[3].replace("Notary", "Exchange House")]
    with pytest.raises(DualchainError, match="Exchange House would run 2 of 4 nodes"):
        local(tmp_path / "net", upper, two)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"market": "XX"}, "'XX' is no region"),
        ({"operator": " "}, "no name is given"),
        ({"bank": ""}, "no name is given"),
        ({"calendar": "missing.csv"}, "cannot be read"),
        ({"supervisory_genesis": "missing.bin"}, "cannot be read"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, upper: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(DualchainError, match=words) as caught:
        local(tmp_path / "net", upper, **changes)
    assert caught.value.next_step and not (tmp_path / "net").exists()


def test_a_market_is_supervised_by_a_supervisory_chain_only(tmp_path: Path, upper: Path) -> None:
    local(tmp_path / "net", upper)
    with pytest.raises(DualchainError, match="rem-beijing is a local chain"):
        local(tmp_path / "other", tmp_path / "net" / "genesis.bin")


@pytest.mark.parametrize("chain_id", ["", "x y", "Rem", "x" * 49])
def test_no_keys_are_left_of_a_network_that_cannot_be(tmp_path: Path, chain_id: str) -> None:
    with pytest.raises(DualchainError, match="chain id"):
        supervisory(tmp_path / "net", PLANS, "--chain-id", chain_id)
    assert not any((tmp_path / "net").iterdir())
    supervisory(tmp_path / "net")


def test_nothing_is_written_over(tmp_path: Path, upper: Path) -> None:
    before = {path: path.read_bytes() for path in upper.parent.rglob("*") if path.is_file()}
    for place in (upper.parent, upper):
        with pytest.raises(DualchainError, match="PROVISION_REFUSED"):
            supervisory(place)
    assert before == {path: path.read_bytes() for path in upper.parent.rglob("*") if path.is_file()}


def passphrase_file(directory: Path) -> str:
    path = directory / "passphrase"
    path.write_text("several words of a test\n", "utf-8")
    path.chmod(0o600)
    return f"file:{path}"


def test_keys_are_encrypted_unless_the_command_says_otherwise(tmp_path: Path) -> None:
    words = ["init", str(tmp_path / "net"), *nodes(PLANS)]
    with pytest.raises(PassphraseRefused, match="no terminal"):
        call(supervisory_chain.cli.app, *words)
    assert not (tmp_path / "net").exists(), "asked before anything is made"
    source = passphrase_file(tmp_path)
    call(supervisory_chain.cli.app, *words, "--passphrase-from", source)
    files = sorted((tmp_path / "net").rglob("*.key"))
    assert len(files) > 20 and {inspect_key_file(path).iterations for path in files} == {600_000}
    folder = tmp_path / "net" / "n0"
    config = load_config(folder / "node.toml")
    assert config.node.passphrase_file == str(tmp_path / "passphrase") and not config.node.plaintext_keys
    assert len(join(config).keys.public_keys) == 1

    before = (folder / "node.toml").read_text("utf-8")
    made = call(supervisory_chain.cli.app, "validators", "next-key", folder)
    assert inspect_key_file(folder / "next-consensus.key").iterations == 600_000
    assert made["new_key"] in {key.hex() for key in join(load_config(folder / "node.toml")).keys.public_keys}
    (folder / "node.toml").write_text(before.replace(str(tmp_path / "passphrase"), "elsewhere"), "utf-8")
    with pytest.raises(PassphraseRefused, match="No such file"):
        join(load_config(folder / "node.toml"))
    assert join(load_config(folder / "node.toml"), parse_source(source)).keys.public_keys


def test_a_passphrase_typed_in_becomes_a_credential_of_the_service(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"several words of a test\n")
    os.close(writing)
    call(supervisory_chain.cli.app, "init", tmp_path / "net", *nodes(PLANS), "--passphrase-from", f"fd:{reading}")
    node = load_config(tmp_path / "net" / "n0" / "node.toml").node
    assert (node.passphrase_credential, node.passphrase_file) == ("node-passphrase", "")


def test_a_node_takes_unencrypted_keys_only_where_its_file_says_so(tmp_path: Path) -> None:
    supervisory(tmp_path / "net")
    path = tmp_path / "net" / "n0" / "node.toml"
    assert join(load_config(path)).keys.public_keys
    path.write_text(path.read_text("utf-8").replace("plaintext_keys = true\n", ""), "utf-8")
    with pytest.raises(KeyFileRefused, match=r"not encrypted.*plaintext_keys"):
        join(load_config(path))


def test_client_ports_with_sessions_may_be_anywhere(tmp_path: Path) -> None:
    """Nodes on several machines unless plaintext is asked for, and each client's folder holds what a session needs."""
    plans = [plan.replace("127.0.0.1", f"10.0.0.{number}") for number, plan in enumerate(PLANS, 1)]
    with pytest.raises(DualchainError, match="--client-security sm"):
        supervisory(tmp_path / "refused", plans, "--client-security", "plaintext")
    told = supervisory(tmp_path / "net", plans)
    assert told["next"] == f"export DUALCHAIN_CREDENTIALS={tmp_path / 'net' / 'clients' / 'cli'}"
    config = load_config(tmp_path / "net" / "n0" / "node.toml")
    assert (config.listen.client_security, config.listen.client.partition(":")[0]) == ("sm", "10.0.0.1")
    genesis = (tmp_path / "net" / "genesis.bin").read_bytes()
    folder = tmp_path / "net" / "clients" / "cli"
    assert (folder / "genesis.bin").read_bytes() == genesis
    security = client_security(folder, genesis)
    node = [one.der for one in load_certificates(tmp_path / "net" / "n0" / "transport.pem")]
    assert security.verify(node).subject == "n0"
    with pytest.raises(CertificateRefused):
        security.verify([one.der for one in load_certificates(folder / "client.pem")])
    plain = supervisory(tmp_path / "plain", PLANS, "--client-security", "plaintext")
    assert load_config(tmp_path / "plain" / "n0" / "node.toml").listen.client_security == "plaintext"
    assert "next" not in plain
    (folder / "anchors.pem").unlink()  # then it is the genesis document that says whose keys the nodes have
    pinned = client_security(folder, genesis)
    assert pinned.verify(node).subject == "n0"
    with pytest.raises(CertificateRefused, match="no transport key of the genesis document"):
        pinned.verify([one.der for one in load_certificates(folder / "client.pem")])
    (folder / "client.key").unlink()
    write_private_key(folder / "client.key", generate_private_key())
    with pytest.raises(DualchainError, match="have the key certified"):
        client_security(folder, genesis)
