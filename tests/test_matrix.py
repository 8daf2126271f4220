"""The table of several runs on several datasets: what is tested, kept and shown."""

import json
import shutil

import pytest
import small_run

from mbnet_jax import api
from mbnet_jax.commands import across
from mbnet_jax.data.datasets import DATASETS
from mbnet_jax.evaluation.matrix import Pair, cell_of, figures_of, matrix_markdown
from mbnet_jax.evaluation.published import PUBLISHED, published
from mbnet_jax.json_files import write_json
from mbnet_jax.runs.metrics_file import METRICS
from mbnet_jax.runs.run_folder import RunFolder


def protocol(name, draws=0, rule="general"):
    return {
        "name": name,
        "query": "query",
        "gallery": "gallery",
        "rule": rule,
        "cameras": [],
        "draws": draws,
        "queries": 4,
    }


def content(rank1=0.5, mean=0.25, **entries):
    """Of `metrics.json`: a hardest protocol, and one with drawn galleries after it."""
    names = {"general": 0, "clothes_changing": 0, "single_shot": 10}
    values = {"rank1": rank1, "mAP": mean}
    rows = dict.fromkeys(("global", "all", "all_reranked", "chance"), values)
    return {
        "step": 3,
        "results": {
            name: dict(rows, all={"rank1": 0.125 * (n + 1), "mAP": 0.0625})
            for n, name in enumerate(names)
        },
        "protocols": {name: protocol(name, draws) for name, draws in names.items()},
    } | entries


PAIR = Pair("runs/a", "ltcc", "ltcc", trained_on="prcc", content=content())


def test_a_cell_has_the_hardest_protocol_or_the_one_that_is_chosen():
    cell = cell_of(PAIR)
    assert cell["protocol"] == "clothes_changing" and cell["embedding"] == "all"
    assert (cell["rank1"], cell["mAP"], cell["step"]) == (0.25, 0.0625, 3)
    chosen = ("same_clothes", "single_shot", "general")  # the first that it has
    assert cell_of(PAIR, protocols=chosen)["rank1"] == 0.375
    assert cell_of(PAIR, "global")["mAP"] == 0.25
    error = cell_of(PAIR, "mask")["error"]
    assert error == "no embedding 'mask'; there are global, all"


def test_a_network_of_one_branch_stands_for_itself():
    stored = content()
    for rows in stored["results"].values():
        for name in ("all", "all_reranked"):
            del rows[name]
    cell = cell_of(PAIR._replace(content=stored))
    assert (cell["embedding"], cell["rank1"]) == ("global", 0.5)
    assert "50.0 / 25.0 (global)" in matrix_markdown("all", [cell], [])


def test_the_table_has_runs_published_figures_and_errors():
    pairs = [
        PAIR._replace(own=True, run="runs/a|b"),
        Pair("runs/a|b", "prcc", "prcc", "", "prcc", error="no such file"),
        PAIR._replace(run="runs/c"),
        Pair("runs/c", "prcc", "prcc", "", "prcc", content=content(0.75, None)),
    ]
    cells = [cell_of(pair, "global") for pair in pairs]
    figures = figures_of(pairs, cells)
    lines = matrix_markdown("global", cells, figures).splitlines()
    rows = [[c.strip() for c in x[1:-1].replace(r"\|", "!").split("|")] for x in lines]
    assert [
        "network",
        "trained on",
        "ltcc, clothes-changing",
        "prcc, clothes-changing",
    ] in rows
    assert ["runs/a!b", "prcc", "50.0 / 25.0*", "failed"] in rows
    assert ["runs/c", "prcc", "50.0 / 25.0", "75.0 / -"] in rows
    assert ["LaST's baseline [2]", "MSMT17", "", "26.2 / 24.6"] in rows
    assert ["SapiensID [1]", "its own web data", "42.6 / -", ""] in rows
    assert ["SapiensID [3]", "its own web data", "", "78.8 / -"] in rows
    text = "\n".join(lines)
    assert "runs/a|b on prcc failed: no such file" in text
    assert "An asterisk: the run was trained on this dataset." in text
    assert "[1] published: SapiensID (CVPR 2025) (quoted);" in text
    assert "(read at the source, protocol not said);" in text
    assert len({len(line) for line in lines if line.startswith("|")}) == 1


def test_published_figures_are_shares_of_known_datasets():
    known = {*DATASETS, "celeb_reid", "market1501", "cuhk03", "msmt17", "ccvid"}
    for figure in PUBLISHED:
        assert figure.dataset in known and figure.source and figure.trained_on
        values = [v for v in (figure.rank1, figure.mAP) if v is not None]
        assert values and all(0 < value < 1 for value in values)
    assert len({(f.dataset, *f[1:3], f.protocol) for f in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("ltcc", "general"), 1),
        (("ltcc", "same_clothes"), 0),
        (("prcc", "clothes_changing_multi_shot"), 6),
        (("msmt17", "general", "v1"), 2),
        (("msmt17", "general", "v2"), 1),
        (("msmt17", "general"), 2),
        (("vc_clothes", "general"), 0),
    ],
)
def test_published_figures_are_of_the_dataset_and_the_protocol(arguments, count):
    assert len(published(*arguments)) == count


