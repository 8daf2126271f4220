"""How far a network leans on camera and background: the measures, and a run."""

import json
import re
import shutil
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from benchmarks.leaning import __main__ as leaning
from benchmarks.leaning.background import (
    choose_donors,
    cosine_with,
    cosines_between,
    paste,
    share_of_own_camera,
)
from benchmarks.leaning.camera import (
    as_many_removed,
    centred,
    mean_precision,
    other_cameras,
    own_camera,
)
from benchmarks.leaning.images import Images, images_of
from benchmarks.leaning.measure import AS_IT_IS, measure
from mbnet_jax.data import Split, read_records
from mbnet_jax.data.loader import Loader
from mbnet_jax.evaluation.embed import embed_split
from mbnet_jax.evaluation.measure import Embedded, judge
from mbnet_jax.evaluation.protocols import TEST
from mbnet_jax.models.heads import l2_normalize
from mbnet_jax.retrieval import Labels, ranked_lists, retrieval_metrics
from mbnet_jax.sharding import make_mesh
from mbnet_jax.trained import Trained

PEOPLE, CAMERAS, CLOTHES = 16, 3, 2


def every_combination() -> Labels:
    """Each person at each camera in each of its clothes."""
    grid = np.indices((PEOPLE, CAMERAS, CLOTHES)).reshape(3, -1)
    pid, camera, clothes = grid
    return Labels(pid, camera, clothes + CLOTHES * pid)


LABELS = every_combination()


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_rows(seed: int = 0, width: int = 8) -> np.ndarray:
    shape = (len(LABELS.pid), width)
    return unit(np.random.default_rng(seed).normal(size=shape))


def ranked(rows: np.ndarray, rule: str):
    return ranked_lists(rows, LABELS, rows, LABELS, rule=rule, k=len(rows))


def test_whoever_sees_only_cameras_leans_all_the_way():
    found = own_camera(ranked(np.eye(CAMERAS)[LABELS.camera], "any"), LABELS, LABELS)
    assert found == {
        "nearest": 1,
        "all": pytest.approx(1 / CAMERAS),
        "ratio": pytest.approx(CAMERAS),
        "auc": 1,
    }


def test_whoever_sees_only_people_does_not_lean():
    people = np.random.default_rng(0).normal(size=(PEOPLE, 8))
    # Of whole people, each at every camera, the nearest images are a multiple of 3.
    found = own_camera(ranked(unit(people)[LABELS.pid], "any"), LABELS, LABELS)
    assert found["auc"] == pytest.approx(0.5, abs=1e-6)
    assert found["ratio"] == pytest.approx(1, abs=0.25)


def test_a_camera_that_repels_is_below_one_half():
    opposite = np.array([[1.0, 0], [-0.5, 0.8], [-0.5, -0.8]])
    query = Labels(*(values[LABELS.camera == 0] for values in LABELS))
    lists = ranked_lists(
        -opposite[query.camera],
        query,
        opposite[LABELS.camera],
        LABELS,
        rule="any",
        k=96,
    )
    found = own_camera(lists, query, LABELS)
    assert found["auc"] == 0 and found["nearest"] == 0


def test_what_the_own_camera_did_not_take_is_not_judged():
    gallery = LABELS._replace(camera=LABELS.camera + CAMERAS)
    rows = random_rows()
    lists = ranked_lists(rows, LABELS, rows, gallery, rule="any", k=len(rows))
    found = own_camera(lists, LABELS, gallery)
    assert found["nearest"] == found["all"] == 0
    assert np.isnan(found["ratio"]) and np.isnan(found["auc"])


