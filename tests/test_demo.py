"""The demo's searches and what it shows of a pair, without a browser."""

import shutil
import sys

import jax
import numpy as np
import pytest
from photos import TAG, make_folder, write_photo
from untrained import untrained, whole_network

from mbnet_jax.commands.demo import main
from mbnet_jax.demo import html
from mbnet_jax.demo.app import import_gradio
from mbnet_jax.demo.explainer import Explainer
from mbnet_jax.demo.finder import Finder
from mbnet_jax.demo.made_up import people
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.search.nearest import COPY
from mbnet_jax.synthetic.options import SyntheticOptions

pytestmark = pytest.mark.usefixtures("one_block")
ALL = ("global", "clothing_unrelated", "mask")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("demo") / "photos")


@pytest.fixture(scope="module")
def finder(folder):
    """Of a network that predicts the maps of all its branches."""
    config = whole_network("data")
    with config.unlocked():
        config.model.parser = True
    mesh = make_mesh(jax.devices()[:1])
    return Finder(untrained(config, mesh), mesh, folder.parent / "cache")


@pytest.fixture(scope="module")
def found(finder, folder):
    query = folder.parent / "upload" / "x.jpg"
    query.parent.mkdir()
    shutil.copy(folder / "a.jpg", query)
    return finder.find(query, folder, ALL, 5)


def test_lists_are_in_the_order_of_the_embeddings(finder, folder, found):
    assert finder.branches == finder.default == ALL and not finder.warning
    assert found.count == 7 and len(found.hits) == 5
    paths = [folder / hit.name for hit in found.hits]
    rows = finder.embedder.embed([found.query, *paths])
    cosines = rows[1:] @ rows[0]
    np.testing.assert_allclose(
        [hit.similarity for hit in found.hits], cosines, atol=1e-5
    )
    assert (np.diff(cosines) < 1e-5).all()
    assert {h.name: h.note for h in found.hits if h.note} == {
        "a.jpg": COPY,
        "day 2/copy.jpg": COPY,
    }


def test_a_pair_has_the_cosine_of_each_branch(finder, folder, found):
    explainer = Explainer(finder)
    match = folder / found.hits[-1].name
    pair = explainer.compare(found.query, match, ALL)
    assert pair.similarity == pytest.approx(found.hits[-1].similarity, abs=1e-5)
    for name, look in zip(ALL, pair.looks, strict=True):
        one, other = finder.embedder.embed([found.query, match], branches=[name])
        assert look.similarity == pytest.approx(one @ other, abs=1e-5)
        assert look.maps[0].title == "what is similar"
        assert len(look.maps) == 2 and all(
            low < high for _, _, low, high, _ in look.maps
        )
    # Exchanged, each has what the other had.
    back = explainer.compare(match, found.query, ALL)
    for one, other in zip(pair.looks, back.looks, strict=True):
        for first, second in zip(one.maps, other.maps, strict=True):
            # Rounding may differ between the rows of a batch.
            shown, again = np.int32([first.pictures[0], second.pictures[1]])
            assert abs(shown - again).max() <= 2
            assert (first.pictures[0] != first.pictures[1]).any()


def test_what_cannot_be_used_is_refused_by_its_name(finder, folder):
    bad = folder.parent / "upload" / "bad.jpg"
    bad.parent.mkdir(exist_ok=True)
    bad.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"bad\.jpg") as error:
        finder.find(bad, folder, ALL, 5)
    assert str(bad.parent) not in str(error.value)
    with pytest.raises(ValueError, match="at least one branch"):
        finder.find(folder / "a.jpg", folder, [], 5)
    (folder.parent / "empty").mkdir()
    with pytest.raises(ValueError, match="hold no photograph"):
        finder.find(folder / "a.jpg", folder.parent / "empty", ALL, 5)


def test_without_maps_the_global_branch_is_offered(folder):
    mesh = make_mesh(jax.devices()[:1])
    finder = Finder(untrained(whole_network("data"), mesh), mesh, folder)
    assert finder.branches == finder.default == ("global",)
    assert "--parser segformer" in finder.warning


def test_names_are_text(finder, folder):
    found = finder.find(folder / "day 2" / TAG, folder, ("global",), 7)
    page = html.results(found)
    assert "<img src=x" not in page and page.count("&lt;img src=x") == 2
    assert page.count("<button") == page.count("data:image/jpeg") - 1 == 7
    assert "<b>" not in html.refusal("<b>")


def test_people_are_made_up_once(tmp_path):
    options = SyntheticOptions(1, 2, 2, 2, 1, 2, height=64, width=32)
    made = people(tmp_path, options, workers=1)
    persons = {path.name[:4] for path in made.queries}
    assert len(made.queries) == len(persons) == 2
    assert {path.name[:4] for path in made.gallery.glob("*.jpg")} == persons
    before = made.queries[0].stat().st_mtime_ns
    assert people(tmp_path, options, workers=1) == made
    assert made.queries[0].stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gallery", "nowhere"], "no such folder of photographs: --gallery=nowhere"),
        (["--query", "none.jpg"], "no such photograph: --query=none.jpg"),
        (["--port", "99999"], "--port=99999"),
        (["--preset", "schp-lip"], "--preset is the form of a --parser FILE"),
    ],
)
def test_wrong_flags_are_refused(arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_without_gradio_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements-demo\.txt"):
        import_gradio()


def test_a_photograph_that_vanished_has_no_picture(tmp_path):
    assert html.thumbnail(tmp_path / "gone.jpg") is None
    assert html.thumbnail(write_photo(tmp_path / "x.jpg", 1)).startswith("data:image/")
