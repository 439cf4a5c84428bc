"""A configuration is read as a whole; what is wrong is named by file, line and key."""

from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key
from chain_core.node.config import ConfigRefused, join, load_config
from chain_core.node.provision import NodePlan, make_accounts, make_validators, write_network
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from chain_core.types.validator_set import ValidatorSet

GOOD = """\
[chain]
genesis = "genesis.bin"

[node]
name = "n0"
data_dir = "data"
consensus_key = "consensus.key"

[listen]
peer = "127.0.0.1:7000"
client = "127.0.0.1:7001"

[peers]
n1 = "127.0.0.1:7010"
n2 = "127.0.0.1:7020"
"n3" = "127.0.0.1:7030"
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("network")
    plans = [NodePlan(f"n{i}", f"entity {i}", "127.0.0.1", 7000 + 10 * i, 7001 + 10 * i) for i in range(4)]
    validators = make_validators(directory, plans)
    accounts = make_accounts(directory, [])
    genesis = Genesis("config-test", "supervisory", "", 1, validators, dict(DEFAULT_PARAMETERS), (), accounts)
    write_network(directory, genesis, plans, client_security="plaintext")
    return directory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def refusal(file: Path, text: str) -> ConfigRefused:
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigRefused) as caught:
        load_config(file)
    assert caught.value.what and caught.value.next_step
    assert caught.value.where.startswith(str(file))
    return caught.value


def test_a_good_file(file: Path) -> None:
    file.write_text(GOOD, "utf-8")
    config = load_config(file)
    assert config.node.name == "n0"
    assert config.peers == {"n1": "127.0.0.1:7010", "n2": "127.0.0.1:7020", "n3": "127.0.0.1:7030"}
    assert (config.log.level, config.log.format, config.chain.ledger) == ("info", "text", 0)
    assert config.path("data") == file.parent / "data"
    assert config.path("/elsewhere") == Path("/elsewhere")
    with pytest.raises(ValueError, match="frozen"):
        config.node.name = "n1"  # type: ignore[misc]


def test_own_name_among_the_peers_is_no_harm(file: Path) -> None:
    file.write_text(GOOD + 'n0 = "127.0.0.1:7000"\n', "utf-8")
    assert load_config(file).peers["n0"] == "127.0.0.1:7000"


# what is changed in GOOD, where the refusal points, what it says
BROKEN: dict[str, tuple[str, str, str, str]] = {
    "unknown key": ('data_dir = "data"', 'data_dir = "data"\ncolour = "red"', "line 7, key node.colour", "unknown key"),
    "unknown section": ("[peers]", "[extra]\n[peers]", "line 13, key extra", "unknown key"),
    "missing key": ('data_dir = "data"\n', "", "key node.data_dir", "missing"),
    "missing section": ("[listen]", "[unlisten]", "key listen", "missing"),
    "not TOML": ("[node]", "[node", "", "line 4"),
    "wrong type": ('name = "n0"', "name = 5", "line 5, key node.name", "valid string"),
    "empty name": ('name = "n0"', 'name = ""', "line 5, key node.name", "at least 1"),
    "plaintext on every interface": (
        'client = "127.0.0.1:7001"',
        'client_security = "plaintext"\nclient = "0.0.0.0:7001"',
        "line 12, key listen.client",
        "plaintext stays on the loopback interface",
    ),
    "another protection": (
        'client = "127.0.0.1:7001"',
        'client_security = "none"\nclient = "127.0.0.1:7001"',
        "line 11, key listen.client_security",
        "'sm', 'tls' or 'plaintext'",
    ),
    "no host": ("127.0.0.1:7001", "no host:7001", "line 11, key listen.client", "not a host"),
    "metrics elsewhere": (
        "[peers]",
        '[metrics]\nlisten = "0.0.0.0:9"\n[peers]',
        "line 14, key metrics.listen",
        "loopback",
    ),
    "no port": ("127.0.0.1:7001", "127.0.0.1", "line 11, key listen.client", "not an address"),
    "no peer's address": ("127.0.0.1:7020", "10.0.0.1", "line 13, key peers", "n2"),
    "one address twice": ("127.0.0.1:7020", "127.0.0.1:7010", "", "127.0.0.1:7010 stands twice"),
    "one port for both": ("127.0.0.1:7001", "127.0.0.1:7000", "", "127.0.0.1:7000 stands twice"),
    "other ledger": ('genesis = "genesis.bin"', 'genesis = "g"\nledger = 4', "line 3, key chain.ledger", "ledger 4"),
    "log level": ("[peers]", '[log]\nlevel = "loud"\n[peers]', "line 14, key log.level", "'loud'"),
    "own name elsewhere": ("[peers]", '[peers]\nn0 = "127.0.0.1:9999"', "", "n0 is this node itself"),
    "reserved key": ("[chain]", 'file = "x"\n[chain]', "key file", "unknown key"),
}


@pytest.mark.parametrize(("old", "new", "place", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file(file: Path, old: str, new: str, place: str, reason: str) -> None:
    assert old in GOOD
    found = refusal(file, GOOD.replace(old, new, 1))
    assert place in found.where
    assert reason in found.what


def test_protected_ports_may_be_anywhere(file: Path) -> None:
    text = GOOD.replace("127.0.0.1:7000", "0.0.0.0:7000").replace("127.0.0.1:7001", "[::]:7001")
    file.write_text(text.replace("127.0.0.1:7010", "node-1.example:7010"), "utf-8")
    found = load_config(file)
    assert (found.listen.client_security, found.listen.client) == ("sm", "[::]:7001")
    assert found.peers["n1"] == "node-1.example:7010"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="No such file"):
        load_config(tmp_path / "gone.toml")
    with pytest.raises(ConfigRefused, match="Is a directory"):
        load_config(tmp_path)


def test_bytes_that_are_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigRefused, match="not TOML"):
        load_config(file)


def test_what_the_configuration_means_on_its_chain(network: Path) -> None:
    for index in range(4):
        member = join(load_config(network / f"n{index}" / "node.toml"))
        key = member.genesis.validators.key(index)
        assert (member.name, member.key_in(member.genesis.validators)) == (f"n{index}", key)
        assert member.contacts == {f"n{i}": f"127.0.0.1:{7000 + 10 * i}" for i in range(4) if i != index}
        assert member.genesis.chain_id == "config-test"
        assert "private_key" not in repr(member)


def test_who_joins_by_a_proposal_says_so(network: Path) -> None:
    """Another name, key and list of peers than the genesis document's, once ``joining`` is set."""
    path = network / "n0" / "joining.toml"
    text = (
        (network / "n0" / "node.toml")
        .read_text()
        .replace('name = "n0"', 'name = "n4"')
        .replace('"consensus.key"', '"transport.key"')
    )
    path.write_text(text.replace('"n3" =', '"later" ='))
    with pytest.raises(ConfigRefused, match="no validator of config-test"):
        join(load_config(path))
    path.write_text(path.read_text().replace("[node]", "[node]\njoining = true"))
    member = join(load_config(path))
    assert member.name == "n4" and member.key_in(member.genesis.validators) is None
    assert set(member.contacts) == {"n1", "n2", "later"}
    path.write_text(path.read_text().split("[peers]")[0] + "[peers]\n")
    with pytest.raises(ConfigRefused, match="turns to validators of the chain first"):
        join(load_config(path))


