"""The same answers over HTTP: paths, statuses, credentials, stored bytes, the record before each protected read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.network.quota import DEFAULT_LIMITS, Limit, Quota, Quotas
from chain_core.network.refusals import AuditUnavailable
from chain_core.node.config import ConfigRefused
from chain_core.types.errors import LocalFault
from contracts.data_model.snapshot import read_snapshot
from crosschain.jrt0314.endpoint import Credentials, EndpointAway, HttpEndpoint, Paths, snapshot_path
from local_chain.interface.callers import read_tokens
from local_chain.interface.config import InterfaceSection
from tests.unit.crosschain.jrt0314.market import Market, subject
from tests.unit.crosschain.jrt0314.serving import Recorded, served

RECORDS = Recorded()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    made = Market.begin(tmp_path_factory.mktemp("https") / "ledger")
    made.anchor(subject("a"), subject("b"))
    made.anchor(subject("a", 1, "update", more=1))
    return made


@pytest.fixture(scope="module")
def endpoint(market: Market) -> Iterator[HttpEndpoint]:
    with served(market, RECORDS) as one:
        yield one


def test_the_answers_are_those_of_the_node(market: Market, endpoint: HttpEndpoint) -> None:
    at = Paths(market.network)
    tx_id = market.ask("Block", height=1)["tx_ids"][0]
    for path, short, request in (
        (at.networks, "Networks", {}),
        (at.of("options"), "Options", {}),
        (at.of("status"), "Status", {}),
        (at.block(1), "Block", {"height": 1}),
        (at.block(0), "Block", {"height": 0}),
        (at.tx(1, tx_id), "Tx", {"height": 1, "tx_id": tx_id}),
        (at.state(1), "State", {"height": 1}),
        (at.ids(1), "Ids", {"height": 1}),
        (at.object(1, "supervision-a"), "Object", {"height": 1, "object_id": "supervision-a"}),
    ):
        answer = endpoint.get(path)
        assert answer.status == 200, answer.body
        assert answer.json() == market.ask(short, **request)


def test_a_snapshot_is_answered_as_it_is_stored(market: Market, endpoint: HttpEndpoint) -> None:
    for version in ("1", "latest"):
        answer = endpoint.get(snapshot_path("supervision-a", version))
        assert answer.body == market.snapshots["supervision-a/1"]
        assert answer.headers["x-content-sm3"] == sm3(answer.body).hex() and answer.headers["x-object-version"] == "1"
    merged = endpoint.get(snapshot_path("supervision-a", 1) + "?materialised=true")
    assert read_snapshot(merged.body).body == {"record": "a 1", "more": 1}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/elsewhere", 404),
        ("/networks/elsewhere/status", 404),
        ("/networks/beijing-test/blocks/99", 404),
        ("/networks/beijing-test/blocks/-1", 400),
        ("/networks/beijing-test/blocks/1?x=1", 400),
        ("/networks/beijing-test/blocks/1/objects/unknown", 404),
        ("/objects/unknown/versions/0", 404),
        ("/objects/supervision-a/versions/2", 404),
        ("/objects/supervision-a/versions/one", 400),
    ],
)
def test_what_cannot_be_answered_says_why(endpoint: HttpEndpoint, path: str, status: int) -> None:
    answer = endpoint.get(path)
    assert answer.status == status
    assert set(answer.json()["error"]) == {"code", "what", "where", "next_step"}


def test_callers_are_told_apart(endpoint: HttpEndpoint) -> None:
    for path in ("/networks", "/networks/beijing-test/blocks/1", "/objects/supervision-a/versions/0"):
        for credentials in ("none", "wrong"):
            refused = endpoint.get(path, credentials)
            assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"
        poor = HttpEndpoint(endpoint.name, Credentials(token="a client without reading role"))
        assert poor.get(path).status == 403
        poor.close()


def test_a_read_is_recorded_before_it_is_answered(market: Market, endpoint: HttpEndpoint) -> None:
    RECORDS.reads.clear()
    endpoint.get(Paths(market.network).state(1))
    assert RECORDS.reads == []
    endpoint.get(Paths(market.network).object(1, "supervision-a"))
    endpoint.get(snapshot_path("supervision-b", 0))
    first, second = RECORDS.reads
    assert first["object"] == "network_id beijing-test, height 1, object_id supervision-a"
    assert second["object"] == "object_id supervision-b, version 0" and second["by"]["name"] == "csrc"


def test_who_asks_too_much_waits(market: Market) -> None:
    limits = {**DEFAULT_LIMITS, Quota.BULK: Limit(1, 1)}
    with served(market, quotas=Quotas(limits)) as one:
        path = Paths(market.network).block(1)
        assert one.get(path).status == 200
        refused = one.get(path)
        assert refused.status == 429 and refused.headers["retry-after"] == "1"


def test_without_a_record_there_is_no_answer(market: Market) -> None:
    class Full(Recorded):
        async def read(self, facts: Any) -> None:
            raise AuditUnavailable("the disk is full", where="audit")

    with served(market, Full()) as one:
        at = Paths(market.network)
        assert one.get(at.state(1)).status == 200, "what is not protected is answered"
        for path in (at.block(1), at.ids(1), at.object(1, "supervision-a"), snapshot_path("supervision-a", 0)):
            assert one.get(path).status == 503


def test_bytes_that_the_chain_does_not_have_are_not_answered(market: Market, endpoint: HttpEndpoint) -> None:
    kept = market.snapshots["supervision-b/0"]
    try:
        market.snapshots["supervision-b/0"] = kept + b" "
        answer = endpoint.get(snapshot_path("supervision-b", 0))
        assert answer.status == 502 and answer.json()["error"]["code"] == "STORE_DIFFERS"
        del market.snapshots["supervision-b/0"]
        assert endpoint.get(snapshot_path("supervision-b", 0)).status == 502
    finally:
        market.snapshots["supervision-b/0"] = kept


@pytest.mark.parametrize(
    "url", ["http://10.1.2.3:80", "ftp://127.0.0.1", "https://", "https://h/path", "http://localhost:1"]
)
def test_plaintext_stays_on_this_machine(url: str) -> None:
    with pytest.raises(LocalFault):
        HttpEndpoint(url)


def test_nobody_there(market: Market) -> None:
    with served(market) as one:
        url = one.name
    with pytest.raises(EndpointAway):
        HttpEndpoint(url).get("/networks")


@pytest.mark.parametrize(
    "changes",
    [
        {"security": "plaintext", "listen": "0.0.0.0:1"},
        {"certificate": "c.pem", "key": "k.key"},
        {"tokens": "t"},
        {"security": "plaintext", "client_ca": "ca.pem"},
    ],
)
def test_a_port_without_protection_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"go with|nobody|loopback"):
        InterfaceSection(**{"listen": "127.0.0.1:0", "data_dir": "d"} | changes)  # type: ignore[arg-type]


def test_the_tokens_file_is_private_and_holds_no_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# csrc\n{sm3(b'secret').hex()} csrc client,regulator\n")
    file.chmod(0o644)
    with pytest.raises(ConfigRefused, match="others can read"):
        read_tokens(file)
    file.chmod(0o600)
    assert read_tokens(file)[sm3(b"secret")].roles == ("client", "regulator")
    file.write_text("secret csrc client\n")
    with pytest.raises(ConfigRefused):
        read_tokens(file)
