"""What matched: the parts of a similarity add up to it, and are each cell's own."""

import jax
import numpy as np
import pytest
import tiny
import untrained

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.report.similarity_maps import similarity_maps
from mbnet_jax.views import make_views, normalise

pytestmark = pytest.mark.usefixtures("one_block")


def network_and_images(transformers=False, **model):
    config = untrained.whole_network("data")
    if transformers:
        tiny.use_transformers(config)
    config.model.update(model)
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    areas = np.random.default_rng(0).integers(0, 256, (6, 4, 2, 3), dtype=np.uint8)
    image = areas.repeat(tiny.HEIGHT // 4, 1).repeat(tiny.WIDTH // 2, 2)
    return network, image, np.stack([tiny.person(head) for head in range(8, 14)])


def spread_out(network, image, parsing):
    """The network with necks that subtract the images' mean; branch -> embeddings."""
    model, variables = network.model, jax.device_get(network.variables)

    @jax.jit
    def run(variables, image, parsing):
        names = views_of_branches(model.branches)
        views = make_views(normalise(image), parsing, network.config.views, names)
        outputs = model.apply(variables, views, train=False)
        return outputs.features, outputs.embeddings

    features, _ = run(variables, image, parsing)
    for name, rows in features.items():
        neck = variables["batch_stats"][f"{name}_head"]["bnneck"]
        neck["mean"] = np.asarray(rows.mean(0))
    _, embeddings = run(variables, image, parsing)
    return network._replace(variables=variables), jax.device_get(embeddings)


@pytest.mark.parametrize(
    "model",
    [
        {"pooling": "max_avg", "clothes_rank": 2},
        {"pooling": "gem", "branches": ("global",)},
        {"branches": ("global", "clothing_unrelated"), "ktm_zoom": 0.7},
    ],
)
def test_the_mean_over_the_cells_of_either_image_is_the_cosine(model):
    network, image, parsing = network_and_images(**model)
    if "ktm_zoom" in model:
        network = untrained.with_gate(network, normalise(image), 2)
    network, embeddings = spread_out(network, image, parsing)
    halves = [(image[i : i + 3], parsing[i : i + 3]) for i in (0, 3)]
    found = similarity_maps(network, *halves)
    branches = [*model.get("branches", BRANCHES)]
    assert [*found.maps] == [*found.cosines] == branches
    for name in branches:
        rows = embeddings[name]
        cosine = (rows[:3] * rows[3:]).sum(1)
        np.testing.assert_allclose(found.cosines[name], cosine, atol=1e-4)
        for maps in found.maps[name]:
            assert len(maps) == 3 and maps.std((1, 2)).min() > 0.05
            np.testing.assert_allclose(maps.mean((1, 2)), cosine, atol=1e-3)
    # Which image is the first does not matter, nor how many pairs are in a batch.
    network.config.eval.batch_size = 4
    swapped = similarity_maps(network, *halves[::-1])
    for name in branches:
        for one, other in zip(found.maps[name], swapped.maps[name][::-1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-2)


def test_of_an_average_each_cell_has_its_own_part():
    network, image, parsing = network_and_images(
        pooling="avg", branches=("global",), ktm=False
    )
    image, parsing = image[:2], parsing[:2]
    network, _ = spread_out(network, image, parsing)
    found = similarity_maps(network, (image[:1], parsing[:1]), (image[1:], parsing[1:]))
    views = make_views(normalise(image), parsing, network.config.views, ("image",))
    _, state = network.model.apply(
        network.variables,
        views,
        train=False,
        capture_intermediates=lambda module, _: module.name == "global_backbone",
        mutable=["intermediates"],
    )
    (features,) = state["intermediates"]["global_backbone"]["__call__"]
    maps = np.asarray(features.map, np.float64)
    head = network.variables["batch_stats"]["global_head"]["bnneck"]
    scale = network.variables["params"]["global_head"]["bnneck"]["scale"]
    # An average of the cells' own necks is the neck of their average.
    necks = np.asarray(scale) * (maps - head["mean"]) / np.sqrt(head["var"] + 1e-5)
    whole = necks.mean((1, 2))
    length = np.linalg.norm(whole, axis=1)
    for own, other in ((0, 1), (1, 0)):
        expected = necks[own] @ whole[other] / (length[own] * length[other])
        np.testing.assert_allclose(
            found.maps["global"][own][0], expected, rtol=1e-2, atol=1e-3
        )


def test_a_branch_that_reads_a_class_token_has_none():
    network, image, parsing = network_and_images(transformers=True)
    network.config.eval.branches = ("global", "clothing_unrelated")
    found = similarity_maps(network, (image, parsing), (image, parsing))
    assert found.maps == {} and found.cosines == {}
