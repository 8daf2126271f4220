"""Tests on datasets that a run was not trained on, and where their results go."""

import contextlib
import dataclasses
import io
import json
import shutil

import layouts
import pytest
import small_run
import tiny
from event_files import read_events, scalars_of

from configs import ltcc, manifest
from mbnet_jax.api import Run
from mbnet_jax.commands import compare
from mbnet_jax.data import load_dataset
from mbnet_jax.data.needed_maps import MissingMapsError
from mbnet_jax.evaluation.embed import embed_test
from mbnet_jax.evaluation.foreign import check_images, load_foreign
from mbnet_jax.evaluation.results import evaluate_protocols
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.runs.tested import folder_name, has_own_datasets, settings
from mbnet_jax.runs.tested import tests_of as datasets_of

FILES = ("metrics.json", "queries.csv", "ranked_lists.png", "report.html")


@pytest.fixture(scope="module")
def run(tested, tmp_path_factory, one_block):
    """A copy of an evaluated run of all branches, and the files of its own test."""
    config, source = tested
    workdir = tmp_path_factory.mktemp("across") / "run"
    shutil.copytree(source, workdir)
    own = {name: (workdir / "eval" / name).read_bytes() for name in FILES}
    return config, workdir, own


def evaluate(workdir, config, **fields):
    """The results, and what is printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        results = Run(workdir, small_run.one_device()).evaluate(config, **fields)
    return results, printed.getvalue()


def own_files(workdir):
    return {name: (workdir / "eval" / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The config of another world, with another network and image size."""
    config = tiny.tiny_config(tmp_path_factory.mktemp("world"))
    config.name = "other"
    config.data.synthetic.update(seed=7, test_identities=3, cameras=3)
    config = config.copy_and_resolve_references()
    config.data.height, config.data.validation = 96, "own"  # which it has not
    config.model.branches = ("mask",)
    config.views.silhouette = (32, 32)
    config.eval.update(report=True, report_lists=1, ranks=(1, 2))
    return config


def test_another_world_is_tested_with_the_runs_network(run, other, capsys):
    saved, workdir, own = run
    results, printed = evaluate(workdir, other)
    assert own_files(workdir) == own
    folder = workdir / "eval" / "other"
    assert {*FILES} <= {path.name for path in folder.iterdir()}

    # By hand: the run's config with those people.
    config = saved.copy_and_resolve_references()
    config.data.synthetic = other.data.synthetic
    config.data.root, config.eval = other.data.root, other.eval
    mesh = small_run.one_device()
    network = RunFolder(workdir).load(mesh)._replace(config=config)
    dataset = load_dataset(config)
    embedded = embed_test(config, network, dataset, dataset.protocols, mesh)
    expected = evaluate_protocols(config, embedded, dataset.protocols)
    assert results == {name: of.values for name, of in expected.items()}

    stored = RunFolder(workdir).metrics("other")
    assert (stored["results"], stored["step"]) == (results, 0)
    assert stored["trained_on"] == saved.name and stored["dataset"] == "other"
    title = f"trained on {saved.name}, tested on other, step 0"
    assert f"\n{title}, test split, per cent\n" in printed
    assert (
        f"(64x32) are those of the run in {workdir}; only data and eval are of"
        in printed
    )
    assert f"{folder}/report.html" in printed
    page = (folder / "report.html").read_text()
    assert "tested on other, step 0" in page
    assert f"(the run in {workdir}), and not on the dataset below" in page
    tag, value = "general/all/mAP", results["general"]["all"]["mAP"]
    scalars = scalars_of(read_events(workdir))
    assert scalars[f"test_other/{tag}", 0] == pytest.approx(value)
    before = json.loads(own["metrics.json"])["results"]["general"]["all"]["mAP"]
    assert scalars[f"test/{tag}", 0] == pytest.approx(before)

    compare.main([str(workdir), str(workdir), "--on", "other", "--resamples", "10"])
    out, mean = capsys.readouterr().out, f"{100 * value:.1f}"
    assert "general: 18 queries of 3 persons" in out
    assert ["mAP", mean, mean, "+0.0"] in [line.split()[:4] for line in out.split("\n")]
    compare.main([str(workdir), str(workdir), "--on", saved.name, "--resamples", "10"])
    assert f"first:  {workdir}/eval/queries.csv" in capsys.readouterr().out


