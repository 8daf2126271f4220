"""Detecting and joining the other processes of a run."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jax
import pytest
import tiny
from processes import run_two
from split_checkpoint import SIDE

from mbnet_jax.devices import cluster
from mbnet_jax.devices.cluster import detected_processes, joined


@pytest.fixture
def on_tpu(monkeypatch):
    """The platform setting that jax leaves once it has found a TPU."""
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", "tpu,cpu")
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    yield monkeypatch
    jax.config.update("jax_platforms", before)


def test_a_process_is_alone_unless_the_environment_names_others(monkeypatch):
    assert detected_processes() == 1
    monkeypatch.setenv(
        "TPU_WORKER_HOSTNAMES", "a,b"
    )  # a leftover; jax has found no TPU
    assert detected_processes() == 1
    with joined(None, None, None):
        assert not jax.distributed.is_initialized()


def test_slurm_counts_the_tasks_of_a_step(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert detected_processes() == 1  # in a batch script, before srun
    for name in ("SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID"):
        monkeypatch.setenv(name, "0")
    assert detected_processes() == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLURM_NTASKS", "x"),
        ("SLURM_NTASKS", "²"),
        ("SLURM_NTASKS", "0"),
        ("SLURM_NTASKS", "9" * 5000),
        ("SLURM_PROCID", "4"),
        ("SLURM_LOCALID", ""),
        ("SLURM_JOB_ID", "-1"),
    ],
)
def test_odd_variables_of_slurm_are_named(monkeypatch, name, value):
    for other in ("JOB_ID", "STEP_NODELIST", "PROCID", "LOCALID"):
        monkeypatch.setenv(f"SLURM_{other}", "0")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv(name, value)
    message = f"environment variable {name}='.* must be a whole number"
    with pytest.raises(ValueError, match=message), joined(None, None, None):
        pass


def test_an_odd_number_of_slices_is_named(on_tpu):
    on_tpu.setenv("TPU_WORKER_HOSTNAMES", "a,b")
    on_tpu.setenv("MEGASCALE_NUM_SLICES", "two")
    with pytest.raises(ValueError, match="MEGASCALE_NUM_SLICES='two' must be"):
        detected_processes()


def test_an_odd_address_of_the_metadata_server_is_no_host(on_tpu):
    on_tpu.setenv("GCE_METADATA_IP", "no host:\x01")
    assert detected_processes() == 1


def test_tpu_hosts_are_read_from_the_environment(on_tpu):
    on_tpu.setenv("TPU_WORKER_HOSTNAMES", "localhost")  # Colab
    assert detected_processes() == 1
    on_tpu.setenv("TPU_WORKER_HOSTNAMES", "a,b,c,d")
    assert detected_processes() == 4
    on_tpu.setenv("MEGASCALE_NUM_SLICES", "2")
    assert detected_processes() == 8


@pytest.mark.parametrize(
    ("path", "response", "expected"),
    [
        ("worker-network-endpoints", b"10.0.0.1:8470:10.0.0.1,x:y:10.0.0.2", 2),
        ("worker-network-endpoints", b"10.0.0.1:8470:10.0.0.1", 1),
        ("elsewhere", b"a,b", 1),  # not found: the machine is not a TPU host
    ],
)
def test_tpu_hosts_are_read_from_the_metadata_server(on_tpu, path, response, expected):
    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            known = f"/computeMetadata/v1/instance/attributes/{path}"
            allowed = self.headers["Metadata-Flavor"] == "Google"
            self.send_response(200 if self.path == known and allowed else 404)
            self.end_headers()
            self.wfile.write(response)

        def log_message(self, *_):
            pass

    with HTTPServer(("localhost", 0), Server) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        on_tpu.setenv("GCE_METADATA_IP", f"localhost:{server.server_port}")
        assert detected_processes() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("h:1", None, None), "--num-processes, --process-id must be given too"),
        ((None, 2, 0), "--coordinator must be given too"),
        (("h", 2, 0), "--coordinator=h must be HOST:PORT"),
        (("h:99999", 2, 0), "--coordinator=h:99999 must be HOST:PORT"),
        (("h:²", 2, 0), "--coordinator=h:² must be HOST:PORT"),
        (("h:1", 2, 2), "--process-id=2 must be one of 0 to 1"),
        (("h:1", 0, 0), "--num-processes=0 must be from 1 to 65536"),
        (("h:1", 10**5000, 0), "--num-processes=.* must be from 1 to 65536"),
        (("..:1", 2, 1), r"--coordinator=..:1 has no name of a host"),
    ],
)
def test_bad_flags_are_named(given, message):
    with pytest.raises(ValueError, match=message), joined(*given):
        pass


def test_an_unreachable_coordinator_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "_JOIN_SECONDS", 0)
    message = "no process 0 at --coordinator=localhost:1 within"
    with pytest.raises(ConnectionError, match=message), joined("localhost:1", 2, 1):
        pass


def test_if_process_0_fails_all_end_with_a_message(tmp_path):
    config = tiny.tiny_config(tmp_path)
    command = tiny.command(
        "train.py", config, tmp_path / "run", "--config.data.name=prcc"
    )
    first, second = run_two(command, slurm=False)
    assert first.returncode == second.returncode == 1
    assert "error: looked for" in first.stderr and "prcc" in first.stderr
    assert "error: process 0 failed; its message says why" in second.stderr
    assert "Traceback" not in first.stderr + second.stderr


def test_each_process_reads_its_share_of_a_checkpoint(tmp_path):
    command = [sys.executable, "tests/split_checkpoint.py", str(tmp_path)]
    for process in run_two(command, slurm=False):
        assert process.returncode == 0, process.stderr
    everything = 4 * SIDE**2
    for number in (0, 1):
        text = (tmp_path / f"read_by_{number}.json").read_text()
        split, whole = json.loads(text)
        assert 0.4 * everything < split < 0.6 * everything
        assert whole > 0.8 * everything  # zstd saves a tenth
