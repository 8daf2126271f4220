"""New runs that start from another network's weights (`model.initial`)."""

import jax
import numpy as np
import pytest
import small_run
import tiny
from flax.traverse_util import flatten_dict
from hurry import in_a_hurry

from mbnet_jax.config import load_config
from mbnet_jax.data.splits import Split, hold_out_identities
from mbnet_jax.devices.mesh import replicated
from mbnet_jax.runs.checkpoints import NO_BEST, Checkpoints
from mbnet_jax.runs.exported import rounded, write_config, write_weights
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.runs.run_folder import RunFolder, num_classes, num_clothes
from mbnet_jax.training.initial import knows_held_out, load_initial
from mbnet_jax.training.optimizer import make_optimizer
from mbnet_jax.training.plan import make_plan
from mbnet_jax.training.start import start


@pytest.fixture
def source(whole):
    """A trained run of the global branch."""
    return RunFolder(whole[0])


def load(config, mesh, classes=99):
    """What a new run of the config starts with, by path."""
    model = make_model(config.model, classes)
    loaded = load_initial(config, abstract_variables(config, model), mesh)
    return flatten_dict(loaded.variables), loaded.sources


def is_head(path):
    return path[-2] == "classifier" or path[1] == "clothes_classifier"


def test_a_new_run_has_all_weights_but_the_classifiers(small, source, tmp_path, capsys):
    config, dataset, mesh = small
    config.seed += 1
    config.train.ema = 0.9
    config.loss.cal = 1.0
    config.model.initial = str(source.path)
    config.model.backbones["global"].weights = "timm/never_read"
    run = tmp_path / "run"
    RunFolder.create(run, config, dataset)
    model = make_model(
        config.model, num_classes(dataset.train), num_clothes(config, dataset.train)
    )
    plan = make_plan(config, dataset, mesh)
    optimizer = make_optimizer(config.train, plan.schedule)

    def begin():
        with Checkpoints(run) as checkpoints:
            return start(
                config, dataset, model, optimizer, checkpoints, run, mesh, plan
            )[0]

    state, network = begin(), source.load(mesh)
    theirs, ours = flatten_dict(network.variables), flatten_dict(state.variables)
    assert ours.keys() - theirs.keys() == {("params", "clothes_classifier", "kernel")}
    for path, value in theirs.items():
        same = np.array_equal(value, ours[path])
        assert same != is_head(path), path
    assert ("batch_stats", "global_head", "bnneck", "mean") in theirs
    jax.tree.map(np.testing.assert_array_equal, state.average, state.params)
    assert jax.tree.leaves(state.params)[0].sharding == replicated(mesh)
    where = f"{source.path}, step {network.step}"
    printed = capsys.readouterr().out
    assert (
        f"starts with the weights of {where}, necks and balance included; anew: the "
        "classifiers\n"
    ) in printed
    unread = "not read, since model.initial is given: model.backbones.global.weights\n"
    assert unread in printed
    lines = (run / "parameters.txt").read_text().splitlines()
    assert f"global_backbone starts with the weights of {where}" in lines
    assert f"global_head starts with the weights of {where}" in lines
    assert not [line for line in lines if line.startswith("clothes_classifier starts")]

    # It is read once.
    with Checkpoints(run) as checkpoints:
        checkpoints.save(0, state.parts(), NO_BEST | {"evaluated": 0})
    config.model.initial = "gone"
    jax.tree.map(np.testing.assert_array_equal, begin(), state)
    line = f"model.initial: {source.path} -> gone (no effect: a new run reads it)"
    assert line in capsys.readouterr().out
    del config.model.initial
    assert source.path.name in RunFolder(run).check_resume(config, dataset)[0]


@pytest.mark.parametrize(
    ("then", "now", "known"),
    [
        ({}, {}, False),
        ({}, {"seed": 7}, True),
        ({"seed": 7}, {}, True),
        ({}, {"data.validation_fraction": 0.5}, True),
        ({"data.validation_fraction": 0.5}, {}, False),
        ({"data.validation": "none"}, {}, True),
        ({"seed": 7}, {"data.validation": "none"}, False),
        ({"seed": 7}, {"data.synthetic.seed": 7}, False),
    ],
)
def test_who_was_trained_on_is_known(then, now, known):
    saved, config = (
        load_config("synthetic_many", [f"{k}={v}" for k, v in fields.items()])
        for fields in (then, now)
    )
    assert knows_held_out(saved, config) == known
    if "none" not in (saved.data.validation, config.data.validation) and (
        saved.data.synthetic.seed == config.data.synthetic.seed
    ):
        trained, held_out = (people_of(of)[n] for n, of in enumerate((saved, config)))
        assert bool(trained & held_out) == known


