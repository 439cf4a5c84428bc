"""Measuring providers: what is counted, what stands beside it, and which of them are measured at all."""

import json

import pytest
from typer.testing import CliRunner

from chain_core.crypto import providers, rates
from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.openssl import OpenSslProvider
from chain_core.crypto.provider import RawVerifier
from dualchain import cli
from tests.unit.crypto.support import PROVIDERS, be, provider_or_skip

FIGURES = {"verify_many_per_s", "verify_per_s", "sign_per_s", "sm3_per_s", "sm3_records_per_s", "sm4_gcm_bytes_per_s"}


class Refuser(OpenSslProvider):
    def sm2_verify_many(self, items):  # type: ignore[no-untyped-def]
        return [False] * len(items)


class Halved(OpenSslProvider):
    """Its port does the library's work twice."""

    def sm2_verify_many(self, items):  # type: ignore[no-untyped-def]
        super().sm2_verify_many(items)
        return super().sm2_verify_many(items)

    def raw_verification(self, items):  # type: ignore[no-untyped-def]
        verify = OpenSslProvider().sm2_verify_many
        return lambda: all(verify(items))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BATCH", 8)
    monkeypatch.setattr(rates, "SLOW_BATCH", 1)
    monkeypatch.setattr(rates, "SM4_SIZE", 256)
    providers.provider.cache_clear()


def test_units_of_each_work_are_counted_in_turns() -> None:
    order: list[str] = []
    works = {name: rates.Work(3, lambda name=name: order.append(name)) for name in "ab"}  # type: ignore[misc]
    found = rates.rates(works, 1e-9)
    assert order == ["a", "b"] * rates.TURNS
    assert all(rate > 0 for rate in found.values())


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_measured_by_the_same_figures(name: str) -> None:
    provider = provider_or_skip(name)
    found = rates.measure(provider, 1e-6)
    assert set(found) >= FIGURES
    assert ({"raw_verify_per_s", "verify_ratio"} <= set(found)) is isinstance(provider, RawVerifier)
    assert isinstance(provider, RawVerifier) is (name in ("multibuffer", "ippcp"))
    assert all(figure > 0 for figure in found.values())


def test_the_ratio_is_the_ports_rate_over_the_librarys() -> None:
    found = rates.measure(Halved(), 0.02)
    assert found["verify_ratio"] == pytest.approx(found["verify_many_per_s"] / found["raw_verify_per_s"], abs=1e-3)
    assert found["verify_ratio"] < 0.8


def test_ippcps_own_calls_say_what_the_provider_says() -> None:
    provider = provider_or_skip("ippcp")
    assert isinstance(provider, RawVerifier)
    public = provider.sm2_public_key(be(9))
    items = [(public, bytes([i] * 96), provider.sm2_sign(be(9), bytes([i] * 96))) for i in range(3)]
    raw = provider.raw_verification(items)
    assert raw() and raw()
    assert not provider.raw_verification([(public, items[1][1], items[0][2])])()


def test_a_provider_that_refuses_right_signatures_is_not_measured() -> None:
    with pytest.raises(CryptoUnavailable, match="refuses right signatures"):
        rates.measure(Refuser(), 1e-6)


def run(*words: str, code: int = 0, **environment: str) -> str:
    result = CliRunner().invoke(cli.build(["crypto"]), ["crypto", *words], env={"DUALCHAIN_CRYPTO": "", **environment})
    assert result.exit_code == code, result.output
    return result.stdout


def test_bench_lists_all_providers_measured_or_with_their_reason() -> None:
    found = json.loads(run("bench", "--json", "--seconds", "0.01"))
    assert set(found["providers"]) | set(found["unavailable"]) == set(PROVIDERS)
    assert not set(found["providers"]) & set(found["unavailable"])
    assert all(found["unavailable"].values()) and found["cores"] and found["processor"]
    assert set(found["providers"]["openssl"]) >= FIGURES


def test_bench_of_one_provider_for_people() -> None:
    text = run("bench", "--provider", "openssl", "--seconds", "0.01")
    assert "verify_many_per_s" in text and "\ngmssl" not in text


def test_providers_say_which_is_chosen_and_why() -> None:
    found = json.loads(run("providers", "--json"))
    rows = {row["name"]: row for row in found["providers"]}
    assert list(rows) == list(PROVIDERS)
    first = next(name for name, row in rows.items() if row["runs"])
    assert found["chosen"] == first and found["signs"] == "openssl"
    assert [row["name"] for row in rows.values() if row["chosen"]] == [first]
    assert "fastest" in rows[first]["why"] and first in rows["gmssl"]["why"]
    assert all("next:" in row["why"] for row in rows.values() if not row["runs"])


def test_a_forced_provider_is_named_as_forced() -> None:
    providers.provider.cache_clear()
    text = run("providers", DUALCHAIN_CRYPTO="gmssl")
    assert "* gmssl        DUALCHAIN_CRYPTO names it" in text and "* openssl" not in text
    assert "openssl, always" in text


def test_a_forced_provider_that_does_not_run_is_refused_after_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> OpenSslProvider:
        raise CryptoUnavailable("no such lanes", where="multibuffer", next_step="take another")

    monkeypatch.setitem(providers._MAKERS, "multibuffer", missing)
    providers.provider_named.cache_clear()
    text = run("providers", code=1, DUALCHAIN_CRYPTO="multibuffer")
    assert "cannot run here: no such lanes; next: take another" in text
    assert "runs here; DUALCHAIN_CRYPTO names multibuffer" in text and "*" not in text