def test_centring_removes_what_is_added_for_each_camera():
    rows = random_rows()
    added = 3 * np.random.default_rng(1).normal(size=(CAMERAS, rows.shape[1]))
    leaning_rows = rows + added[LABELS.camera]
    assert own_camera(ranked(leaning_rows, "any"), LABELS, LABELS)["auc"] > 0.9
    without = centred(leaning_rows, LABELS.camera)
    np.testing.assert_allclose(without, centred(rows, LABELS.camera), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(without, axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match=r"camera 1 .* mean of all its"):
        centred(rows[:2], np.array([1, 2]))


@pytest.mark.parametrize("rule", ["general", "clothes_changing"])
def test_precision_in_cut_galleries_is_that_of_the_metrics(rule):
    rows = random_rows()
    lists = ranked(rows, rule)

    def expected(query, kept):
        parts = [
            (rows[places], Labels(*(values[places] for values in LABELS)))
            for places in (query, kept)
        ]
        return retrieval_metrics(*parts[0], *parts[1], rule=rule).average_precision

    everyone = np.arange(len(rows))
    whole = mean_precision(lists, np.ones((len(rows), len(rows)), bool))
    assert whole == pytest.approx(expected(everyone, everyone).mean())
    cut = mean_precision(lists, other_cameras(LABELS, LABELS))
    by_camera = [
        expected(*(np.flatnonzero(chosen) for chosen in (at, ~at)))
        for at in (LABELS.camera == camera for camera in range(CAMERAS))
    ]
    assert cut == pytest.approx(np.concatenate(by_camera).mean())
    assert cut > whole  # there are fewer to be wrong


def test_the_control_removes_as_many_and_none_of_the_person():
    kept = as_many_removed(LABELS, LABELS, np.random.default_rng(0))
    own = LABELS.pid[:, None] == LABELS.pid
    assert kept[own].all()
    assert ((~kept).sum(axis=1) == (PEOPLE - 1) * CLOTHES).all()
    cameras = np.broadcast_to(LABELS.camera, kept.shape)[~kept]
    share = np.bincount(cameras) / len(cameras)
    np.testing.assert_allclose(share, 1 / CAMERAS, atol=0.05)
    again = as_many_removed(LABELS, LABELS, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, again)


def pictures() -> tuple[np.ndarray, ...]:
    """An image and a donor, with their maps; the donor's person is all 255."""
    rng = np.random.default_rng(0)
    image, donor = rng.integers(0, 200, (2, tiny.HEIGHT, tiny.WIDTH, 3), np.uint8)
    parsing = tiny.person()
    donor_map = np.roll(tiny.person(head=4), 6, axis=1)
    donor_map[40] = 1  # a row without background
    donor[donor_map > 0] = 255
    return image, parsing, donor, donor_map


def test_pasting_changes_the_background_alone():
    image, parsing, donor, donor_map = pictures()
    pasted = paste(image, parsing, donor, donor_map)
    person, free = parsing > 0, donor_map == 0
    np.testing.assert_array_equal(pasted[person], image[person])
    taken = ~person & free
    np.testing.assert_array_equal(pasted[taken], donor[taken])
    hidden = ~person & ~free
    assert (
        hidden.any() and pasted[~person].max() < 200
    )  # no pixel of the donor's person
    for row in np.flatnonzero(hidden.any(axis=1)):
        seen = donor[row][free[row]] if free[row].any() else donor[free]
        colours = pasted[row][hidden[row]]
        np.testing.assert_allclose(
            colours, np.broadcast_to(seen.mean(axis=0), colours.shape), atol=0.501
        )


def test_pasting_leaves_what_it_cannot_exchange():
    image, parsing, donor, donor_map = pictures()
    nobody = np.zeros_like(parsing)
    np.testing.assert_array_equal(paste(image, nobody, donor, donor_map), image)
    np.testing.assert_array_equal(paste(image, parsing, donor, nobody + 1), image)


@pytest.mark.parametrize("same", [True, False])
def test_donors_are_others_of_the_camera_asked_for(same):
    donors = choose_donors(LABELS, same, np.random.default_rng(0))
    assert (LABELS.pid[donors] != LABELS.pid).all()
    assert ((LABELS.camera[donors] == LABELS.camera) == same).all()
    assert len(np.unique(donors)) > 40  # not always the same ones
    again = choose_donors(LABELS, same, np.random.default_rng(0))
    np.testing.assert_array_equal(donors, again)
    alone = Labels(*(values[LABELS.pid == 3] for values in LABELS))
    with pytest.raises(ValueError, match=r"camera 0 .* took person 3, and .* nobody"):
        choose_donors(alone, same, np.random.default_rng(0))


def test_own_camera_has_its_share_of_others():
    np.testing.assert_allclose(share_of_own_camera(LABELS), 1 / CAMERAS)


def test_mean_cosines_are_those_of_the_pairs():
    rows = random_rows()
    product = rows @ rows.T
    person, camera, clothes = (values[:, None] == values for values in LABELS)
    pairs = {
        "changed": person & ~clothes & ~camera,
        "other_same_camera": ~person & camera,
        "other_other_camera": ~person & ~camera,
    }
    expected = {name: product[kind].mean() for name, kind in pairs.items()}
    assert cosines_between(rows, LABELS) == pytest.approx(expected, abs=1e-6)
    unknown = LABELS._replace(clothes=np.full_like(LABELS.clothes, -1))
    assert np.isnan(cosines_between(rows, unknown)["changed"])
    # Image i with image i - 1.
    expected = product[np.arange(len(rows)), np.arange(len(rows)) - 1].mean()
    found = cosine_with(rows, np.roll(rows, 1, axis=0))
    assert found == pytest.approx(expected, abs=1e-6)


def network(sees: str):
    """One whose embedding is the mean colour of the background, or of the person."""

    @jax.jit
    def program(variables, image, parsing):
        area = ((parsing == 0) == (sees == "background"))[..., None]
        colour = (image / 255 * area).sum((1, 2)) / area.sum((1, 2))
        return {"global": l2_normalize(colour - 0.5)}

    return Trained(tiny.tiny_config("data"), None, {}, 1), program


@pytest.fixture
def coloured(monkeypatch):
    """Each camera has a background of its colour, each person is of another colour."""
    count = len(LABELS.pid)
    labels = (np.int32(values) for values in LABELS)
    split = Split(*labels, ("",) * count, np.arange(count), None)
    splits = {"gallery": split, "query": split}
    images = Images(tiny.tiny_config("data").data, splits, TEST["synthetic"], [])
    labels = images.labels
    people = unit(np.random.default_rng(0).normal(size=(PEOPLE, 3)))

    def read(self, place):
        parsing = tiny.person()
        colours = people[labels.pid[place]], np.eye(CAMERAS)[labels.camera[place]]
        person, background = 128 + 100 * np.array(colours)
        noise = np.random.default_rng(place).normal(scale=5, size=3)
        image = np.where((parsing > 0)[..., None], person, background) + noise
        return image.clip(0, 255).astype(np.uint8), parsing

    monkeypatch.setattr(Images, "read", read)
    return images


def test_a_network_that_sees_only_the_background_leans_on_it(coloured):
    found = measure(*network("background"), coloured, seed=0)
    cosines = found["cosines"]["global",]
    assert cosines["own"] > 0.97 and cosines["another"] < 0.2
    aucs = [values["auc"] for values in found["neighbours"].values()]
    # On any background, that of the person's camera is chance.
    assert aucs == pytest.approx([1, 1, 0.5, 1], abs=0.05)
    for protocol in coloured.protocols:
        row = "global", protocol.title
        pasted, camera = found["background"][row], found["camera"][row]
        # True matches are from other cameras, so none of them has a like background.
        assert pasted["own"] == pytest.approx(pasted[AS_IT_IS], abs=0.01)
        assert pasted["difference"] == pasted["any"] - pasted["own"] > 0.02
        assert (
            camera["difference"] == camera["other cameras"] - camera["control"] > 0.02
        )
        assert camera["centred"] > 1.3 * camera[AS_IT_IS]


def test_a_network_that_sees_only_the_person_does_not_lean(coloured):
    found = measure(*network("person"), coloured, seed=0)
    cosines = found["cosines"]["global",]
    assert min(cosines["own"], cosines["another"]) > 1 - 1e-6
    aucs = [values["auc"] for values in found["neighbours"].values()]
    assert aucs == pytest.approx([0.5] * 4, abs=0.02)
    for row in found["background"]:
        pasted = found["background"][row]
        assert len({pasted[key] for key in (AS_IT_IS, "own", "another", "any")}) == 1
        assert pasted["difference"] == 0
        assert abs(found["camera"][row]["difference"]) < 0.01


@pytest.fixture(scope="module")
def runs(whole, one_block, tmp_path_factory):
    """Two folders of one network, as if of two seeds; its data is elsewhere."""
    folders = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp("leaning") / str(seed)
        shutil.copytree(whole[0], folder)
        change(folder, seed=seed)
        folders.append(folder)
    return folders


def change(folder, **fields):
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["config"] |= fields
    content["config"]["data"]["root"] = str(folder / "gone")
    path.write_text(json.dumps(content))


def called(monkeypatch, *arguments) -> str | int | None:
    """The command in this process; its exit code or message."""
    monkeypatch.setattr(sys, "argv", ["leaning", *map(str, arguments)])
    try:
        leaning.main()
    except SystemExit as end:
        return end.code


def test_runs_are_measured_and_averaged(runs, small_data, monkeypatch, capsys):
    seen = []

    def kept(trained, program, images, seed):
        seen.append((trained, program, images, measure(trained, program, images, seed)))
        return seen[-1][-1]

    monkeypatch.setattr(leaning, "measure", kept)
    assert called(monkeypatch, *runs, "--data-root", small_data[0]) is None
    printed = capsys.readouterr().out
    trained, program, images, found = seen[0]
    # The same network; what is drawn follows from the run's seed too.
    assert found == measure(trained, program, images, seed=0)
    other = seen[1][-1]
    assert found["cosines"]["global",]["own"] != other["cosines"]["global",]["own"]
    loader = Loader(images.data, make_mesh())
    embedded = {
        name: Embedded(split, embed_split(program, trained.variables, split, loader, 8))
        for name, split in small_data[1].test.items()
    }
    for protocol in images.protocols:
        tested = judge(embedded, protocol, ranks=(1,), seed=0).values["global"]["mAP"]
        for table in ("camera", "background"):
            value = found[table]["global", protocol.title][AS_IT_IS]
            assert value == pytest.approx(tested, abs=1e-6)
    cosines = found["cosines"]["global",]
    assert -1 < cosines["own"] < 1 and -1 < cosines["another"] < 1
    assert cosines["own"] != cosines["another"]

    assert re.search(r"Dataset synthetic, fingerprint `\w{16}`", printed)
    tables = [block for block in printed.split("\n\n") if block.startswith("| run")]
    assert [len(table.splitlines()) - 2 for table in tables] == [4, 3, 1, 3]
    assert all(len({row.count("|") for row in t.splitlines()}) == 1 for t in tables)
    share = 100 * found["neighbours"]["global", AS_IT_IS]["nearest"]
    assert f"| 2 | global branch | as it is | {share:.1f} ± 0.0 |" in tables[0]
    same, drawn = (of["cosines"]["global",]["own"] for of in (found, other))
    mean, deviation = (same + drawn) / 2, abs(same - drawn) / 2**0.5
    assert f"| 2 | global branch | {mean:.3f} ± {deviation:.3f} |" in tables[2]


def test_what_cannot_be_measured_ends_in_one_line(
    runs, small_data, tmp_path, monkeypatch
):
    def fail(*_):
        raise AssertionError("nothing was to be measured")

    monkeypatch.setattr(leaning, "measure", fail)
    root = "--data-root", small_data[0]
    assert "holds no run" in called(monkeypatch, tmp_path, *root)
    assert "--seed=-1" in called(monkeypatch, runs[0], *root, "--seed=-1")
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    message = called(monkeypatch, runs[0], copy, *root)
    assert message.startswith("error: ") and "of one config and one seed" in message

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaning, "fingerprint", lambda config: f"f{config.seed}")
        assert "different data (f1, f2)" in called(monkeypatch, *runs, *root)
    monkeypatch.setattr(
        "benchmarks.leaning.images.read_records",
        lambda *folder: {
            split: [row._replace(parsing_path=None) for row in rows]
            for split, rows in read_records(*folder).items()
        },
    )
    message = called(monkeypatch, runs[0], *root)
    assert "16 of 16 test images have no parsing map" in message
    assert "mbnet_jax.data.parse" in message


def test_without_camera_labels_there_is_nothing_to_measure(small_data):
    root, dataset = small_data
    test = {
        name: replace(split, camera=np.full_like(split.camera, -1))
        for name, split in dataset.test.items()
    }
    with pytest.raises(ValueError, match="does not tell which camera"):
        images_of(tiny.tiny_config(root), replace(dataset, test=test))
