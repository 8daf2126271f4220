"""Persons, cameras and outfits come back as the dataset writes them."""

import csv
import io

import layouts
import numpy as np
import pytest
import tiny
from embedded import split
from pages import Page

from mbnet_jax.config import load_config
from mbnet_jax.data import load_dataset, read_records
from mbnet_jax.data.builder import fingerprint
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.evaluation.results import evaluate_protocols, queries_csv
from mbnet_jax.report import lists, preview
from mbnet_jax.report.page import Images, render
from mbnet_jax.report.queries import query_cards
from mbnet_jax.report.scores import headline
from mbnet_jax.runs.run_folder import digest_labels

TESTED = ("Ana 65", "Óscar", "山田", "=1+1", "<b>7</b>", "-12", "\u0639\u0644\u064a")
CAMERAS = ("door", "Hof & Tür")
LONG = "x" * 5000


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config of photographs of nine people with odd names."""
    root = tmp_path_factory.mktemp("people")
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["path", "pid", "split", "camera", "clothes"])
    for place, person in enumerate([*TESTED, "Eva", LONG]):
        for shot, camera in enumerate(CAMERAS):
            path = f"{place}_{shot}.jpg"
            layouts.write_image(root / path, place)
            split = ("query", "gallery")[shot] if place < len(TESTED) else "train"
            rows.writerow([path, person, split, camera, f"outfit {shot}"])
    (root / "manifest.csv").write_text(table.getvalue(), encoding="utf-8")
    values = ["model.branches=('global',)", "loss.ktm_area=0.0", "data.validation=none"]
    values += [f"data.height={tiny.HEIGHT}", f"data.width={tiny.WIDTH}"]
    return load_config(
        "manifest", [f"data.root={root}", *values, "eval.report_lists=6"]
    )


@pytest.fixture(scope="module")
def dataset(config):
    return load_dataset(config)


@pytest.fixture(scope="module")
def evaluated(config, dataset):
    rows = np.eye(len(TESTED), dtype=np.float32)
    embedded = {n: Embedded(s, {"global": rows}) for n, s in dataset.test.items()}
    protocols, _ = usable_protocols(dataset.protocols, dataset.test)
    return protocols, embedded, evaluate_protocols(config, embedded, protocols)


def test_queries_csv_names_persons_and_holds_no_formula(evaluated):
    rows = csv.DictReader(io.StringIO(queries_csv(evaluated[2])))
    assert {row["person"] for row in rows} == {*TESTED, "'=1+1"} - {"=1+1"}


def test_the_report_shows_what_the_manifest_says(config, evaluated):
    protocols, embedded, results = evaluated
    images = Images()
    cards = query_cards(config, protocols, results, embedded, images)
    text = render(
        "report.html",
        **{name: [] for name in ("provenance", "config", "columns", "rows", "notes")},
        **{name: [] for name in ("cmcs", "similarities", "charts", "chart_notes")},
        **{name: [] for name in ("kinds", "main_protocols", "scales", "protocols")},
        **dict.fromkeys(("cameras", "pairs", "map")),
        title="Names",
        headline=headline(protocols[0], results[protocols[0].name]),
        similar_scales=[],
        draws=False,
        unit="images",
        embeddings=[("global", "global")],
        first=(protocols[0].name, "global"),
        cards=[card | {"attention": [], "similar": []} for card in cards],
        bar="",
        images=images.encoded(),
    )
    page = Page(text)
    assert not page.wrong and not page.all("b")
    shown = [text for _, _, text in page.all("bdi")]
    assert {*shown} == {*TESTED, *CAMERAS, "outfit 0", "outfit 1"}
    (first, *_) = page.all("p", **{"class": "faint"})[-len(cards) :]
    person = cards[0]["person"]
    assert first[2].endswith(f"· person {person} · camera door · clothes outfit 0")


def test_the_picture_shows_what_the_manifest_says(
    config, evaluated, tmp_path, monkeypatch
):
    protocols, embedded, _ = evaluated
    drawn = []
    draw = lists.draw_ranked_lists
    monkeypatch.setattr(
        lists,
        "draw_ranked_lists",
        lambda path, rows, title: (drawn.extend(rows), draw(path, rows, title=title)),
    )
    lists.draw_lists(config, "tiny", protocols[0], embedded, tmp_path / "lists.png")
    assert (tmp_path / "lists.png").stat().st_size > 10_000
    assert len(drawn) == len(TESTED)
    for query, items in drawn:
        assert query.person in TESTED and query.camera == "door"
        assert {item.person for item in items} == {*TESTED}
        right = [item.person for item in items if item.correct]
        assert right == [query.person]
        assert {item.camera for item in items} == {"Hof & Tür"}


def test_the_preview_shows_what_the_manifest_says(config, tmp_path, monkeypatch):
    maps = tmp_path / "maps"
    root = config.data.root
    with config.copy_and_resolve_references().unlocked() as changed:
        changed.data.parsing_dir = str(layouts.write_parsing(type(maps)(root), maps))
        changed.data.parsing_labels = "canonical"
    captions = []
    monkeypatch.setattr(
        preview,
        "draw_sheet",
        lambda rows, *_: captions.extend(name for name, _ in rows) or b"",
    )
    monkeypatch.setattr(preview, "pictures", lambda image, *_: [[]] * len(image))
    preview.preview(changed, tmp_path / "sheet.png", 2)
    assert captions[0] == "7_0.jpg: person Eva, camera door, clothes outfit 0"


def test_training_images_keep_their_names_and_the_page_shortens_them(dataset):
    train = dataset.train
    of_person = {train.shown(i).person: int(train.pid[i]) for i in range(len(train))}
    assert of_person == {"Eva": 0, LONG: 1}
    half = train.subset(np.flatnonzero(train.pid == 1)).relabelled()
    assert half.pid.tolist() == [0, 0] and half.shown(0).person == LONG
    label = lists.labels_of(half, 0)["person"]
    assert len(label) <= lists.LONGEST + 1 and label[:9] == label[-9:] == "x" * 9


def test_names_change_no_prepared_copy_and_no_run(config, dataset, tmp_path):
    root = type(tmp_path)(config.data.root)
    records = read_records("manifest", root)
    bare = {s: [r._replace(own=("", "", "")) for r in of] for s, of in records.items()}
    assert bare != records and fingerprint(bare, root) == fingerprint(records, root)
    before = digest_labels(dataset)
    text = (root / "manifest.csv").read_text(encoding="utf-8")
    try:
        renamed = text.replace("Eva", "Eve").replace("door", "dam")
        (root / "manifest.csv").write_text(renamed, encoding="utf-8")
        again = load_dataset(config)
    finally:
        (root / "manifest.csv").write_text(text, encoding="utf-8")
    assert again.train.shown(0)[:2] == ("Eve", "dam")
    assert digest_labels(again) == before


READERS = {
    "ltcc": (layouts.write_ltcc, "gallery", ("007", "12", "1")),
    "prcc": (layouts.write_prcc, "query_changing", ("003", "C", "C")),
    "vc_clothes": (layouts.write_vc_clothes, "query", ("0002", "01", "02")),
    "synthetic": (tiny.write_folder, "query", ("0004", "1", "1")),
}


@pytest.mark.parametrize("name", READERS)
def test_a_published_dataset_is_shown_as_its_file_names_say(name, tmp_path):
    write, split, labels = READERS[name]
    assert read_records(name, write(tmp_path))[split][0].own == labels


def test_a_reader_that_says_no_names_is_shown_by_its_numbers(tmp_path):
    found = {
        "train": [Found(tmp_path / "a", 40, 0, 3), Found(tmp_path / "b", 50, 2, None)],
        "query": [Found(tmp_path / "c", 7, -1, "red")],
    }
    records = number(found)
    assert [r.own for r in records["train"]] == [("40", "1", "3"), ("50", "3", "")]
    assert records["train"][1].pid == 1 and records["query"][0].own == ("7", "", "red")


def test_what_is_not_labelled_is_unknown():
    assert split([4], [-1], [-1]).shown(0) == ("4", "unknown", "unknown")
    assert split([4], [2], [9]).shown(0) == ("4", "3", "9")
