"""The search in a video: its page says in which frame and when a person is."""

import re

import pytest
from test_search_command import Page, run

from benchmarks import street

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("one_block")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A video of three people for a second, and a photograph of its tenth frame."""
    folder = tmp_path_factory.mktemp("street")
    made = street.make_street(3, 1, phases=2)
    street.write_street(folder, made)
    street.write_frame(folder / "scene.jpg", made.frames[9])
    return folder, made


@pytest.fixture
def search(whole, scene, tmp_path):
    folder, _ = scene

    def search(*arguments) -> Page:
        common = ("--model", whole[0], "--branches", "global", "--out", tmp_path / "p")
        common += ("--cache", tmp_path / "cache", "--crops", tmp_path / "crops")
        run(*common, "--gallery", folder / "street.mp4", *arguments)
        return Page((tmp_path / "p").read_text())

    return search


def ranked(page: Page) -> list[str]:
    alts = [image["alt"] for image in page.all("img")]
    return [alt for alt in alts if alt.startswith("Rank ")]


def test_a_scene_finds_its_people_in_the_video(search, scene, capsys):
    folder, made = scene
    found = search(
        *("--detect", folder / "street.onnx", "--fps", 2, "--k", 2),
        *("--query", folder / "scene.jpg"),
    )
    # Frames 1 and 6, of three people each; and three queries.
    assert capsys.readouterr().out.startswith("6 crops of people, from 1 scene, 6 of")
    assert "6 crops of people, from 1 scene in" in " ".join(found.words)
    hits = ranked(found)
    assert len(hits) == 3 * 2 and str(folder / "scene.jpg") in found.words
    form = r"Rank \d, street.mp4, frame (1, 0:00.0|6, 0:00.5), box (\d+) x (\d+) at .*"
    assert all(re.fullmatch(form, hit) for hit in hits)
    # Each of the queries is most similar to the same person in frame 6 or 1: those are
    # in the same lane.
    lane = 540 // street.LANES
    tops = [int(re.search(r", (\d+)$", hit).group(1)) // lane for hit in hits]
    queries = [word for word in found.words if re.fullmatch(r"box \d+ x .*", word)]
    own = [int(query.rpartition(", ")[2]) // lane for query in queries]
    assert sorted(own) == [0, 1, 2] and tops[::2] == own
    assert len(made.boxes) == 3 * 10


def test_tracks_are_entries_and_a_query_may_be_one_person(search, scene, capsys):
    folder, _ = scene
    found = search(
        *("--boxes", folder / "street.csv", "--fps", 10, "--k", 5),
        *("--query", folder / "scene.jpg"),
    )
    assert capsys.readouterr().out.startswith(
        "3 tracklets (30 crops) of people, from 1"
    )
    hits = ranked(found)
    assert len(hits) == 3
    times = "10 crops, frames 1 to 10, 0:00.0 to 0:00.9"
    shown = {re.sub(r"Rank \d, ", "", hit) for hit in hits}
    assert shown == {f"street.mp4, track {pid}, {times}" for pid in (1, 2, 3)}


def test_scenes_that_cannot_be_searched_end_in_one_line(search, scene, tmp_path):
    folder, _ = scene
    query = ("--query", folder / "scene.jpg")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("99,1,0,0,30,90\n")
    for arguments, message in (
        ((), "--crops is for scenes: give --detect or --boxes"),
        (("--fps", 2), "--fps is for scenes: give --detect or --boxes"),
        (("--boxes", boxes, "--fps", 0), "--fps=0.0 must be"),
        (("--boxes", boxes, "--whole-queries"), "is the usual with --boxes"),
        (("--boxes", boxes, "--parsing", folder), "--parsing has maps of photographs"),
        (("--boxes", tmp_path / "none.csv"), "no such file: --boxes="),
        (("--boxes", boxes), "nobody was found in --gallery="),
        (("--detect", tmp_path / "no.onnx"), "is neither a preset"),
        (("--boxes", boxes, "--crops", tmp_path / "cache" / "a"), "is in the cache"),
        (("--boxes", boxes, "--crops", folder), "is in --crops="),
    ):
        with pytest.raises(SystemExit) as ended:
            search(*query, *arguments)
        assert message in str(ended.value.code), (arguments, ended.value.code)
        assert "\n" not in str(ended.value.code)
