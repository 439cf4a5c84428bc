"""The exporter's rate: snapshots validated, sealed and written, a second (docs/spec/exporter.md).

python -m benchmarks.exporter [--blocks N] [--transfers N] [--json] [--profile FILE]

One process, no chain and no object store. Wall time; ``cpu`` figures are by the process's own seconds, which a busy
machine lengthens less. ``exported``: the whole way of ``Exporter.take``, from a block's events to
its synced transaction; ``validated and sealed``: the same snapshots again, validated and sealed only.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from chain_core.crypto.hashing import sm3, sm3_many
from chain_core.crypto.providers import generate_private_key, provider, signing_provider
from chain_core.types.values import Value
from contracts.data_model.emission import check_emission
from contracts.data_model.seals import seal_many
from contracts.data_model.snapshot import Snapshot, read_snapshot
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.core import Exporter, SealKey
from local_chain.exporter.database import Database, Status
from local_chain.exporter.signing import sign_on_all_cores
from local_chain.exporter.working import Label, Market

HOLDERS = 150
START_MS = 1_790_000_000_000


def name(text: str) -> bytes:
    """An id."""
    return sm3(text.encode())[:16]


SECURITY, HOUSE = name("security"), Market(name("operator"), "示例股权交易中心")


def party(number: int) -> bytes:
    """A holder."""
    return name(f"holder {number}")


def _attributes(path: Path) -> Attributes:
    def person(one: bytes) -> tuple[str, dict[str, object]]:
        basic = {"subject_investor_name": one.hex(), "subject_id_type": 1, "subject_id_number": one.hex()}
        body = {
            "basic_information_subject": {"general_information_subject": {"subject_type": 2}},
            "personal_subject_information": {"personal_subject_basic_information": basic},
        }
        return f"subject-{one.hex()}", {"subject_information": body}

    def company(one: bytes) -> tuple[str, dict[str, object]]:
        group = {"basic_information_of_enterprise": {"basic_information_description": {"subject_company_name": "示例"}}}
        body = {
            "basic_information_subject": {"general_information_subject": {"subject_type": 1}},
            "organization_subject_information": group,
        }
        return f"subject-{one.hex()}", {"subject_information": body}

    attributes = Attributes(path)
    basic = {"essential_information": {"basic_product_information": {"product_type": 0}}}
    attributes.put([(f"product-{SECURITY.hex()}", {"product_information": basic})])
    attributes.put([company(HOUSE.account), company(name("issuer")), *(person(party(n)) for n in range(HOLDERS))])
    return attributes


def _first_block() -> list[Value]:
    registered: dict[str, Value] = {
        "security": SECURITY,
        "reference": "BJ000001F",
        "issuer": name("issuer"),
        "declared": HOLDERS * 1_000_000,
        "legacy": False,
    }
    rows: list[Value] = [[party(number), 1_000_000] for number in range(HOLDERS)]
    live: dict[str, Value] = {"security": SECURITY, "total": HOLDERS * 1_000_000, "holders": HOLDERS}
    return [
        ["kernel", "security_registered", registered],
        ["kernel", "holdings_registered", {"security": SECURITY, "rows": rows}],
        ["kernel", "security_live", live],
    ]


def _transfer(number: int) -> list[Value]:
    fields: dict[str, Value] = {
        "security": SECURITY,
        "source": party(number % HOLDERS),
        "target": party((number * 7 + 1) % HOLDERS),
        "quantity": 1 + number % 90,
        "kind": 2,
    }
    return [["kernel", "transferred", fields]]


@dataclass(frozen=True, slots=True)
class Result:
    """Snapshots a second."""

    provider: str
    snapshots: int
    exported_per_s: float
    exported_per_cpu_s: float
    validated_and_sealed_per_s: float
    validated_per_s: float
    sealed_per_s: float
    stored_bytes: int


def measure(blocks: int, transfers: int) -> Result:
    """One run in a folder of its own. Nothing may be held: AssertionError."""
    private = generate_private_key()
    key = SealKey(private, signing_provider().sm2_public_key(private))
    with tempfile.TemporaryDirectory() as folder:
        attributes, database = _attributes(Path(folder) / "a.sqlite"), Database(Path(folder) / "e.sqlite")
        exporter = Exporter(database, attributes, HOUSE, key)
        exporter.take(1, START_MS, [("00", _first_block())], {SECURITY: Label("示例股份", 2)})
        spent, cpu, written, number = 0.0, 0.0, 0, 0
        for height in range(2, blocks + 2):
            events = [(f"{number + one:064x}", _transfer(number + one)) for one in range(transfers)]
            number += transfers
            start, cpu_start = time.perf_counter(), time.process_time()
            written += exporter.take(height, START_MS + height * 1_000, events, {})
            spent, cpu = spent + time.perf_counter() - start, cpu + time.process_time() - cpu_start
        assert not database.rows(Status.HELD) and not database.rows(Status.WAITING)
        raws = [row.raw for row in database.rows(Status.READY, limit=100_000)][-written:]
        database.close()
        attributes.close()
    snapshots = [read_snapshot(raw).with_seals() for raw in raws]
    validated, sealed = _again(snapshots, key)
    return Result(
        provider().name,
        written,
        written / spent,
        written / cpu,
        written / (validated + sealed),
        written / validated,
        written / sealed,
        sum(map(len, raws)) // len(raws),
    )


def _again(snapshots: list[Snapshot], key: SealKey) -> tuple[float, float]:
    """Seconds for validating and for encoding, sealing and hashing all of them."""
    start = time.perf_counter()
    for one in snapshots:
        check_emission(one)
    between = time.perf_counter()
    sm3_many(seal_many(snapshots, key.private, key.public, signing=sign_on_all_cores))
    return between - start, time.perf_counter() - between


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--transfers", type=int, default=500, help="transfers a block")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", type=Path, help="write a profile here")
    options = parser.parse_args()
    profile = cProfile.Profile() if options.profile else None
    if profile is not None:
        profile.enable()
    result = measure(options.blocks, options.transfers)
    if profile is not None:
        profile.disable()
        profile.dump_stats(options.profile)
    row = {field: getattr(result, field) for field in Result.__slots__}
    if options.json:
        print(json.dumps(row))
    else:
        for field, value in row.items():
            print(f"{field:30} {value:,.0f}" if isinstance(value, float) else f"{field:30} {value}")


if __name__ == "__main__":
    main()
