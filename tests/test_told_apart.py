"""Pairs of an evaluation: calibrated on validation persons, judged on test persons."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset, Split, Validation
from mbnet_jax.data.protocols import Protocol
from mbnet_jax.evaluation import calibrate
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.verification import content_of, told_apart
from mbnet_jax.evaluation.verification_table import described, pairs_text
from mbnet_jax.report.verification import pairs_of
from mbnet_jax.runs.calibration_file import read_calibrations
from mbnet_jax.runs.metrics_file import read_metrics

PROTOCOLS = (Protocol("all_pairs", "query", "gallery", "any"),)
ROW = {"mAP": 0.5, "rank1": 0.5}


def people(seed, first, count=12, each=10):
    """Images of `count` people, in two cameras: their split, and embeddings."""
    rng = np.random.default_rng(seed)
    pid = np.repeat(np.arange(first, first + count), each).astype(np.int32)
    camera = np.arange(len(pid), dtype=np.int32) % 2
    names = tuple(f"{seed}-{i}.jpg" for i in range(len(pid)))
    source = [{"parsing": b""}] * len(pid)
    split = Split(pid, camera, camera * 0, names, np.arange(len(pid)), source)
    centres = rng.normal(size=(count, 8))
    rows = centres[pid - first] + rng.normal(scale=0.6, size=(len(pid), 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return split, {"global": rows.astype(np.float32)}


@pytest.fixture
def evaluation(monkeypatch, tmp_path):
    """Arguments of `told_apart`; nothing is embedded."""
    held_out, rows = people(0, 0)
    even = np.arange(len(held_out)) % 2 == 0
    validation = Validation(
        held_out, np.flatnonzero(even), np.flatnonzero(~even), "any"
    )
    monkeypatch.setattr(calibrate, "embed_split", lambda *_: rows)
    monkeypatch.setattr(calibrate, "Loader", lambda *_, **__: None)
    embedded = {
        "query": Embedded(*people(1, 100)),
        "gallery": Embedded(*people(1, 100)),
    }
    test = {name: each.split for name, each in embedded.items()}
    fields = {"branches": ("global",), "flip": True, "batch_size": 4, "draw_seed": 0}
    config = ConfigDict({"data": {}, "eval": fields | {"false_accept_rate": 0.01}})
    model = SimpleNamespace(branches=("global", "mask"))
    network = SimpleNamespace(model=model, variables={}, step=7)
    run = SimpleNamespace(
        path=tmp_path, calibrations=lambda step: read_calibrations(tmp_path, step)
    )
    return {
        "test": SimpleNamespace(config=config, foreign=False, dataset="made up"),
        "network": network,
        "embed": None,
        "dataset": Dataset(held_out, validation, test, PROTOCOLS),
        "protocols": PROTOCOLS,
        "embedded": embedded,
        "run": run,
        "mesh": None,
    }


def test_the_threshold_is_that_of_validation_and_its_rates_those_of_test(evaluation):
    verified, notes = told_apart(**evaluation)
    found = verified["all_pairs"]
    assert not notes and found.embedding == "global"
    calibration = found.calibration
    # By hand, over all pairs.
    validation, rows = people(0, 0)
    similarity = rows["global"][::2] @ rows["global"][1::2].T
    same = validation.pid[::2, None] == validation.pid[1::2]
    assert (calibration.true, calibration.false) == (same.sum(), (~same).sum())
    accepted = similarity >= calibration.threshold
    allowed = int(0.01 * calibration.false)
    assert accepted[~same].sum() == allowed
    test, rows = people(1, 100)
    similarity = rows["global"] @ rows["global"].T
    same = test.pid[:, None] == test.pid
    accepted = similarity >= calibration.threshold
    assert found.chosen.true_accept == pytest.approx(accepted[same].mean(), abs=1e-3)
    assert found.chosen.false_accept == pytest.approx(accepted[~same].mean(), abs=1e-3)
    assert found.reliability.error < 0.1
    assert read_calibrations(evaluation["run"].path, 7) == [calibration]


def test_other_people_take_the_calibration_of_the_run(evaluation):
    told_apart(**evaluation)
    evaluation["test"].foreign = True
    found = told_apart(**evaluation)[0]["all_pairs"]
    assert found.calibration.dataset == "made up" and found.chosen
    evaluation["test"].config.eval.flip = False  # another embedding
    found = told_apart(**evaluation)[0]["all_pairs"]
    assert found.calibration is found.chosen is found.reliability is None
    evaluation["test"].config.eval.false_accept_rate = 0
    assert told_apart(**evaluation) == ({}, [])


def test_without_maps_of_the_people_for_validation_a_note_says_so(evaluation):
    evaluation["test"].config.eval.branches = ("mask",)
    for each in evaluation["embedded"].values():
        each.embeddings["mask"] = each.embeddings.pop("global")
    verified, notes = told_apart(**evaluation)
    assert "no parsing maps" in notes[0] and verified["all_pairs"].chosen is None


def test_table_metrics_and_page_say_the_same(evaluation, tmp_path):
    verified, _ = told_apart(**evaluation)
    text = pairs_text(verified)
    assert "TPR at FPR" in text and "\nall-pairs | " in text
    share = f"{100 * verified['all_pairs'].chosen.true_accept:.1f}"
    assert share in text
    protocol = PROTOCOLS[0]._asdict() | {"queries": 3}
    content = {
        "step": 7,
        "results": {"all_pairs": {"global": ROW, "chance": ROW}},
        "protocols": {"all_pairs": protocol},
        "verification": content_of(verified),
    }
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(content))
    assert described(read_metrics(path)["verification"]) == text
    page = pairs_of(verified)
    assert share in page["rows"][0]["cells"] and page["reliability"]
    assert page["roc"].startswith("<svg") and "nan" not in page["roc"].lower()
    assert len(page["roc"]) < 100_000 and "mathdefault" not in page["roc"]
    assert ">0.01<" in page["roc"]  # a label of the logarithmic axis
    content["verification"]["all_pairs"]["at_rates"]["0.1"] = 0.5
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"metrics.json is damaged .*0\.1 is no object"
    ):
        read_metrics(path)


def test_nothing_is_drawn_without_pairs_of_both_kinds(evaluation):
    query = evaluation["embedded"]["query"]
    apart = Split(query.split.pid + 1000, *[query.split.camera] * 2, *[
        getattr(query.split, field) for field in ("names", "positions", "source")
    ])  # fmt: skip
    evaluation["embedded"]["query"] = Embedded(apart, query.embeddings)
    verified, _ = told_apart(**evaluation)
    assert pairs_of(verified) is None and pairs_of({}) is None
    assert "-" in pairs_text(verified)
