"""The demonstration's work directory: three chains laid out for 12 node processes, ports drawn before genesis.

<work>/format            version of this layout
<work>/supervisory, BJ, JS/...   one network directory a chain (chain_core/node/provision.py)
<work>/passphrase        opens every key file of the network
<work>/logs, evidence, summary.json
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.x509.authority import open_authority
from chain_core.crypto.x509.roles import PEER
from chain_core.network.secured.security import SmClient
from chain_core.node.certify import AUTHORITY, CLIENTS, ISSUING, write_clients
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import client_security
from chain_core.node.key_protection import Protection, drawn_protection
from chain_core.node.provision import AccountPlan, NodePlan, make_accounts, make_validators, write_network
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis
from dualchain.demo.days import Calendar
from dualchain.demo.ports import LOOPBACK, draw_ports
from local_chain.genesis import MarketCalendar, market_accounts, market_genesis
from supervisory_chain.genesis import ACCOUNTS, CHAIN_ID, TRYING_OUT, supervisory_genesis

FORMAT_FILE = "format"
FORMAT_NAME = "dualchain-demo "
FORMAT = f"{FORMAT_NAME}1\n"
PROCESSES = "processes.json"
"""In a work directory while its network runs: process id by name."""
SUPERVISORY = "supervisory"
NODES = 4

MARKETS: dict[str, tuple[str, str, str]] = {
    "BJ": ("rem-beijing", "北京股权交易中心有限公司", "北京示例存管银行"),
    "JS": ("rem-jiangsu", "江苏股权交易中心有限公司", "江苏示例存管银行"),
}
"""Chain id, operating institution and depository bank of each market."""

PARTNERS = ("{0}", "{1}", "省级政务节点 {2}", "第三方存证机构 {2}")
"""Who runs a market's nodes: operator, bank, a government body, a third party; none holds a third (art. 7, 16)."""

PROVINCIAL = {"BJ": "provincial-BJ", "JS": "provincial-JS"}
"""The provincial regulators' accounts on the supervisory chain (art. 5)."""
_REGULATORS = {"BJ": "北京市地方金融管理局", "JS": "江苏省地方金融管理局"}

OFFICES = ("中国证监会", "北京证监局", "江苏证监局", "中证数据节点")


class WorkDirectoryRefused(LocalFault):
    """A directory that is not this release's to write in."""

    code = "WORK_DIRECTORY"


