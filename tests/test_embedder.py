"""The embedder: evaluation's embeddings, from files, Pillow images and arrays."""

import contextlib
import io
import os
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
import small_run
import tiny
from PIL import Image
from untrained import untrained, whole_network

import mbnet_jax
from mbnet_jax import Embedder
from mbnet_jax.data.load import images_folder
from mbnet_jax.data.loader import Loader
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import embed_split, main_embedding, make_embed
from mbnet_jax.images import read_image, resize_image
from mbnet_jax.parsing.maps import encode_parsing
from mbnet_jax.search.photographs import load_photograph

pytestmark = pytest.mark.usefixtures("one_block")

ALL = ("global", "clothing_unrelated", "mask")


@pytest.fixture(scope="module")
def files(small_data):
    """Paths of the query split's images and maps."""
    root, dataset = small_data
    folder = images_folder(small_run.small_config(root).data)
    names = dataset.test["query"].names
    maps = [folder / "parsing" / name.replace(".jpg", ".png") for name in names]
    return [folder / name for name in names], maps


@pytest.fixture(scope="module")
def mesh():
    return small_run.one_device()


@pytest.fixture(scope="module")
def embedder(small_data, mesh):
    """An embedder with all branches."""
    return Embedder(untrained(whole_network(small_data[0]), mesh), mesh)


@pytest.fixture(scope="module")
def rows(embedder, files):
    return embedder.embed(*files, batch_size=4)


def test_embeddings_are_those_of_the_evaluation(
    small_data, files, embedder, rows, mesh
):
    root, dataset = small_data
    network = untrained(whole_network(root), mesh)
    split = dataset.test["query"]
    embed = make_embed(network.config, network.model, mesh)
    loader = Loader(network.config.data, mesh)
    expected = embed_split(embed, network.variables, split, loader, 4)
    assert main_embedding(expected) == "all"
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected["all"], atol=1e-6)
    # Otherwise the comparison above would show nothing.
    assert np.abs(rows - rows[::-1]).max() > 1e-3
    # Also for a part of the network, which needs no maps.
    part = embedder.embed(files[0], files[1], ["global"], 4)
    np.testing.assert_allclose(part, expected["global"], atol=1e-6)
    assert np.abs(np.linalg.norm(part, axis=1) - 1).max() < 1e-6


def test_the_number_of_devices_does_not_matter(small_data, files, rows):
    mesh = make_mesh()
    assert mesh.size == 8
    embedder = Embedder(untrained(whole_network(small_data[0]), mesh), mesh)
    # 4 is rounded up to the 8 devices.
    np.testing.assert_allclose(embedder.embed(*files, batch_size=4), rows, atol=1e-6)
    assert embedder._programs[ALL]._cache_size() == 1


def test_a_short_last_batch_is_not_recompiled(embedder, files, rows):
    images, maps = files
    assert len(images) % 4 == 0
    again = embedder.embed(images[:7], maps[:7], ALL, batch_size=4)
    np.testing.assert_array_equal(again, rows[:7])
    turned = embedder.embed(images[6::-1], maps[6::-1], batch_size=4)
    np.testing.assert_allclose(turned, rows[6::-1], atol=1e-6)
    assert embedder._programs[ALL]._cache_size() == 1
    # A shorter list makes a smaller batch, of one of few sizes.
    assert embedder.embed([], branches=["global"]).shape == (
        0,
        embedder.width(("global",)),
    )
    assert embedder.embed([], []).shape == (0, rows.shape[1])


@pytest.fixture(scope="module")
def colour(whole, mesh):
    """An embedder of the trained global branch."""
    return Embedder.load(whole[0], mesh=mesh)


def test_files_pillow_images_and_arrays_agree(colour, files, tmp_path):
    path = files[0][0]
    picture = Image.open(path)
    array = np.asarray(Image.open(path))
    found = colour.embed([str(path), path, picture, array], batch_size=4)
    assert np.ptp(found, axis=0).max() < 1e-6
    # A stack of images is a list of them.
    stacked = colour.embed(np.stack([array] * 4), batch_size=4)
    np.testing.assert_allclose(stacked, found, atol=1e-6)
    # Of any size; an enlarged one is averaged back to the original.
    large = Image.open(path).resize((64, 128), Image.Resampling.NEAREST)
    sizes = colour.embed([large, np.asarray(large), picture, picture], batch_size=4)
    assert np.ptp(sizes, axis=0).max() < 1e-6
    # Grey, transparent and palette images are converted to RGB.
    grey = picture.convert("L")
    grey.save(tmp_path / "grey.png")
    kinds = [tmp_path / "grey.png", grey, grey.convert("RGBA"), grey.convert("P")]
    assert np.ptp(colour.embed(kinds, batch_size=4), axis=0).max() < 1e-6


