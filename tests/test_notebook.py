"""The notebook runs from top to bottom, on a tiny run."""

import os
import re
from pathlib import Path

import nbformat
import pytest
import tiny
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "mbnet_colab.ipynb"
STEPS, STOP = 120, 10


def settings(folder: Path) -> dict[str, str]:
    """Returns, for each cell tag, code to run after that cell: a small run."""
    config = tiny.tiny_config(folder / "data")
    config.model.branches = ("global",)
    config.model.ktm = False
    config.train.steps_per_epoch = STEPS // config.train.epochs
    config.train.checkpoint_every = STEPS
    command = tiny.command("train.py", config, folder / "run")
    own = ("--config.data.root=", "--workdir=")  # the notebook sets these itself
    overrides = [word for word in command[4:] if not word.startswith(own)]
    return {
        "parameters": f"OVERRIDES = {overrides!r}\nSTOP_AFTER = {STOP}",
        "folders": f"WORKDIR, DATA = Path({str(folder / 'run')!r}), "
        f"Path({str(folder / 'data')!r})",
    }


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook's code cells by id, after all have run."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        for tag in cell.metadata.get("tags", ()):
            cells.append(nbformat.v4.new_code_cell(settings(folder)[tag]))
    notebook.cells = cells
    # One device, as on a laptop.
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # so that it compiles fast
    client = NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute(env=environment)  # a cell that fails is an error
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def text(cell) -> str:
    """Returns what a cell printed."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream")


def pictures(cell) -> list[str]:
    """Returns the PNG files that a cell shows."""
    shown = [o for o in cell.outputs if o.output_type == "display_data"]
    return [o.data["image/png"] for o in shown if "image/png" in o.data]


def test_it_prints_the_devices(executed):
    assert "trains on 1 x cpu (cpu)" in text(executed["device"])


def test_training_stops_and_resumes_with_a_curve(executed):
    assert len(pictures(executed["train"])) == len(pictures(executed["resume"])) == 1
    [step] = re.findall(r"stopped at step (\d+)", text(executed["train"]))
    assert STOP <= int(step) < STEPS
    assert f"resuming from step {step} " in text(executed["resume"])
    assert f"is at step {STEPS};" in text(executed["resume"])


def test_it_shows_the_table_and_the_ranked_lists(executed):
    table = text(executed["table"])
    for words in ("test split", "clothes-changing", "global branch", "chance"):
        assert words in table
    assert "re-ranked" in text(executed["rerank"])
    assert len(pictures(executed["lists"])) == 1
    assert len(pictures(executed["photograph"])) == 1


def test_it_says_where_to_read_on(executed):
    [shown] = executed["reading"].outputs
    assert "docs/use.md" in shown.data["text/markdown"]


def test_a_real_dataset_is_left_alone(executed):
    assert "nothing to do" in text(executed["datasets"])


def test_it_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, cell.id
