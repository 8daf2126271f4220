"""The embedder: evaluation's embeddings, from files, Pillow images and arrays."""

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
from mbnet_jax.evaluation.embed import embed_split, main_embedding
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.parsing.maps import encode_parsing

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
