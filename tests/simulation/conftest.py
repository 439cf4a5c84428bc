"""``--seed N`` runs one seed of the simulator instead of the regular ones; seeds run beside all other tests.

The chosen seeds begin when the tests are collected, in worker processes that take the time nobody else wants: tests
with processes and timers leave much of it. Their results are asked for after everything else.

Where several processes share the tests, each collects all of them and one gets those of the seeds: they begin there,
when the first result is asked for, and the others go on with the rest.
"""

import os
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from chain_core.crypto.providers import provider
from tests.simulation.runs import Order, Run, attempt, pool

ORDER = pytest.StashKey[Order]()
RUNS = pytest.StashKey[Mapping[int, "Future[Run]"]]()
POOL = pytest.StashKey[ProcessPoolExecutor]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="run this seed of the simulator only")


def _seed(item: pytest.Item) -> int | None:
    """Which seed's result this test asks for."""
    if isinstance(item, pytest.Function) and "runs" in item.fixturenames:
        return int(item.callspec.params["seed"])
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _seed(item) is not None)


def pytest_collection_finish(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ and not session.config.option.collectonly:
        _begin(session)


def _begin(session: pytest.Session) -> None:
    seeds = [seed for item in session.items if (seed := _seed(item)) is not None]
    if not seeds:
        return
    order = Order(small=True, real=True) if provider().name == "gmssl" else Order()
    executor = session.config.stash[POOL] = pool(os.cpu_count() or 1, background=True)
    session.config.stash[RUNS] = {seed: executor.submit(attempt, seed, order) for seed in seeds}


def pytest_unconfigure(config: pytest.Config) -> None:
    executor = config.stash.get(POOL, None)
    if executor is not None:
        executor.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest) -> Mapping[int, "Future[Run]"]:
    """The chosen seeds, under way."""
    if RUNS not in request.config.stash:
        _begin(request.session)
    return request.config.stash[RUNS]
