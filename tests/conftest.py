"""Eight fake CPU devices, so that sharding is tested on any machine.

With `--platform=cuda` only the tests marked `gpu` run, on that platform's own devices.
The flags must be in the environment before jax is first imported.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import zlib

import numpy as np
import pytest

# A job in the background ignores Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    parser.addoption(
        "--platform", help="Runs the tests marked gpu there: cuda, tpu, or one cpu."
    )


def pytest_configure(config):
    platform = config.getoption("platform")
    # Some tests compare with the CPU.
    os.environ["JAX_PLATFORMS"] = ",".join({platform or "cpu": 0, "cpu": 0})
    if platform:
        # By default GPUs and TPUs round the operands of float32 products.
        os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
    else:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=8"


def pytest_ignore_collect(collection_path, config):
    # Other files may import packages that a machine with a GPU lacks.
    other = config.getoption("platform") and collection_path.suffix == ".py"
    return True if other and "mark.gpu" not in collection_path.read_text() else None


def pytest_collection_modifyitems(config, items):
    if config.getoption("platform"):
        kept = [item for item in items if item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=[x for x in items if x not in kept])
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    module = getattr(request, "module", None)  # none of a session
    _reseed(module, f"{request.node.nodeid} {fixturedef.argname}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    _reseed(getattr(item, "module", None), item.nodeid)


def _reseed(module, name):
    """Gives a test or a fixture numbers of its own.

    Generators that tests share would depend on which tests a worker ran before.
    """
    seed = zlib.crc32(name.encode())
    for owner in (module, sys.modules.get("modules")):
        for attribute in ("rng", "RNG"):
            if generator := getattr(owner, attribute, None):
                fresh = np.random.default_rng(seed)
                generator.bit_generator.state = fresh.bit_generator.state


@pytest.fixture
def compiled_in_a_hurry():
    """For networks that run once or twice, and that no other test compiles."""
    from hurry import in_a_hurry

    with in_a_hurry():
        yield


@pytest.fixture(scope="module")
def one_block():
    """Lets the configs of a module's tests name the backbone `tiny.ONE_BLOCK`.

    Whoever trains or embeds with that wants a network soon, so it is compiled in a
    hurry, too.
    """
    import tiny
    from hurry import in_a_hurry

    with pytest.MonkeyPatch.context() as patch, in_a_hurry():
        tiny.know_one_block(patch)
        yield


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """The small runs' data: its folder and the dataset."""
    import small_run

    from mbnet_jax.data import load_dataset

    root = tmp_path_factory.mktemp("small_data")
    return root, load_dataset(small_run.small_config(root))


@pytest.fixture
def small(small_data, monkeypatch):
    """Config, dataset and mesh of a small run."""
    import small_run

    root, dataset = small_data
    small_run.install(monkeypatch)
    return small_run.small_config(root), dataset, small_run.one_device()


@pytest.fixture(scope="session")
def whole(small_data, tmp_path_factory):
    """A small run that is never stopped: its folder and its final state."""
    import small_run

    root, dataset = small_data
    workdir = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        small_run.install(patch)
        config = small_run.small_config(root)
        mesh = small_run.one_device()
        return workdir, small_run.train(config, dataset, workdir, mesh)


@pytest.fixture(scope="session")
def tested(small_data, tmp_path_factory):
    """An untrained run of all modules, evaluated, with a report: config, folder."""
    import small_run
    import tiny
    from hurry import in_a_hurry

    from mbnet_jax.api import Run

    root, dataset = small_data
    workdir = tmp_path_factory.mktemp("tested")
    config = tiny.tiny_config(root)
    config.name = "<b>tiny</b> & 'more'"
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    config.eval.update(report=True, report_lists=1, rerank=True)
    config.eval.report_queries = (dataset.test["query"].names[1],)
    with pytest.MonkeyPatch.context() as patch, in_a_hurry():
        tiny.know_one_block(patch)
        small_run.save_untrained(config, dataset, workdir)
        (workdir / "metrics.jsonl").write_text(
            '{"step": 1, "loss": 3.5, "learning_rate": 0.5, "bad_steps": 0}\n'
            '{"step": 2, "loss": 2.25, "learning_rate": 0.25, "bad_steps": 0}\n'
        )
        mesh = small_run.one_device()
        Run(workdir, mesh, dataset=dataset).evaluate(config)
    return config, workdir