def test_a_key_in_rotation_stands_beside_the_present_one(network: Path) -> None:
    path = network / "n0" / "rotating.toml"
    path.write_text(
        (network / "n0" / "node.toml").read_text().replace("[node]", '[node]\nnext_consensus_key = "transport.key"')
    )
    member = join(load_config(path))
    before = member.genesis.validators
    first = before.validators[0]
    assert member.key_in(before) == first.consensus_key
    rotated = replace(first, consensus_key=first.transport_key, transport_key=bytes(64))
    after = ValidatorSet((rotated, *before.validators[1:]))
    assert member.key_in(after) == first.transport_key


UNFIT: dict[str, tuple[str, str, str, str]] = {
    "a stranger's name": ('name = "n0"', 'name = "n9"', "CONFIG_REFUSED", "no validator of config-test"),
    "another's name": ('name = "n0"', 'name = "n1"', "CONFIG_REFUSED", "n1 is this node itself"),
    "no key file": ('"consensus.key"', '"gone.key"', "KEY_FILE_REFUSED", "cannot be read"),
    "another's key": ('"consensus.key"', '"transport.key"', "CONFIG_REFUSED", "not n0's consensus key"),
    "a peer too few": ('"n3" =', "# ", "CONFIG_REFUSED", "missing ['n3']"),
    "a stranger as peer": ('"n3" =', '"n9" =', "CONFIG_REFUSED", "unknown ['n9']"),
    "no genesis document": ('"genesis.bin"', '"gone.bin"', "CONFIG_REFUSED", "cannot be read"),
    "another file": ('"genesis.bin"', '"consensus.key"', "CONFIG_REFUSED", "no genesis document"),
}


@pytest.mark.parametrize(("old", "new", "code", "reason"), UNFIT.values(), ids=UNFIT)
def test_a_file_that_does_not_fit_its_chain(network: Path, old: str, new: str, code: str, reason: str) -> None:
    text = (network / "n0" / "node.toml").read_text("utf-8")
    assert old in text
    changed = network / "n0" / "changed.toml"
    changed.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DualchainError) as caught:
        join(load_config(changed))
    assert caught.value.code == code
    assert reason in caught.value.what
    assert caught.value.where and caught.value.next_step


def test_a_key_that_others_can_read(network: Path) -> None:
    key = network / "n0" / "loose.key"
    write_private_key(key, generate_private_key())
    key.chmod(0o644)
    changed = network / "n0" / "changed.toml"
    text = (network / "n0" / "node.toml").read_text("utf-8")
    changed.write_text(text.replace("consensus.key", "loose.key"), "utf-8")
    with pytest.raises(DualchainError, match="lets others at it"):
        join(load_config(changed))