def test_a_photograph_is_rotated_by_its_exif_orientation(colour, files, tmp_path):
    upright = Image.open(files[0][0])
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    rotated = upright.transpose(Image.Transpose.ROTATE_90)
    rotated.save(tmp_path / "rotated.png", exif=exif)
    file = tmp_path / "rotated.png"
    images = [upright, file, Image.open(file), rotated]
    found = colour.embed(images, batch_size=4)
    assert np.ptp(found[:3], axis=0).max() < 1e-6
    assert np.abs(found[3] - found[0]).max() > 1e-4


def test_maps_may_be_files_pillow_images_or_arrays(embedder, files, rows):
    images, maps = (side[:4] for side in files)
    pillow = [Image.open(path) for path in maps]
    arrays = [np.array(Image.open(path)) for path in maps]
    mixed = [maps[0], pillow[1], arrays[2], str(maps[3])]
    for given in (pillow, arrays, mixed):
        np.testing.assert_array_equal(embedder.embed(images, given, None, 4), rows[:4])
    other = [np.zeros_like(arrays[0]), *arrays[1:]]
    found = embedder.embed(images, other, None, 4)
    assert np.abs(found - rows[:4]).max(axis=1)[0] > 1e-4


def test_without_maps_the_global_branch_embeds_and_warns_once(
    small_data, files, mesh, embedder
):
    fresh = Embedder(untrained(whole_network(small_data[0]), mesh), mesh)
    fresh._programs = embedder._programs  # of the same network, compiled
    warning = "the global branch alone, without clothing_unrelated and mask"
    with pytest.warns(UserWarning, match=warning):
        found = fresh.embed(files[0], batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.embed(files[0][:4], batch_size=4)
        chosen = fresh.embed(files[0], branches=["global"], batch_size=4)
    np.testing.assert_array_equal(found, chosen)


def test_flip_is_an_option(colour, whole, files, mesh):
    picture = Image.open(files[0][0])
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pair = [picture, mirrored, picture, mirrored]
    with_flip = colour.embed(pair, batch_size=4)
    np.testing.assert_allclose(with_flip[0], with_flip[1], atol=1e-6)
    plain = Embedder.load(whole[0], mesh=mesh, flip=False).embed(pair, batch_size=4)
    assert np.abs(plain[0] - plain[1]).max() > 1e-4
    both = plain[0] + plain[1]
    np.testing.assert_allclose(with_flip[0], both / np.linalg.norm(both), atol=1e-6)


def test_the_digest_depends_on_all_that_changes_embeddings(small_data, embedder, mesh):
    config = whole_network(small_data[0])
    same = Embedder(untrained(config, mesh), mesh)
    other = Embedder(untrained(config, mesh, seed=1), mesh)
    plain = Embedder(untrained(config, mesh), mesh, flip=False)
    labels = Embedder(untrained(config, mesh), mesh, parsing_labels="atr")
    assert same.digest(ALL) == embedder.digest(ALL)
    digests = [e.digest(ALL) for e in (embedder, other, plain, labels)]
    assert len({*digests, embedder.digest(("global",))}) == 5
    # The global branch reads no maps, so their label set does not count.
    assert labels.digest(("global",)) == embedder.digest(("global",))
    # Nor does where the weights came from.
    config = whole_network(small_data[0])
    tiny.set_backbones(config, weights="timm/x")
    assert Embedder(untrained(config, mesh), mesh).digest(ALL) == embedder.digest(ALL)
    config.views.crops = (32, 32)
    assert Embedder(untrained(config, mesh), mesh).digest(ALL) not in digests


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
        ([""], None, None, r"images\[0\]='' is no name"),
        (["a\0b"], None, None, r"images\[0\]='a\\x00b' is no name"),
        (["\ud800"], None, None, r"images\[0\]='\\ud800' is no name"),
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
        ({"source": ""}, "source='' is no name"),
        ({"source": "a\0"}, r"source='a\\x00' is no name"),
        ({"flip": 1}, "flip must be True or False; it is 1"),
        ({"parsing_labels": "swag"}, "parsing_labels='swag' is unknown; known: can"),
        ({"parsing_labels": ["atr"]}, r"parsing_labels=\['atr'\] is unknown"),
        ({"mesh": "cpu"}, "mesh must be what .*make_mesh returns.* it is 'cpu'"),
    ],
)
def test_loading_checks_its_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        Embedder.load(**{"source": tmp_path} | arguments)