@pytest.fixture(scope="module")
def without_maps(tmp_path_factory):
    """The LTCC config, with a tiny LTCC that has no maps."""
    config = ltcc.get_config()
    config.data.root = str(layouts.write_ltcc(tmp_path_factory.mktemp("ltcc")))
    config.data.threads = 2
    config.eval.update(report=False, figure_queries=0, batch_size=8)
    return config


def test_branches_without_maps_are_left_out(run, without_maps):
    _, workdir, own = run
    results, printed = evaluate(workdir, without_maps)
    assert {*results["general"]} == {"global", "chance"}
    assert (
        "note: left out: clothing-unrelated branch, mask branch, which need parsing "
        "maps: "
    ) in printed
    assert "images of the split 'query' have no parsing map; to make maps:" in printed
    assert "mbnet-parse --config" in printed
    # The paper's figures are of a network that was trained on LTCC.
    assert "the paper's" not in printed and "tested on ltcc" in printed
    protocols = RunFolder(workdir).metrics("ltcc")["protocols"]
    assert [of["paper"] for of in protocols.values()] == [None] * 3
    assert own_files(workdir) == own


def test_where_no_branch_can_be_tested_an_error_says_why(run, without_maps):
    _, workdir, _ = run
    config = without_maps.copy_and_resolve_references()
    config.eval.branches = ("global", "mask")  # by name: they are wanted
    with pytest.raises(MissingMapsError, match="needed by the branch 'mask'"):
        evaluate(workdir, config)
    config.eval.branches = ()
    config.model.branches = ("mask",)
    with pytest.raises(ValueError, match=r"no branch but mask .* need .*map"):
        load_foreign(config)


def test_a_branch_that_the_network_lacks_and_an_unknown_dataset_are_refused(run, other):
    _, workdir, own = run
    config = other.copy_and_resolve_references()
    config.eval.branches = ("local",)
    with pytest.raises(ValueError, match="branches that the network does not have"):
        evaluate(workdir, config)
    config.data.name = "ltc"
    with pytest.raises(ValueError, match="'ltc' is not a dataset here"):
        evaluate(workdir, config)
    assert own_files(workdir) == own


def test_another_network_on_the_runs_own_dataset_is_refused_as_before(run):
    saved, workdir, own = run
    config = saved.copy_and_resolve_references()
    config.model.branches = ("mask",)
    with pytest.raises(ValueError, match="another architecture or other data"):
        evaluate(workdir, config)
    assert own_files(workdir) == own


def named(name, dataset="manifest", root="data", **fields):
    config = manifest.get_config()
    config.name = name
    config.data.update(name=dataset, root=root)
    with config.unlocked():
        config.data.update(fields)
    return config


def world(name="tiny", **people):
    config = tiny.tiny_config("data")
    config.name = name
    config.data.synthetic.update(people)
    return config


JOINT = named("both", ("ltcc", "mine"), parts={"mine": {"name": "manifest"}})
SMALL = {"height": 32}


