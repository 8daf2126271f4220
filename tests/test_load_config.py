"""Configs by name, and overrides on the command line and from Python."""

import importlib
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mbnet_jax
from mbnet_jax import configs, suggestions
from mbnet_jax.config import check_config, flat, load_config, read_config
from mbnet_jax.configs import base, synthetic
from mbnet_jax.models import BRANCHES
from mbnet_jax.overrides import override

SHIPPED = [
    "ccvid",
    "celeb_reid",
    "celeb_reid_light",
    "cuhk03",
    "deepchange",
    "last",
    "ltcc",
    "ltcc_eva02",
    "manifest",
    "market1501",
    "mevid",
    "msmt17",
    "nkup",
    "prcc",
    "prcc_eva02",
    "synthetic",
    "synthetic_b",
    "synthetic_eva02",
    "synthetic_large",
    "synthetic_many",
    "synthetic_two",
    "synthetic_unseen",
    "vc_clothes",
    "vc_clothes_eva02",
]


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("quoted", [False, True])
def test_the_backbone_of_each_branch_can_be_overridden(branch, quoted):
    section = f'backbones["{branch}"]' if quoted else f"backbones.{branch}"
    before = flat(load_config("prcc"))
    after = flat(load_config("prcc", [f"model.{section}.last_stride=2"]))
    changed = {field for field in after if before[field] != after[field]}
    assert changed == {f"model.backbones.{branch}.last_stride"}
    assert after[f"model.backbones.{branch}.last_stride"] == 2


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


@pytest.mark.parametrize(
    ("name", "shown"), [("prc", "prc"), ("base", "base"), ("a/b.py",) * 2, ("", "''")]
)
def test_an_unknown_name_lists_the_configs(name, shown):
    message = rf"file not found: {shown}; give a file, or one of {', '.join(SHIPPED)}"
    for find in (configs.find, load_config):
        with pytest.raises(ValueError, match=message):
            find(name)


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("model.backbones.global.wdth=8", "model.backbones.global.width=8"),
        ("model.backbones.golbal.width=8", "model.backbones.global.width=8"),
        ("view.crops=(8, 8)", "views.crops='(8, 8)'"),
        ("train.batch_sise=8", "train.batch_size=8"),
        ("train.batch-size=8", "train.batch_size=8"),
        ("batch_size=8", "train.batch_size=8 or F.eval.batch_size=8"),
        ("eval.bs=8", "eval.batch_size=8"),
        ("train.flip=0", "augment.flip=0 or F.eval.flip=0"),
        ("train.lr=1e-3", "train.learning_rate=1e-3"),
        ("LR=1e-3", "train.learning_rate=1e-3"),
        ("data.wd=0", "train.weight_decay=0"),
        ("train.num_epochs=2", "train.epochs=2"),
        ("workers=4", "data.threads=4"),
        ("model.img_size=(64, 32)", "data.height=64 F.data.width=32"),
        ("resolution=256", "data.height=256 F.data.width=256"),
        ("amp=true", "model.dtype=bfloat16"),
        ("margin=0.5", "loss.margin=0.5"),
        ("model.backbone=resnet18", "model.backbones.global.name=resnet18"),
        ("trian.epochs=", "train.epochs"),
        ("train.lr=" + "9" * 50, "train.learning_rate=VALUE"),
    ],
)
def test_what_was_meant_by_an_unknown_field_is_ready_to_paste(override, meant):
    name, _, value = override.partition("=")
    for flag in ("", "--config."):
        with pytest.raises(ValueError) as error:
            read_config("synthetic", [(name, value)], flag)
        expected = f"{name} is unknown; write F.{meant}"
        assert str(error.value) == expected.replace("F.", flag)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out_dir", "the folder of the run is --workdir DIR"),
        ("train.gpus", "all devices that jax sees are used; CUDA_VISIBLE_DEVICES=0 "),
        ("resume", "the same command, with the same --workdir, resumes a run"),
        ("zzz", "nearest known: "),
    ],
)
def test_what_is_no_field_is_explained(name, message):
    with pytest.raises(ValueError, match=f"^{name} is unknown; {message}"):
        load_config("synthetic", [f"{name}=1"])


def test_every_suggestion_is_a_field_with_values_that_it_may_have():
    fields = flat(base.FIELDS)
    for field in suggestions._FIELDS.values():
        for name, _, value in (part.partition("=") for part in field.split()):
            assert name in fields
            assert not value or fields[name].accepts(value)
    assert not {*suggestions._FIELDS} & {*suggestions._SENTENCES}