@pytest.mark.parametrize("factor", [np.nan, 0])
def test_an_embedding_without_a_direction_is_refused(
    small_data, embedder, files, mesh, factor
):
    network = untrained(whole_network(small_data[0]), mesh)
    broken = jax.tree.map(lambda leaf: leaf * factor, network.variables)
    broken = Embedder(network._replace(variables=broken), mesh)
    broken._programs = embedder._programs
    name = str(files[0][0])
    with pytest.raises(ValueError, match=f"{name} is not finite .* 'synthetic' is dam"):
        broken.embed(files[0][:4], branches=["global"])
    failed = {}
    images = files[0][:4]
    assert not [*broken.stream(images, None, ("global",), 4, failed.__setitem__)]
    assert [*failed] == [0, 1, 2, 3]


def saved(picture: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def kinds() -> dict[str, bytes]:
    """Files of many formats and modes, by a name."""
    rng = np.random.default_rng(0)
    first = Image.fromarray(rng.integers(0, 255, (20, 12, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"):
        for form in ("PNG", "TIFF", "JPEG", "WEBP", "GIF"):
            with contextlib.suppress(
                OSError, ValueError
            ):  # a mode that the format lacks
                found[f"{mode} {form}"] = saved(first.convert(mode), form)
    for form in ("PNG", "TIFF", "JPEG", "WEBP"):
        found[f"rotated {form}"] = saved(first, form, exif=exif)
    second = [first.transpose(Image.Transpose.ROTATE_180)]
    for form in ("PNG", "GIF", "TIFF", "WEBP"):
        found[f"animated {form}"] = saved(
            first, form, save_all=True, append_images=second
        )
    sixteen = Image.fromarray(rng.integers(0, 65535, (20, 12), dtype=np.uint16))
    found["16 bits PNG"] = saved(sixteen, "PNG")
    found["16 bits TIFF"] = saved(sixteen, "TIFF")
    return found


def test_a_file_a_pillow_image_of_it_and_training_agree(tmp_path):
    refused = []
    for name, data in kinds().items():
        path = tmp_path / "image"
        path.write_bytes(data)
        found = []
        for take in (
            lambda path=path: read_image(path),
            lambda path=path: load_photograph(path, None, "x", (20, 12), "lip")[0],
            lambda path=path: load_photograph(
                Image.open(path), None, "x", (20, 12), "lip"
            )[0],
        ):
            try:
                found.append(resize_image(take(), (20, 12)))
            except ValueError as error:
                assert "convert it to RGB" in str(error)
                found.append(None)
        if found[0] is None:
            assert found == [None] * 3, name
            refused.append(name)
            continue
        for other in found[1:]:
            np.testing.assert_array_equal(found[0], other, err_msg=name)
    assert refused == ["LAB TIFF", "I TIFF", "F TIFF"]


def test_maps_may_be_in_another_label_set(small_data, mesh, files, rows, embedder):
    network = untrained(whole_network(small_data[0]), mesh)
    atr = Embedder(network, mesh, parsing_labels="atr")
    atr._programs = embedder._programs
    canonical = [np.array(Image.open(path)) for path in files[1][:4]]
    table = np.array([0, 11, 4, 6, 14, 12, 9, 16], np.uint8)
    found = atr.embed(files[0][:4], [table[labels] for labels in canonical], None, 4)
    np.testing.assert_array_equal(found, rows[:4])
    with pytest.raises(ValueError, match="'swag' is unknown"):
        Embedder(network, mesh, parsing_labels="swag")


def test_a_map_that_schp_wrote_is_read(small_data, embedder, files, rows, tmp_path):
    labels = np.array(Image.open(files[1][0]))
    (tmp_path / "map.png").write_bytes(encode_parsing(labels))
    maps = [tmp_path / "map.png", *files[1][1:4]]
    found = embedder.embed(files[0][:4], maps, None, 4)
    np.testing.assert_array_equal(found, rows[:4])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no trained network \(no config"):
        Embedder.load(tmp_path)


def test_importing_the_package_imports_no_jax():
    code = "import sys, mbnet_jax; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert not hasattr(mbnet_jax, "embedded")