@pytest.mark.parametrize(
    ("saved", "given", "own", "tested"),
    [
        (world(), world("more"), True, [("tiny", "", False)]),
        (world(), world(**SMALL), True, [("tiny", "", False)]),
        (world(), world("b", seed=1), False, [("b", "b", True)]),
        (world(), world(seed=1), False, [("tiny *", "tiny-*", True)]),
        (world(), named("", "prcc"), False, [("prcc", "prcc", True)]),
        (world(), named("x", "prcc"), False, [("prcc", "x", True)]),
        (world(), named("tiny", "prcc"), False, [("prcc", "prcc", True)]),
        (named("a"), named("a", root="moved"), True, [("a", "", False)]),
        (named("a"), named("b", root="data/"), True, [("a", "", False)]),
        (named("a"), named("b", root="other"), False, [("b", "b", True)]),
        (
            named("a", "cuhk03", variant="detected"),
            named("a", "cuhk03", variant="labelled"),
            False,
            [("cuhk03 labelled", "cuhk03-labelled", True)],
        ),
        (JOINT, JOINT, True, [("ltcc", "ltcc", False), ("mine", "mine", False)]),
        (JOINT, named("eva", "ltcc"), False, [("ltcc", "ltcc", False)]),
        (JOINT, named("mine", root="x"), False, [("mine", "mine", False)]),
        (JOINT, named("p", "prcc"), False, [("prcc", "p", True)]),
        (
            named("l", "ltcc"),
            named("two", ("ltcc", "prcc")),
            False,
            [("ltcc", "ltcc", False), ("prcc", "prcc", True)],
        ),
    ],
)
def test_which_dataset_it_is_decides_where_results_go(saved, given, own, tested):
    tests = datasets_of(saved, given)
    assert has_own_datasets(saved, given) == own
    found = [(test.dataset, test.name, test.foreign) for test in tests]
    digest = found[0][0].split()[-1]
    assert found == [
        (title.replace("*", digest), name.replace("*", digest), foreign)
        for title, name, foreign in tested
    ]
    for test in tests:
        alone = own and len(tests) == 1
        assert test.own == alone and (test.config is given) == alone
        assert (test.part in given.data.name) == (len(tests) > 1 or not test.part)
        assert isinstance(test.config.data.name, str)
        if not own:
            assert test.config.model.to_dict() == saved.model.to_dict()
            assert test.config.data.height == saved.data.height


@pytest.mark.parametrize(
    "name", ["../a", "lock", ".", "metrics.json", "a b", "é" * 300]
)
def test_a_name_that_is_no_folders_gets_a_safe_one(name):
    folder = folder_name(name)
    assert folder != name and len(folder) < 120
    assert folder.replace("-", "").replace(".", "").isalnum()
    assert folder[0] != "." and not folder.endswith(("lock", ".json"))
    assert folder != folder_name(name + "x") and folder_name("a_b-1") == "a_b-1"


def test_settings_differ_with_data_and_evaluation_alone():
    config = world()
    same = [("train.epochs", 9), ("eval.batch_size", 1), ("eval.report", True)]
    other = [("data.root", "x"), ("data.parsing_dir", "m"), ("eval.flip", False)]
    other += [("data.synthetic.seed", 9), ("eval.ranks", (1,)), ("data.height", 32)]
    for changes, equal in ((same, True), (other, False)):
        for field, value in changes:
            changed = world()
            changed.update_from_flattened_dict({field: value})
            assert (settings(changed) == settings(config)) == equal, field


def test_another_manifest_of_the_same_name_replaces_no_results(tmp_path):
    root = layouts.write_manifest(tmp_path / "data", "path,pid,split")
    config = named("mine", root=str(root))
    config.data.update(validation="none", threads=2)
    config.model.branches, config.loss.ktm_area = ("global",), 0.0
    dataset = load_dataset(config)
    folder = RunFolder.create(tmp_path / "run", config, dataset)
    moved = config.copy_and_resolve_references()
    moved.data.root = str(tmp_path / "moved")
    shutil.copytree(root, moved.data.root)
    check_images(folder, moved, load_dataset(moved))
    changed = dataclasses.replace(dataset, train=dataset.train.subset([1, 0, 2]))
    check_images(folder, config, changed)  # its own folder, where files were added
    with pytest.raises(ValueError, match=r"not list the images .*--config\.name=NAME"):
        check_images(folder, moved, changed)
    moved.seed = 9  # others are held out: nothing to compare
    check_images(folder, moved, changed)


def test_the_network_that_a_run_started_from_is_said():
    saved = named("prcc", "prcc")
    saved.model.initial = "runs/msmt17"
    (test,) = datasets_of(saved, named("ltcc", "ltcc"))
    assert test.trained_on == "prcc (train alone), started from runs/msmt17"
    assert test.foreign and test.name == "ltcc"