def test_fields_that_follow_an_overridden_one_change_with_it():
    config = load_config("synthetic", ["data.height=96", "data.width=32"])
    assert (config.data.synthetic.height, config.data.synthetic.width) == (96, 32)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train.epochs=007", 7),
        ("seed=1_000", 1000),
        ("loss.ktm_area=0", 0.0),
        ("train.learning_rate=1e-3", 0.001),
        ("eval.flip=F", False),
        ("model.branches=mask", ("mask",)),
        ("model.branches=('global', 'mask')", ("global", "mask")),
        ("model.branches=['mask']", ("mask",)),
        ("eval.ranks=7", (7,)),
        ("eval.branches=()", ()),
        ("data.root=/a = b/(c", "/a = b/(c"),
        ("views.crops= (64, 32)", (64, 32)),
        ("views.silhouette=64,32", (64, 32)),
        ("views.silhouette=64, 32", (64, 32)),
        ("model.branches=global,mask", ("global", "mask")),
        ("model.branches=global,", ("global",)),
        ("model.branches='global','mask'", ("global", "mask")),
        ('model.branches="mask"', ("mask",)),
        ("eval.report_queries=1.jpg,a b.jpg", ("1.jpg", "a b.jpg")),
        ("eval.ranks=1,5", (1, 5)),
    ],
)
def test_values_are_read_as_their_field_has_them(text, value):
    field = text.partition("=")[0]
    found = flat(load_config("synthetic", [text]))[field]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs=many",
        "train.epochs=",
        "train.epochs=1e3",
        "train.epochs=2.0",
        "train.epochs=²",
        "train.epochs=-1",
        "seed=" + "9" * 5000,
        "seed=1000000000000",
        "model.backbones.global.width=wide",
        "train.learning_rate=nan",
        "train.learning_rate=1e999",
        "train.learning_rate=-0.1",
        "augment.flip=2",
        "eval.flip=maybe",
        "model.pooling=max",
        "eval.ranks=(1,",
        "eval.ranks=(1, 1)",
        "eval.ranks=()",
        "eval.ranks=(1, 'a')",
        "eval.ranks=" + "(" * 50_000,
        "eval.ranks={1: 2}",
        "views.crops=(128, 64, 3)",
        "views.crops=128",
        "views.crops=64x32",
        "model.branches=",
        "model.branches=global,,mask",
        "data.height=1000000000",
        "data.root=a\0b",
        "data.root=a\udcff",
        "data.root=a\nb",
        "data.root=" + "a" * 200_000,
    ],
)
def test_a_value_that_is_not_allowed_names_field_value_and_limits(override):
    field, _, value = override.partition("=")
    with pytest.raises(ValueError) as error:
        load_config("synthetic", [override])
    text = str(error.value)
    limits = flat(base.FIELDS)[field].allowed()
    assert text.removeprefix(f"{field}=").startswith((repr(value)[:30], value[:30]))
    text, _, example = text.partition("; for example ")
    assert text.endswith(limits)
    assert len(text) < 300 and "\n" not in text and text.isprintable()
    if field != "seed":  # every usual value is an example, but 0
        [example] = shlex.split(example)
        assert example.startswith(f"{field}=")
        assert load_config("synthetic", [example])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train=3", "^train='3' names a section; override one of its fields: train"),
        ("train.epochs.x=3", r"^train\.epochs\.x is unknown"),
        ("=3", "^'' is unknown"),
        ("..=3", r"^\.\. is unknown"),
        ("views.*=(8, 8)", r"^views\.\* is unknown"),
        ("views.other=(8, 8)", r"^views\.other is unknown"),
        ("data.\0=3", r"^'data\.\\x00' is unknown"),
        ("x" * 5000 + "=3", "^'xxxx.* is unknown"),
    ],
)
def test_what_is_no_field_is_refused(override, message):
    with pytest.raises(ValueError, match=message) as error:
        load_config("synthetic", [override])
    assert len(str(error.value)) < 500


def test_a_field_that_may_be_missing_can_be_overridden():
    field = "model.backbones.mask.norm_images"
    assert "norm_images" not in load_config("prcc").model.backbones.mask
    config = load_config("prcc", [f"{field}=8"])
    assert config.model.backbones.mask.norm_images == 8
    with pytest.raises(ValueError, match=f"{field}=-1 must be a whole number"):
        load_config("prcc", [f"{field}=-1"])


def test_a_field_of_another_config_is_refused():
    with pytest.raises(ValueError, match=r"^data\.synthetic\.seed is unknown"):
        load_config("prcc", ["data.synthetic.seed=1"])


@pytest.mark.parametrize("name", [None, 3, b"synthetic", ["synthetic"]])
def test_a_name_of_another_type_is_refused(name):
    with pytest.raises(ValueError, match=r"^config=.* must be a file, or one of ccvid"):
        load_config(name)


@pytest.mark.parametrize(
    "overrides", [None, 3, "seed=1", b"seed=1", [3], ["seed"], [b"seed=1"]]
)
def test_overrides_of_another_type_are_refused(overrides):
    with pytest.raises(ValueError, match=r"override.* must be a .*'FIELD=VALUE'"):
        load_config("synthetic", overrides)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["seed", "eval.ranks", "eval.flip", "name", "loss.cal", "views", ""]
    ),
    st.text(max_size=30) | st.from_regex(r"[-(\[]*[0-9.,e'_ ]{0,9}[)\]]*"),
)
def test_whatever_is_overridden_fits_or_is_refused(field, value):
    config = synthetic.get_config()
    try:
        override(config, [(field, value)])
    except ValueError as error:
        assert str(error).startswith(field)
        assert str(error).isprintable()
    else:
        check_config(config)
