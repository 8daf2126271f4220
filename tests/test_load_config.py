"""Configs by name, and overrides on the command line and from Python."""

import importlib

import pytest
from absl import flags
from ml_collections import config_flags

import mbnet_jax
from mbnet_jax import configs
from mbnet_jax.config import cause, flat, load_config, parsable
from mbnet_jax.models import BRANCHES

SHIPPED = ["ltcc", "manifest", "prcc", "synthetic", "synthetic_large", "vc_clothes"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (
            "--config.model.backbones.global.name=resnet18",
            '--config.model.backbones["global"].name=resnet18',
        ),
        # As two arguments.
        (
            "-config.model.backbones.global.name",
            '-config.model.backbones["global"].name',
        ),
        ("--config.views.class=(1, 2)", '--config.views["class"]=(1, 2)'),
        ("--config.is.in.a=1", '--config["is"]["in"].a=1'),
        # No keywords.
        ("--config.model.backbones.mask.name=a", None),
        ("--config.model.backbones.globals.name=a", None),
        ("--config.eval.ranks=(1, 5)", None),
        # Values, other flags, and already quoted names.
        ("--config.data.root=/data/x.global.y", None),
        ("--config=configs.global.py", None),
        ("--workdir=runs/config.global.a", None),
        ('--config.model.backbones["global"].name=a', None),
    ],
)
def test_keywords_in_names_are_quoted(argument, expected):
    assert parsable(["train.py", argument]) == ["train.py", expected or argument]


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("separate", [False, True])
def test_the_backbone_of_each_branch_can_be_overridden(branch, separate):
    name = f"--config.model.backbones.{branch}.width"
    override = [name, "8"] if separate else [f"{name}=8"]
    argv = parsable(["", f"--config={configs.find('prcc')}", *override])
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    assert values(argv) == [""]
    before, after = flat(load_config("prcc")), flat(values.config)
    changed = {field for field in after if before[field] != after[field]}
    assert changed == {f"model.backbones.{branch}.width"}
    assert after[f"model.backbones.{branch}.width"] == 8


def test_the_names_are_those_of_the_configs_that_can_be_run():
    assert configs.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_config_is_found_by_its_name(name):
    module = importlib.import_module(f"mbnet_jax.configs.{name}")
    assert str(configs.find(name)) == module.__file__
    config = mbnet_jax.load_config(name)
    assert config.name == name
    expected = module.get_config().copy_and_resolve_references()
    assert flat(config) == flat(expected)


def test_a_file_is_preferred_to_the_name_of_a_config(tmp_path, monkeypatch):
    file = tmp_path / "prcc"
    file.write_text("")
    monkeypatch.chdir(tmp_path)
    assert configs.find("prcc").resolve() == file


@pytest.mark.parametrize("name", ["prc", "base", "configs/prc.py", ""])
def test_an_unknown_name_lists_the_configs(name):
    message = rf"file not found: {name}; give a file, or one of {', '.join(SHIPPED)}"
    for find in (configs.find, load_config):
        with pytest.raises(ValueError, match=message):
            find(name)


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("model.backbones.global.wdth=8", "config.model.backbones.global.width"),
        ("model.backbones.golbal.width=8", "config.model.backbones.global.width"),
        ("view.crops=(8, 8)", "config.views.crops"),
        ("model.pretrained=", "config.model."),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest_ones(override, nearest):
    field = override.partition("=")[0]
    message = rf"^unknown key config\.{field}; nearest known: .*{nearest}"
    with pytest.raises(ValueError, match=message):
        load_config("synthetic", [override])


@pytest.mark.parametrize(
    "override", ["train.epochs=many", "model.backbones.global.width=wide"]
)
def test_a_value_that_does_not_fit_names_its_field(override):
    field, _, value = override.partition("=")
    with pytest.raises(ValueError, match=value) as error:
        load_config("synthetic", [override])
    assert field.rpartition(".")[2] in str(error.value)


def test_other_errors_have_no_cause():
    argv = ["", f"--config={configs.find('synthetic')}", "--config.train.epochs=many"]
    assert cause(argv) is None
    assert cause(["train.py", "--workdir=x"]) is None
