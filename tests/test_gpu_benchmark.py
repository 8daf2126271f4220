"""The run on one GPU: limits, what it records, and words that its programs know."""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks import compile_for_gpu
from benchmarks.gpu.__main__ import described, losses, share
from benchmarks.gpu.limited import run
from benchmarks.gpu.stages import stages
from mbnet_jax.config import flat

# Starts a child, prints its process id, and waits for it.
LINGERING = """
import subprocess
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
child.wait()
"""


def test_a_command_is_stopped_at_its_limit_with_all_that_it_started():
    ended = run([sys.executable, "-c", LINGERING], 4)
    assert ended.how == "stopped at its limit of 4 s" and ended.seconds < 10
    child = int(ended.printed)
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(child, 0)
            time.sleep(0.05)


def test_a_command_that_ignores_the_first_signal_is_killed():
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    ended = run([sys.executable, "-c", deaf], 1)
    assert ended.how == "stopped at its limit of 1 s" and ended.seconds < 10


def test_a_failure_is_recorded_with_its_messages():
    code = "import sys; print(7); sys.exit('error: no PyTorch')"
    ended = run([sys.executable, "-c", code], 60)
    text = described(stages(["resnet50"], False, "cuda", Path("out"))[2], ended)
    assert "## Training step against PyTorch: resnet50" in text
    assert "failed with exit code 1" in text
    assert "Printed:\n\n```\n7\n```" in text and "error: no PyTorch" in text


def test_stages_share_the_time_that_is_left():
    assert share(90, [1, 2, 6]) == 10
    assert share(50, [6]) == 50
    assert share(-5, [1, 1]) == 0


def test_logged_losses_become_a_table(tmp_path):
    lines = [
        {"step": 10, "loss": 3.25, "bad_steps": 0},
        {"step": 10, "validation/mAP": 0.5},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert list(losses(tmp_path))[1:] == ["| 10 | 3.250 | 0 |"]
    assert not list(losses(tmp_path / "missing"))


def test_patches_fill_the_images_of_a_transformer():
    names = ["resnet50", "eva02_base_patch16_clip_224", "eva02_tiny_patch14_224"]
    parts = stages(names, False, "cuda", Path("out"))
    compared = [" ".join(one.command) for one in parts if "PyTorch" in one.title]
    for name, words, size in zip(
        names, compared, ((384, 192), (384, 192), (392, 196)), strict=True
    ):
        assert f"--backbone {name} --height {size[0]} --width {size[1]} " in words


@pytest.mark.parametrize("small", [False, True])
def test_every_field_and_test_that_a_stage_names_exists(small):
    parts = stages(["resnet50", "resnet18"], small, "cpu", Path("out"))
    compared = [one.title for one in parts if "PyTorch" in one.title]
    assert [title.split()[-1] for title in compared] == ["resnet50", "resnet18"]
    for stage in parts:
        for word in stage.command:
            if word.startswith(("tests/", "configs/", "train.py")):
                assert Path(word).is_file()
    fields = flat(importlib.import_module("configs.synthetic_large").get_config())
    named = [w for w in parts[-1].command if w.startswith("--config.")]
    assert {w[len("--config.") :].partition("=")[0] for w in named} <= fields.keys()
    assert len(named) > 3


def test_compiling_without_the_plugin_says_what_to_install():
    if importlib.util.find_spec("jax_cuda12_plugin"):
        pytest.skip("the plugin is installed")
    with pytest.raises(ValueError, match="pip install jax-cuda12-plugin=="):
        compile_for_gpu.mesh_of(1)
