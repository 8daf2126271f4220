"""What the embedder cannot use is refused by name: photographs, lists, options."""

import os

import numpy as np
import pytest
import small_run
import tiny
from PIL import Image
from untrained import untrained, whole_network

from mbnet_jax import Embedder

pytestmark = pytest.mark.usefixtures("one_block")

ALL = ("global", "clothing_unrelated", "mask")


@pytest.fixture(scope="module")
def mesh():
    return small_run.one_device()


@pytest.fixture(scope="module")
def embedder(small_data, mesh):
    """An embedder with all branches."""
    return Embedder(untrained(whole_network(small_data[0]), mesh), mesh)


IMAGE = np.zeros((64, 32, 3), np.uint8)
MAP = np.zeros((64, 32), np.uint8)


def closed() -> Image.Image:
    picture = Image.new("RGB", (2, 2))
    picture.close()
    return picture


@pytest.mark.parametrize(
    ("images", "maps", "branches", "message"),
    [
        (["gone.jpg"], None, None, "photograph gone.jpg does not exist"),
        (["broken.jpg"], None, None, "image of broken.jpg cannot be decoded"),
        (["empty.jpg"], None, None, "image of empty.jpg cannot be decoded"),
        (
            [IMAGE, IMAGE[..., 0]],
            None,
            None,
            r"images\[1\] must be uint8 .* \[64, 32\]",
        ),
        ([IMAGE / 255], None, None, r"images\[0\] must be uint8 .* float64"),
        ([Image.new("F", (2, 2))], None, None, r"of images\[0\] .* Pillow mode is F"),
        ([7], None, None, r"images\[0\] must be a path.*it is of type int"),
        ("gone.jpg", None, None, r"images must be a list .* give \[images\]"),
        (IMAGE, None, None, "images must be a list"),
        ([IMAGE], MAP, None, "parsing must be a list"),
        ([IMAGE], [MAP, MAP], None, "1 images and 2 parsing maps"),
        ([IMAGE], [None], None, r"parsing\[0\] must be a path.*it is None"),
        ([IMAGE], [MAP[:32]], None, r"images\[0\] is 32x32 .* its image 32x64"),
        ([IMAGE], [MAP + 9], None, r"images\[0\] has the label 9, .* would fit 'lip'"),
        (
            [IMAGE],
            [MAP / 1],
            None,
            r"parsing\[0\] must be uint8 .*, float64 \[64, 32\]",
        ),
        (
            [IMAGE],
            ["gone.png"],
            None,
            r"map of images\[0\] \(gone.png\) does not exist",
        ),
        ([IMAGE], ["broken.jpg"], None, r"\(broken.jpg\) cannot be decoded"),
        ([IMAGE], None, ["mask"], "'mask' cannot embed without parsing maps"),
        ([IMAGE], None, ["face"], "what the network has, each once, .* 'global'"),
        ([IMAGE], None, [], "name one or more"),
        ([IMAGE], None, {"global"}, r"branches={'global'} must name .*, in a list"),
        ([IMAGE], None, ["global", "global"], "each once"),
        ([IMAGE], None, [["global"]], "each once"),
        (None, None, None, "images must be a list .* it is None"),
        ({}, None, None, "images must be a list .* it is of type dict"),
        ({"a.jpg"}, None, None, "images must be a list .* it is of type set"),
        (iter(["a.jpg"]), None, None, r"list\(images\) for a generator"),
        (b"a.jpg", None, None, "images must be a list .* it is of type bytes"),
        (np.array(1), None, None, r"images must be a list .* int64 \[\]"),
        (np.array([]), None, None, r"images must be a list .* float64 \[0\]"),
        (IMAGE[None] / 1, None, None, "images must be a list .* float64"),
        ([[IMAGE]], None, None, r"images\[0\] must be a path.*it is of type list"),
        ([IMAGE, None], None, None, r"images\[1\] must be .* it is None"),
        ([b"a.jpg"], None, None, r"images\[0\] must be .* it is of type bytes"),
        ([""], None, None, r"images\[0\]='' is not a name"),
        (["a\0b"], None, None, r"images\[0\]='a\\x00b' is not a name"),
        (["\ud800"], None, None, r"images\[0\]='\\ud800' is not a name"),
        (["\udcff.jpg"], None, None, "photograph \ufffd.jpg does not exist"),
        (["pipe.jpg"], None, None, "pipe.jpg is not a regular file"),
        (["."], None, None, r"the photograph \. cannot be read"),
        (["sparse.jpg"], None, None, r"sparse.jpg has 1,\d+,.* at most"),
        (
            [np.zeros((40_000, 2, 3), "u1")],
            None,
            None,
            r"images\[0\] has 2 x 40,000",
        ),
        ([Image.new("1", (40_000, 2))], None, None, r"of images\[0\] has 40,000 x 2"),
        ([Image.new("RGB", (0, 0))], None, None, r"of images\[0\] has 0 x 0 pixels"),
        ([closed()], None, None, r"of images\[0\] cannot be decoded .*closed"),
        ([IMAGE], 3, None, "parsing must be a list .* it is of type int"),
        ([IMAGE], ["pipe.jpg"], None, "parsing map of .* is not a regular file"),
        ([IMAGE], [closed()], None, r"parsing map of images\[0\] cannot be decoded"),
        ([IMAGE], None, "mask", r"='mask' must be a list: \['mask'\]"),
    ],
)
@pytest.mark.filterwarnings("ignore:no parsing maps")
def test_what_cannot_be_used_is_named(
    embedder, images, maps, branches, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(tiny.encoded(IMAGE, "JPEG")[:40])
    (tmp_path / "empty.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.jpg")
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises((ValueError, OSError), match=message):
        embedder.embed(images, maps, branches, batch_size=4)


@pytest.mark.parametrize(
    "batch_size", ["8", 0, -1, True, 1.5, None, 10**9, 10**99, np.array(2)]
)
def test_the_batch_size_is_checked(embedder, batch_size):
    with pytest.raises(ValueError, match=r"batch_size=.* from 1 to 65,536"):
        embedder.embed([IMAGE], branches=["global"], batch_size=batch_size)


@pytest.mark.parametrize("branches", [["global", "global"], {"global"}, "global", 3])
def test_all_that_takes_branches_checks_them(embedder, branches):
    for call in (
        lambda: embedder.choose(branches, True),
        lambda: embedder.width(branches),
        lambda: embedder.digest(branches),
        lambda: embedder.stream([IMAGE], None, branches),
    ):
        with pytest.raises(ValueError, match="branches="):
            call()
    with pytest.raises(ValueError, match="with_maps must be True or False"):
        embedder.choose(None, None)
    with pytest.raises(ValueError, match="failed must be a function"):
        embedder.stream([IMAGE], None, ("global",), failed=True)
    with pytest.raises(ValueError, match=r"parsing\[0\] must be .* it is None"):
        embedder.stream([IMAGE], [None], ("mask",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": 3}, "source must be a path, of text; it is of type int"),
        ({"source": b"runs"}, "source must be a path, of text; it is of type bytes"),
        ({"source": ""}, "source='' is not a name"),
        ({"source": "a\0"}, r"source='a\\x00' is not a name"),
        ({"flip": 1}, "flip must be True or False; it is 1"),
        ({"parsing_labels": "swag"}, "parsing_labels='swag' is unknown; known: can"),
        ({"parsing_labels": ["atr"]}, r"parsing_labels=\['atr'\] is unknown"),
        ({"mesh": "cpu"}, "mesh must be what .*make_mesh returns.* it is 'cpu'"),
    ],
)
def test_loading_checks_its_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        Embedder.load(**{"source": tmp_path} | arguments)
