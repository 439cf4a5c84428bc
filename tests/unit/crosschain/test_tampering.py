"""A courier alters one byte, at any offset of anything it carries: refused, by the name of what it broke.

``python -m tests.unit.crosschain.test_tampering`` prints the table of reasons.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from chain_core.execution.codes import Code
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.values import Value
from tests.unit.crosschain.chains import Layers, security

Carry = Callable[[Layers, str, bytes], Receipt]
"""(layers, part, its bytes) -> the receipt of carrying it so."""


class Load:
    """Everything that travels between two layers once: headers, packets, and an update with two directives."""

    def __init__(self, path: Path) -> None:
        self.layers = layers = Layers.begin(path)
        layers.register()
        for who in ("holder", "buyer"):
            layers.direct("freeze_holder", who)
        local = layers.local
        local.block(local.sign("courier", layers.update_down(0, 2)), local.sign("operator", security("S1")))
        # A block of two acknowledgements and a report, so that a packet's proof has a path.
        assert len(local.packets(1)) == 3
        self.up = cast(dict[str, bytes], {**local.row(1), **local.packets(1)[1]})
        self.business = layers.business("S2")
        layers.direct("freeze_holder", "issuer")
        layers.direct("unfreeze_holder", "holder", lifts=0)
        self.down = self._flat(layers.update_args(2, 2))

    @staticmethod
    def _flat(args: dict[str, Value]) -> dict[str, bytes]:
        following = cast(dict[str, bytes], args["next"])
        rows = cast(list[dict[str, bytes]], args["directives"])
        flat = {"header": args["header"], "certificate": args["certificate"]}
        flat |= {"next value": following["value"], "next proof": following["proof"]}
        for number, row in enumerate(rows):
            flat |= {f"directive {number}": row["packet"], f"directive proof {number}": row["proof"]}
        return cast(dict[str, bytes], flat)

    def carry_header(self, part: str, data: bytes) -> Receipt:
        row: dict[str, Value] = {**{name: self.up[name] for name in ("header", "certificate")}, part: data}
        args: dict[str, Value] = {"chain": self.layers.local.hash, "headers": [row]}
        return self.layers.supervisory.try_one("courier", Operation("clients", "submit_headers", args))

    def carry_packet(self, part: str, data: bytes) -> Receipt:
        """The second packet of the block, its header carried along; the first one goes with it unaltered."""
        parts: dict[str, Value] = {**self.up, part: data}
        first = self.layers.local.packets(1)[0]
        args: dict[str, Value] = {
            "source": self.layers.local.hash,
            "height": 1,
            "packets": [first, {"packet": parts["packet"], "proof": parts["proof"]}],
            "header": parts["header"],
            "certificate": parts["certificate"],
        }
        return self.layers.supervisory.try_one("courier", Operation("inbox", "deliver", args))

    def carry_update(self, part: str, data: bytes) -> Receipt:
        parts = {**self.down, part: data}
        args: dict[str, Value] = {
            "header": parts["header"],
            "certificate": parts["certificate"],
            "next": {"value": parts["next value"], "proof": parts["next proof"]},
            "directives": [
                {"packet": parts[f"directive {n}"], "proof": parts[f"directive proof {n}"]} for n in range(2)
            ],
        }
        return self.layers.local.try_one("courier", Operation("supervision", "update", args))


HEADER = {"header." + name for name in ("format", "genesis", "ledger", "epoch", "height", "time", "future")}
HEADER |= {"header." + name for name in ("previous", "validators", "certified")}
PAST_HEADER = HEADER - {"header.time", "header.previous"}
CERTIFICATE = {"header." + name for name in ("format", "certified", "members", "signatures")}
PACKET = {"malformed", "foreign_source", "foreign_destination", "unknown_channel", "replayed", "out_of_order", "proof"}

EXPECTED: dict[tuple[str, str], set[str]] = {
    ("submit_headers", "header"): HEADER - {"header.previous"},
    ("submit_headers", "certificate"): CERTIFICATE,
    ("deliver", "header"): PAST_HEADER | {"inbox.wrong_height"},
    ("deliver", "certificate"): CERTIFICATE,
    ("deliver", "packet"): {"inbox." + name for name in PACKET},
    ("deliver", "proof"): {"inbox.malformed", "inbox.proof"},
    ("update", "header"): HEADER - {"header.previous"},
    ("update", "certificate"): CERTIFICATE,
    ("update", "next value"): {"supervision.next_proof"},
    ("update", "next proof"): {"supervision.next_proof"},
    ("update", "directive 0"): {"supervision.directive_proof"},
    ("update", "directive proof 0"): {"supervision.directive_proof"},
    ("update", "directive 1"): {"supervision.directive_proof"},
    ("update", "directive proof 1"): {"supervision.directive_proof"},
}


def table(load: Load, way: str, part: str) -> tuple[Counter[str], list[str]]:
    """How often each rule refused, and where nothing did."""
    carry = {"submit_headers": load.carry_header, "deliver": load.carry_packet, "update": load.carry_update}[way]
    data = (load.down if way == "update" else load.up)[part]
    assert carry(part, data).code == Code.OK, "what is not altered is accepted"
    reasons: Counter[str] = Counter()
    accepted = []
    for offset in range(len(data)):
        altered = data[:offset] + bytes((data[offset] ^ 1 << offset % 8,)) + data[offset + 1 :]
        receipt = carry(part, altered)
        reasons[receipt.rule] += 1
        if receipt.code != Code.REFUSED_BY_RULE:
            accepted.append(f"offset {offset}: code {receipt.code}")
    return reasons, accepted


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    made = Load(tmp_path_factory.mktemp("layers"))
    yield made
    made.layers.close()


@pytest.mark.parametrize(("way", "part"), EXPECTED, ids=[f"{way} {part}" for way, part in EXPECTED])
def test_every_altered_byte_is_refused_with_a_reason(load: Load, way: str, part: str) -> None:
    reasons, accepted = table(load, way, part)
    assert accepted == []
    assert set(reasons) <= EXPECTED[way, part]


@pytest.mark.parametrize(("way", "part"), EXPECTED, ids=[f"{way} {part}" for way, part in EXPECTED])
def test_a_cut_and_a_longer_one_are_refused_too(load: Load, way: str, part: str) -> None:
    carry = {"submit_headers": load.carry_header, "deliver": load.carry_packet, "update": load.carry_update}[way]
    data = (load.down if way == "update" else load.up)[part]
    for altered in (data[:-1], data[1:], data + b"\x00", b"\x00" + data, b""):
        assert carry(part, altered).code in (Code.REFUSED_BY_RULE, Code.BAD_ARGUMENTS)


def main() -> None:
    """Prints how many alterations of each part were refused by which rule."""
    with tempfile.TemporaryDirectory() as directory:
        load = Load(Path(directory))
        for way, part in EXPECTED:
            reasons, accepted = table(load, way, part)
            print(f"{way:15} {part:18} {sum(reasons.values()):5} alterations, {len(accepted)} accepted")
            for rule, count in reasons.most_common():
                print(f"{'':34} {count:5} {rule}")
        load.layers.close()


if __name__ == "__main__":
    main()
