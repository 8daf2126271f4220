"""Training and evaluation as users run them: commands, Python, errors, resuming."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from event_files import read_events, scalars_of

ROOT = Path(__file__).parent.parent


def arguments(script: str, data: Path, workdir: Path, *more: str) -> list[str]:
    """The command with every override that makes the run tiny."""
    config = tiny.tiny_config(data)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    file = tiny.write_one_block_config(data.with_name("one_block.py"))
    return tiny.command(script, config, workdir, *more, file=file)


# As on a laptop: one device, and the default cache of compiled programs; but they are
# compiled in a hurry.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")
} | {
    "XDG_CACHE_HOME": os.environ["JAX_COMPILATION_CACHE_DIR"],
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}
PROGRAMS = Path(ENVIRONMENT["XDG_CACHE_HOME"], "mbnet_jax", "xla")


def run(
    command: list[str], environment: dict[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def tables(output: str) -> list[list[str]]:
    """Returns the lines of the printed table of ranks, one block for each protocol."""
    lines = output.splitlines()
    starts = [
        i
        for i, line in enumerate(lines)
        if line.startswith("---") and "mAP" in lines[i - 1]
    ]
    return [lines[start - 2 : start + 6] for start in starts]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run: its folder, the data's, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(arguments("train.py", folder / "data", folder / "run"))
    assert done.returncode == 0, done.stderr
    return folder / "run", folder / "data", done.stdout


def test_train_prints_the_table_and_writes_the_run(trained):
    workdir, _, output = trained
    rules = ("general", "same-clothes", "clothes-changing")
    for rows, rule in zip(tables(output), rules, strict=True):
        assert [re.split(r"  | \|", row)[0] for row in rows[3:]] == [
            "global branch",
            "clothing-unrelated branch",
            "mask branch",
            "all",
            "chance",
        ]
        assert rows[0].split() == ["|", rule]
        assert rows[1].split("|")[1].split() == ["R1", "R5", "R10", "mAP", "mINP"]
    lines = [line for line in output.splitlines() if str(workdir) not in line]
    assert "\x1b" not in output and max(map(len, lines)) <= 80
    assert output.splitlines()[-1].endswith("/eval/metrics.json")
    for name in (
        "config.json",
        "metrics.jsonl",
        "parameters.txt",
        "eval/metrics.json",
        "eval/queries.csv",
    ):
        assert (workdir / name).stat().st_size > 0
    assert "training     4 steps of 8 images, 2 epochs" in output
    assert re.search(r"^best step: [24], with a validation mAP of", output, re.M)
    found = scalars_of(read_events(workdir))
    assert {"test/clothes_changing/all/mAP"} < {name for name, _ in found}
    assert found["images_per_second", 4] > 0 and found["loss", 4] > 0


def test_eval_repeats_the_table_to_the_last_digit(trained):
    workdir, data, output = trained
    before = json.loads((workdir / "eval" / "metrics.json").read_text())
    (workdir / "eval" / "ranked_lists.png").unlink()
    done = run(arguments("eval.py", data, workdir))
    assert done.returncode == 0, done.stderr
    assert tables(done.stdout) == tables(output)
    assert json.loads((workdir / "eval" / "metrics.json").read_text()) == before
    assert (workdir / "eval" / "ranked_lists.png").stat().st_size > 0
    shown = tables(done.stdout)[2][6].split()[-2]  # mAP of "all", clothes-changing
    stored = before["results"]["clothes_changing"]["all"]["mAP"]
    assert shown == f"{100 * stored:.1f}"


def test_a_named_checkpoint_is_evaluated(trained, tmp_path):
    whole, data, _ = trained
    workdir = shutil.copytree(whole, tmp_path / "run")
    done = run(arguments("eval.py", data, workdir, "--checkpoint=4"))
    assert "step 4, test split" in done.stdout, done.stderr
    done = run(arguments("eval.py", data, workdir, "--checkpoint=77"))
    assert done.returncode == 1 and "no checkpoint 77" in done.stderr
    assert "Traceback" not in done.stderr


# Run with the config, overrides and folder of the command.
SCRIPT = """
import json, sys
import mbnet_jax

name, workdir, *overrides = sys.argv[1:]
config = mbnet_jax.load_config(name, overrides)
run = mbnet_jax.train(config, workdir)
assert isinstance(run, mbnet_jax.Run) and run.config.train.epochs == config.train.epochs
print(json.dumps(run.evaluate()))
"""


def test_python_gives_what_the_command_gives(trained, tmp_path):
    whole, data, output = trained
    _, _, _, file, *words = arguments("train.py", data, tmp_path)
    overrides = [word.removeprefix("--config.") for word in words[:-1]]
    # The command's programs serve here too.
    environment = ENVIRONMENT | {"JAX_COMPILATION_CACHE_DIR": str(PROGRAMS)}
    done = run(
        [sys.executable, "-c", SCRIPT, file, str(tmp_path), *overrides],
        environment,
    )
    assert done.returncode == 0, done.stderr
    *printed, results = done.stdout.splitlines()
    assert tables("\n".join(printed)) == tables(output)
    metrics = json.loads((whole / "eval" / "metrics.json").read_text())
    assert json.loads(results) == metrics["results"]
    for name in (
        "config.json",
        "metrics.jsonl",
        "parameters.txt",
        "eval/metrics.json",
        "eval/queries.csv",
    ):
        assert (tmp_path / name).read_text() == (whole / name).read_text(), name


def test_stopped_training_resumes_and_ends_like_the_uninterrupted(trained, tmp_path):
    whole, data, output = trained
    workdir = tmp_path / "stopped"
    command = arguments("train.py", data, workdir)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not any(p.name.isdigit() for p in (workdir / "checkpoints").glob("*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # as a scheduler pre-empts a job
    _, error = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, error
    step, total = re.findall(r"^stopped at step (\d) of (\d), saved in", error, re.M)[0]
    assert int(step) < int(total) and "Traceback" not in error
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert f"resuming from step {step} in" in done.stdout
    assert tables(done.stdout) == tables(output)
    # Lines that a pipe can take, one for each window of steps.
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", done.stderr)
    assert re.search(rf"^step {total}/{total}: loss \d", done.stderr, re.M)
    assert (workdir / "metrics.jsonl").read_text() == (
        whole / "metrics.jsonl"
    ).read_text()
    # All starts, one of them from a checkpoint, used one program.
    assert len(list(PROGRAMS.glob("jit_step-*"))) == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.data.name=mars", "data.name='mars' is not a dataset here; known"),
        ("stray", "unknown argument 'stray'"),
    ],
)
def test_bad_input_ends_in_one_clear_line(trained, tmp_path, argument, message):
    """Of a real command; `test_command_line` has more, without starting Python."""
    _, data, _ = trained
    done = run(arguments("train.py", data, tmp_path / "run", argument))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("last", ["--config", "--config.seed"])
def test_a_flag_without_its_value_ends_in_one_clear_line(last):
    done = run([sys.executable, "-m", "mbnet_jax.commands.train", last])
    assert done.returncode != 0
    assert "error: " in done.stderr and "Traceback" not in done.stderr


def test_evaluating_a_folder_without_a_run_says_how_to_train(trained, tmp_path):
    _, data, _ = trained
    done = run(arguments("eval.py", data, tmp_path / "none"))
    assert done.returncode == 1
    assert "holds no run" in done.stderr and "Traceback" not in done.stderr