@dataclass(frozen=True, slots=True)
class Chain:
    """One laid-out chain."""

    label: str
    directory: Path
    plans: tuple[NodePlan, ...]
    genesis: Genesis
    genesis_bytes: bytes
    protection: Protection
    """Of all key files of the network."""

    @property
    def addresses(self) -> list[str]:
        """Client ports of its nodes."""
        return [f"{plan.host}:{plan.client_port}" for plan in self.plans]

    def credentials(self, client: str) -> Path:
        """The folder of a client's key and certificates: an account's of the genesis document, ``cli``, ``gateway``."""
        return self.directory / CLIENTS / client

    def security(self, client: str = "cli", role: str = PEER) -> SmClient:
        """Sessions with its nodes, or with whoever has ``role``, as this client."""
        return client_security(self.credentials(client), self.genesis_bytes, self.protection.unlock, role=role)

    def certify(self, clients: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
        """Credentials for further clients, by the chain's own authority: legal entity and roles by name."""
        authority = open_authority(self.directory / AUTHORITY / ISSUING, self.protection.unlock)
        write_clients(
            self.directory / CLIENTS,
            self.genesis.chain_id,
            authority,
            clients,
            time.time_ns() // 1_000_000,
            self.protection.passphrase,
        )

    @property
    def genesis_file(self) -> Path:
        """The genesis document on disk."""
        return self.directory / "genesis.bin"

    def view(self) -> ChainView:
        """A fresh verifier of this chain's answers."""
        return ChainView(self.genesis_bytes)

    def commands(self) -> dict[str, list[str]]:
        """Command lines of its nodes, by process name."""
        return {
            plan.name: ["node", "run", "--config", str(self.directory / plan.name / "node.toml")] for plan in self.plans
        }


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything laid out: the chains by label, and where gateway and look-up service will listen, host:port."""

    chains: dict[str, Chain]
    gateway: str
    lookup: str


def open_work_directory(work: Path, *, replace: bool = False) -> None:
    """Make the directory, or refuse one that holds something else.

    Nothing is removed, unless ``replace`` is given and an earlier demonstration made the directory.
    """
    if work.exists() and not work.is_dir():
        raise WorkDirectoryRefused("not a directory", where=str(work), next_step="name a new directory")
    work.mkdir(parents=True, exist_ok=True)
    marker = work / FORMAT_FILE
    if not any(work.iterdir()):
        marker.write_text(FORMAT)
        return
    if not marker.is_file():
        what = "the directory holds something that is no demonstration's"
        raise WorkDirectoryRefused(what, where=str(work), next_step="name an empty directory; nothing was changed")
    found = marker.read_text(errors="replace")
    if replace and found.startswith(FORMAT_NAME):
        _empty(work)
        marker.write_text(FORMAT)
        return
    if found != FORMAT:
        what = f"made by another version: {found.strip()!r}, this release makes {FORMAT.strip()!r}"
        raise WorkDirectoryRefused(what, where=str(marker), next_step="name a new directory, or remove this one")
    what = "a demonstration was run here before"
    raise WorkDirectoryRefused(what, where=str(work), next_step="add --replace, or name a new one (--work-dir)")


def _empty(work: Path) -> None:
    """Remove what an earlier run left; refused while its network runs."""
    if (work / PROCESSES).exists():
        what = "the network of an earlier run may still be up here"
        raise WorkDirectoryRefused(what, where=str(work), next_step=f"stop it first: dualchain demo stop {work}")
    for entry in work.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def market_calendar(calendar: Calendar) -> MarketCalendar:
    """The calendar as a market's genesis document has it."""
    return MarketCalendar(*(tuple(sorted(days)) for days in (calendar.holidays, calendar.workdays, calendar.opened)))


def lay_out(
    work: Path, calendar: Calendar, now_ms: int, *, parameters: Mapping[str, int] = MappingProxyType(TRYING_OUT)
) -> Layout:
    """Keys, genesis documents and configurations of the three chains; every port of the network is drawn here.

    ``parameters`` of the supervisory chain: without any, its markets are admitted on a joint test and on evidence.
    """
    keys = drawn_protection(work)
    gateway, lookup, *rest = draw_ports(2 + 2 * NODES * (1 + len(MARKETS)))
    ports = iter(rest)

    def plans(prefix: str, entities: tuple[str, ...]) -> tuple[NodePlan, ...]:
        return tuple(
            NodePlan(f"{prefix}-{i}", entity, LOOPBACK, next(ports), next(ports)) for i, entity in enumerate(entities)
        )

    upper = _supervisory(work / SUPERVISORY, plans("csrc", OFFICES), now_ms, keys, parameters)
    chains = {SUPERVISORY: upper}
    for market, (chain_id, operator, bank) in MARKETS.items():
        entities = tuple(partner.format(operator, bank, market) for partner in PARTNERS)
        directory = work / market
        directory.mkdir()
        own = plans(market.lower(), entities)
        genesis = market_genesis(
            chain_id,
            market,
            now_ms,
            make_validators(directory, own, keys),
            make_accounts(directory, market_accounts(operator, bank), keys),
            upper.genesis_bytes,
            market_calendar(calendar),
        )
        write_network(directory, genesis, own, keys, "sm")
        chains[market] = Chain(market, directory, own, genesis, encode_genesis(genesis), keys)
    return Layout(chains, f"{LOOPBACK}:{gateway}", f"{LOOPBACK}:{lookup}")


def _supervisory(
    directory: Path, plans: tuple[NodePlan, ...], now_ms: int, keys: Protection, parameters: Mapping[str, int]
) -> Chain:
    directory.mkdir()
    provincial = (AccountPlan(PROVINCIAL[market], _REGULATORS[market], ("provincial",)) for market in MARKETS)
    genesis = supervisory_genesis(
        CHAIN_ID,
        now_ms,
        make_validators(directory, plans, keys),
        make_accounts(directory, (*ACCOUNTS, *provincial), keys),
        dict(parameters),
    )
    write_network(directory, genesis, plans, keys, "sm")
    return Chain(SUPERVISORY, directory, plans, genesis, encode_genesis(genesis), keys)
