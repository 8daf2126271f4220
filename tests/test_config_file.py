"""The JSON of runs and exports, damaged in every way: one sentence that names it."""

import copy
import json
import os

import pytest
import tiny

from mbnet_jax.runs import exported
from mbnet_jax.runs.checkpoints import check_which, parse_checkpoint
from mbnet_jax.runs.config_file import VERSION, read_config_file
from mbnet_jax.runs.load import load
from mbnet_jax.runs.metrics_file import read_metrics

GONE = object()


def run_content(tmp_path):
    config = tiny.tiny_config(tmp_path / "data").to_dict()
    sizes = {"num_classes": 5, "num_clothes": 0, "labels": "ab"}
    return {"version": VERSION, "config": config, **sizes}


def changed(content, path, value):
    content = copy.deepcopy(content)
    entry = content
    *sections, name = path.split("/")
    for section in sections:
        entry = entry[section]
    entry[name] = value
    if value is GONE:
        del entry[name]
    return content


@pytest.mark.parametrize("value", [GONE, None, "x", -1, True, 1.5, [], 10**30])
@pytest.mark.parametrize("name", ["num_classes", "num_clothes", "config"])
def test_an_entry_that_is_missing_or_mistyped_is_named(tmp_path, name, value):
    content = changed(run_content(tmp_path), name, value)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"{path} is damaged: {name}.*; restore a c"):
        read_config_file(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("seed", "x", "seed='x' must be"),
        ("seed", json.loads("[" * 400 + "]" * 400), "seed=.* must be"),
        ("model/backbones/global/width", -1, r"model\.backbones\.global\.width=-1 mus"),
        ("data/height", 10**6, r"data\.height=1000000 must be a whole number from 8"),
        ("model/dtype", "float64", r"model\.dtype='float64' must be one of"),
        ("model", None, "model=None must be a section"),
        ("train/epochs", GONE, r"train\.epochs is missing"),
        ("views/a.b", [64, 64], r"a\.b"),
    ],
)
def test_a_field_of_the_saved_config_is_checked_too(tmp_path, field, value, named):
    content = changed(run_content(tmp_path), f"config/{field}", value)
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"config\.json is damaged.*{named}"):
        read_config_file(tmp_path)


def cut(path):
    path.write_bytes(path.read_bytes()[:50])


DAMAGE = {
    "cut": cut,
    "empty": lambda path: path.write_text(""),
    "utf-16": lambda path: path.write_bytes(path.read_text().encode("utf-16")),
    "a list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "large": lambda path: path.write_bytes(b" " * (17 << 20)),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["run", "export", "metrics"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, kind, damage):
    path = tmp_path / "config.json"
    content = {"run": run_content, "export": export_content, "metrics": metrics}[kind]
    path.write_text(json.dumps(content(tmp_path)))
    DAMAGE[damage](path)
    read = read_metrics if kind == "metrics" else lambda path: load(path.parent, mesh())
    with pytest.raises(ValueError, match=rf"{path} (is|has) .*; (restore|evaluate)"):
        read(path)


def mesh():
    import jax

    from mbnet_jax.devices.mesh import make_mesh

    return make_mesh(jax.devices()[:1])


def export_content(tmp_path):
    content = {"kind": exported.KIND, "dtype": "float32", "step": 7, "programs": {}}
    content |= run_content(tmp_path) | {"version": exported.VERSION}
    content["config"]["data"]["root"] = ""
    return content


@pytest.mark.parametrize(
    ("entry", "value", "named"),
    [
        ("dtype", "float64", "dtype='float64' must be one of"),
        ("step", -1, "step=-1 must be"),
        ("num_classes", 10**30, "num_classes=10+ must be"),
        ("files", [], r"files=\[\] must be an object"),
        ("config", GONE, "config is missing"),
        ("config/seed", None, "its config: seed=None must be"),
        ("config/eval/branches", ["legs"], r"eval\.branches=\('legs',\) must be of"),
    ],
)
def test_an_untrusted_exports_entry_is_named(tmp_path, entry, value, named):
    content = changed(export_content(tmp_path), entry, value)
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"config\.json is damaged: {named}.*; expor"):
        load(tmp_path, mesh())


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "nope"), ("name", "")],
)
def test_a_network_that_is_unknown_here_is_refused_with_the_file(
    tmp_path, field, value
):
    content = changed(
        export_content(tmp_path), f"config/model/backbones/global/{field}", value
    )
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"config\.json (describes no|is damaged)"):
        load(tmp_path, mesh())


def metrics(_=None):
    entry = {"name": "general", "query": "q", "gallery": "g", "rule": "general"}
    entry |= {"cameras": [], "draws": 0, "paper": None, "queries": 3}
    return {
        "step": 30,
        "results": {"general": {"all": {"rank1": 0.25, "mAP": None}}},
        "protocols": {"general": entry},
    }


def test_metrics_without_a_number_are_nan(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(metrics()))
    assert str(read_metrics(path)["results"]["general"]["all"]["mAP"]) == "nan"


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *((name, value) for name in metrics() for value in (GONE, None, "x", [], {})),
        *(
            (f"protocols/general/{name}", value)
            for name in ("name", "rule", "cameras", "draws", "queries")
            for value in (GONE, None, -1, {})
        ),
        ("protocols/general", 5),
        ("protocols/general/paper", {"rank1": 0.5}),
        ("results/general", 5),
        ("results/general/all", []),
        ("results/general/all/mAP", "x"),
        ("results/general/all/mAP", 2),
        ("results/general/more", {"mAP": 0.5}),
        ("results/other", {"all": {"mAP": 0.5}}),
        ("results/general/all/```\n", 0.5),
    ],
)
def test_metrics_that_no_evaluation_writes_are_refused(tmp_path, entry, value):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(changed(metrics(), entry, value)))
    with pytest.raises(ValueError, match=rf"{path} is damaged.*; evaluate the run"):
        read_metrics(path)


@pytest.mark.parametrize("text", ["²", "-1", "", "last", "9" * 5000, "1_0", " 7", "٣"])
def test_a_checkpoint_that_is_no_step_is_refused(text):
    with pytest.raises(ValueError, match=r"--checkpoint='.*' must be 'best' or a step"):
        parse_checkpoint(text)
    assert (parse_checkpoint("best"), parse_checkpoint("12")) == ("best", 12)


@pytest.mark.parametrize(
    "which", [None, True, -1, 1.5, "x", "7", 2**31, [], (10**5000,)]
)
def test_a_checkpoint_of_another_type_is_refused(which):
    (which,) = which if isinstance(which, tuple) else (which,)
    with pytest.raises(ValueError, match=r"which=.* must be 'best', or a step"):
        check_which(which)


@pytest.mark.parametrize("source", [None, 5, b"x", [], True, ""])
def test_a_source_of_another_type_is_named(source):
    with pytest.raises(ValueError, match=r"source=.* must be the path of a folder"):
        load(source, mesh())


@pytest.mark.parametrize("other", [None, 3, "x", []])
def test_a_mesh_of_another_type_is_named(tmp_path, other):
    with pytest.raises(ValueError, match=r"mesh=.* must be a mesh of the axis 'data'"):
        load(tmp_path, other)
