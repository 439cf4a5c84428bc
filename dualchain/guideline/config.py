"""guideline.toml: which chains the report asks (docs/spec/guideline.md §5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from chain_core.node.config import ConfigRefused
from chain_core.node.verifying_client import VerifyingClient
from contracts.codes.regions import REGIONS
from dualchain.guideline.asking import AskedChain, Network
from service_registry.config import ChainSection, UserConfig, load

if TYPE_CHECKING:
    from dualchain.demo.layout import Chain

FILE = "guideline.toml"


class GuidelineConfig(UserConfig):
    """The whole file: ``[supervisory]``, and ``[markets.BJ]`` for each market."""

    markets: dict[str, ChainSection] = Field(min_length=1)

    @field_validator("markets")
    @classmethod
    def _regions(cls, value: dict[str, ChainSection]) -> dict[str, ChainSection]:
        for code in value:
            if code not in REGIONS:
                raise ValueError(f"{code} is no region of JR/T 0326 table 1")
        return value

    def network(self) -> Network:
        """Clients of all chains. Raises ConfigRefused, KeyFileRefused, CertificateFileRefused."""
        upper = self._asked("supervisory", self.supervisory, "supervisory")
        markets = {}
        for code, section in self.markets.items():
            markets[code] = self._asked(code, section, "local")
            if markets[code].view.genesis.market != code:
                raise ConfigRefused(
                    f"the document is of market {markets[code].view.genesis.market}",
                    where=f"markets.{code}",
                    next_step="name that market's own genesis document",
                )
        return Network(upper, markets)

    def _asked(self, label: str, section: ChainSection, kind: str) -> AskedChain:
        return AskedChain(label, VerifyingClient(self.view(section, kind), section.nodes, self.security(section)))


def read_network(path: Path) -> Network:
    """The network of a file. Raises as ``GuidelineConfig.network``."""
    return load(GuidelineConfig, path, "see docs/spec/guideline.md §5").network()


def write_config(path: Path, chains: Mapping[str, Chain], upper: str) -> None:
    """The file of a demonstration's network; ``upper`` is the supervisory chain's label."""
    lines = []
    for label, chain in chains.items():
        lines += [
            "[supervisory]" if label == upper else f"[markets.{label}]",
            f"genesis = {json.dumps(str(chain.genesis_file.resolve()))}",
            f"credentials = {json.dumps(str(chain.credentials('cli').resolve()))}",
            f"nodes = {json.dumps(chain.addresses)}",
            "",
        ]
    lines += ["[keys]", *chains[upper].protection.lines, ""]
    path.write_text("\n".join(lines), encoding="utf-8")