@pytest.fixture
def table(small_data, tmp_path, monkeypatch):
    """Calls the command; tests are counted and write made-up results."""
    root, dataset = small_data
    config = small_run.small_config(root)
    small_run.install(monkeypatch)
    for name in ("a", "b"):
        config.name = name
        small_run.save_untrained(config, dataset, tmp_path / name)
    shutil.rmtree(tmp_path / "b" / "best")
    shutil.rmtree(tmp_path / "b" / "checkpoints")
    done = []

    def test(self, tested, which):
        self.load(self._mesh, which)
        done.append((self.path.name, tested.config.name, tested.name))
        entries = tested.entries | {"step": 0}
        write_json(self.eval_of(tested.name) / METRICS, content(**entries))
        return {}

    monkeypatch.setattr(api.Run, "_evaluate", test)
    monkeypatch.setattr(RunFolder, "eval_of", made(RunFolder.eval_of))
    for name, seed in (("world", 7), ("a", 0)):
        (tmp_path / f"{name}.py").write_text(
            f"from tiny import tiny_config, ONE_BLOCK\n\ndef get_config():\n"
            f"    c = tiny_config({str(root)!r})\n"
            f"    c.name = {name + '_config'!r}\n"
            f"    c.data.synthetic.seed = {seed}\n    return c\n"
        )

    def call(*more, runs=("a", "b")):
        done.clear()
        arguments = ["--runs", *(str(tmp_path / name) for name in runs)]
        files = [str(tmp_path / f"{name}.py") for name in ("a", "world")]
        out = tmp_path / "out"
        with pytest.raises(SystemExit) as end:
            across.main([*arguments, "--configs", *files, "--out", str(out), *more])
        stored = json.loads((out / "matrix.json").read_text())
        return end.value.code, [*done], stored, (out / "matrix.md").read_text()

    return call


def made(eval_of):
    """`eval_of`, whose folder exists."""

    def folder(self, name=""):
        path = eval_of(self, name)
        path.mkdir(parents=True, exist_ok=True)
        return path

    return folder


def test_what_was_tested_is_kept_and_what_failed_is_tried_again(table, capsys):
    code, done, stored, text = table()
    # A config of the run's own dataset will do, whatever its network.
    assert done == [("a", "a", ""), ("a", "world_config", "world_config")]
    assert code == 1  # the run b has no checkpoint
    errors = [cell.get("error", "") for cell in stored["cells"]]
    assert errors[:2] == ["", ""]
    assert all("no checkpoint 'best'" in error for error in errors[2:])
    assert [cell["own"] for cell in stored["cells"][:2]] == [True, False]
    assert "failed" in text and "12.5" not in text and "25.0 / 6.2*" in text
    assert "no checkpoint 'best'" in capsys.readouterr().out

    assert table()[:2] == (1, [])
    assert "tested before, at step 0" in capsys.readouterr().out
    assert table(runs=("a",))[:2] == (0, [])
    assert table("--config.eval.report", runs=("a",))[1] == []  # no other values
    again = [("a", "a", ""), ("a", "world_config", "world_config")]
    assert table("--no-config.eval.flip", runs=("a",))[1] == again
    assert table("--no-config.eval.flip", runs=("a",))[1] == []
    assert table("--no-config.eval.flip", "--again", runs=("a",))[1] == again
    code, done, stored, _ = table("--checkpoint", "9", runs=("a",))
    assert (code, done) == (1, [])
    assert "no checkpoint 9" in stored["cells"][0]["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs", "a", "a", "--configs", "ltcc"], "--runs names a twice"),
        (["--runs", "a", "--configs", "ltcc,ltcc"], "--configs names ltcc twice"),
        (["--runs", "a", "--configs", ","], "--configs names nothing"),
        (["--runs", "a", "--config", "ltcc"], "write --configs ltcc, not --config"),
        (["--runs", "a", "--configs", "ltc"], "config file not found: ltc"),
        (
            ["--runs", "a", "--configs", "ltcc", "--config.data.rot=x"],
            "data.rot is unknown",
        ),
        (
            ["--runs", "a", "--configs", "ltcc", '--config.data.name=("ltcc","prcc")'],
            "the config ltcc is of several datasets",
        ),
    ],
)
def test_what_no_table_can_be_made_of_is_refused(arguments, message):
    with pytest.raises(SystemExit) as end:
        across.main(arguments)
    assert message in str(end.value.code)