def people_of(config):
    """The people trained on and those held out, of 80."""
    people = np.arange(80, dtype=np.int32)
    split = Split(*[people] * 3, tuple(map(str, people)), people, source=None)
    fraction = config.data.validation_fraction
    parts = hold_out_identities(split, fraction, config.seed)
    return [{*part.names} for part in parts]


def test_a_run_whose_people_held_out_are_known_warns(small, source, capsys):
    config, _, mesh = small
    config.model.initial = str(source.path)
    config.data.validation = "held_out"
    config.seed += 1
    load(config, mesh)
    assert f"warning: {source.path} was trained on people who are held out now" in (
        capsys.readouterr().out
    )
    config.data.validation = "none"
    load(config, mesh)
    assert "warning" not in capsys.readouterr().out


def test_an_export_of_half_precision_and_relative_paths(
    small, source, tmp_path, monkeypatch
):
    config, _, mesh = small
    network = source.load(mesh)
    folder = tmp_path / "export"
    folder.mkdir()
    write_weights(network.variables, folder, half=True)
    write_config(network, folder, branches=(), half=True)
    monkeypatch.chdir(tmp_path)
    config.model.initial = "export"
    found, sources = load(config, mesh)
    expected = flatten_dict(rounded(network.variables))
    assert {*expected} - {*found} == {("params", "global_head", "classifier", "kernel")}
    for path, value in found.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, expected[path])
    assert {*sources.values()} == {f"export, step {network.step}"}


@pytest.fixture
def three(small_data, tmp_path):
    """A config of three branches and their modules, and an untrained run of it."""
    root, dataset = small_data
    config = tiny.tiny_config(root)
    tiny.set_backbones(config, name=tiny.ONE_BLOCK)
    with in_a_hurry():
        small_run.save_untrained(config, dataset, tmp_path / "three")
    return config, tmp_path / "three"


@pytest.mark.usefixtures("small")
def test_branches_and_modules_that_are_new_start_anew(three, source, capsys):
    config, folder = three
    mesh = small_run.one_device()
    config.model.initial = str(source.path)  # has the global branch alone
    found, sources = load(config, mesh)
    assert {*sources} == {"global_backbone", "global_head"}
    anew = (
        "anew: the classifiers, balance_weights, clothing_unrelated_backbone, "
        "clothing_unrelated_head, cross_fusion, feature_attention, "
        "knowledge_transfer, mask_backbone, mask_head\n"
    )
    printed = capsys.readouterr().out
    names = printed[printed.index("anew: ") :].splitlines()[0].split(", ")
    assert sorted(names) == sorted(anew.removesuffix("\n").split(", "))
    # Of two branches, a balance of three is no use.
    config.model.initial = str(folder)
    config.model.branches = ("global", "clothing_unrelated")
    found, sources = load(config, mesh)
    assert "balance_weights" not in sources and "feature_attention" in sources
    assert "balance_weights" in capsys.readouterr().out
    config.model.branches = ("global", "clothing_unrelated", "mask")
    found, sources = load(config, mesh)
    assert "balance_weights" in sources and len(sources) == 10
    assert "anew: the classifiers\n" in capsys.readouterr().out
    # A pooling with a parameter of its own.
    config.model.pooling = "gem"
    with pytest.raises(ValueError, match="bnneck"):  # max_avg is twice as wide
        load(config, mesh)
    assert not any(map(is_head, found))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"model.backbones.global.width": 8, "model.pooling": "avg"},
            ValueError,
            r"global_backbone/.*: \(.*\) -> \(.*(\n.*)+Fields that differ, as they are "
            r"there: model\.backbones\.global\.width=4, model\.pooling='max_avg'$",
        ),
        (
            {"model.backbones.global.name": "resnet10"},
            ValueError,
            r"global_backbone/layer2_0/.*: None -> \(.*(\n.*)+"
            r"model\.backbones\.global\.name='one block'",
        ),
        (
            {"model.branches": ("mask",)},
            ValueError,
            r"none of this run's backbones; its model\.branches=\('global',\)",
        ),
        (
            {"model.initial": "./gone"},
            (ValueError, FileNotFoundError),
            r"^model\.initial='\./gone': ",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(small, source, changes, kind, message):
    config, _, mesh = small
    config.model.initial = str(source.path)
    with config.unlocked(), config.ignore_type():
        config.update_from_flattened_dict(changes)
    with pytest.raises(kind, match=message) as error:
        load(config, mesh)
    assert str(error.value).startswith("model.initial=")
