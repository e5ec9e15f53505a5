"""What holds for every test: the profiles of hypothesis, names that every process gives alike, and Ctrl-C.

Measuring coverage makes the rules run four times slower. A test that goes through the same lines again and again
is marked `no_cover`: other tests, and a few of its own kind, measure them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Generator, Iterator
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from coverage.collector import Collector
from hypothesis import HealthCheck, settings

ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")

# Deadlines measure the machine, not the code, and this suite runs on shared ones.
settings.register_profile("local", deadline=None, print_blob=True)
# The same examples at every run: a red build is red again when it is looked at.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "local"))


# A job in the background of a shell ignores SIGINT, and so would every child that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Coverage takes a lock at each call, in a function of its own, in which a thread may lose its turn and keep the lock:
# engines, which are threads, then wait for each other all the time. The lock's own method is not left half-way.
for its_name, of_the_lock in (("lock_data", "data_lock.acquire"), ("unlock_data", "data_lock.release")):
    if hasattr(Collector, its_name):  # another version may have another way
        setattr(Collector, its_name, property(attrgetter(of_the_lock)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse what no other process could name alike: the suite runs in several, which share its tests out."""
    for item in items:
        if ADDRESS.search(item.name):
            msg = f"{item.nodeid}: give its parameters ids of their own"
            raise pytest.UsageError(msg)


# In the processes that share the suite out, coverage would be measured three times over: by coverage itself, as in any
# child, and twice by pytest-cov, of which the first is never told to pause. Here is but one, which is.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let them begin without coverage."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_configure(config: pytest.Config) -> None:
    """End what pytest-cov has begun in such a process before its session; it begins anew with that."""
    plugin = config.pluginmanager.getplugin("_cov")
    if hasattr(config, "workerinput") and plugin is not None and plugin.cov_controller is not None:
        plugin.cov_controller.cov.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let the children of a test measure no coverage either, if it is marked so."""
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("no_cover"):
            measure_no_children(patch)
        return (yield)


@pytest.fixture
def plain_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a test and not the processes that it starts: those that are killed would tell nothing anyway."""
    measure_no_children(monkeypatch)


def measure_no_children(patch: pytest.MonkeyPatch) -> None:
    """Have the processes that are started from now on know nothing of coverage."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        patch.delenv(name)


MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 1024**3


@pytest.fixture
def memory_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, if the system has one: for tests of what is in files, and not of whether it gets to a disk.

    Those that open damaged stores by the hundred did nothing but wait for the disk.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
        with TemporaryDirectory(prefix="logistics-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("memory")
