"""Eight fake CPU devices, so that sharding is tested on any machine.

The flags must be in the environment before jax is first imported.
"""

import atexit
import os
import shutil
import tempfile

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
# Several tests train the same tiny network; the compiler needs to see it once. The
# workers of `pytest -n` have the folder of the process that started them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="mbnet-jax-tests-")
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_addoption(parser):
    parser.addoption(
        "--kills", type=int, default=4, help="How often test_kill.py kills training."
    )


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """The small runs' data: its folder and the dataset."""
    import small_run

    from mbnet_jax.data import load_dataset

    root = tmp_path_factory.mktemp("small_data")
    return root, load_dataset(small_run.small_config(root))


@pytest.fixture
def small(small_data, monkeypatch):
    """Config, dataset and mesh of a small run, as `loop.train` takes them."""
    import small_run

    root, dataset = small_data
    small_run.install(monkeypatch)
    return small_run.small_config(root), dataset, small_run.one_device()


@pytest.fixture(scope="session")
def whole(small_data, tmp_path_factory):
    """A small run that nothing happens to: its folder and its final state."""
    import small_run

    root, dataset = small_data
    workdir = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        small_run.install(patch)
        config = small_run.small_config(root)
        mesh = small_run.one_device()
        return workdir, small_run.loop.train(config, dataset, workdir, mesh)
