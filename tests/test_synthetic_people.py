"""The people of the synthetic dataset: body, pose, rasteriser, clothes, yardsticks."""

import dataclasses
from importlib import resources

import numpy as np
import pytest

from mbnet_jax.parsing import labels as parsing
from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.clothes.wardrobe import make_wardrobe, sample_outfits
from mbnet_jax.synthetic.people.body import BODY, load_body, skin
from mbnet_jax.synthetic.people.dressing import dress
from mbnet_jax.synthetic.people.gait import (
    rotation,
    rotation_between,
    sample_gait,
    walking_pose,
)
from mbnet_jax.synthetic.people.identity import sample_identity
from mbnet_jax.synthetic.people.inflation import inflation
from mbnet_jax.synthetic.people.raster import rasterize, vertex_normals
from mbnet_jax.synthetic.yardsticks import clothes_histogram, yardsticks

OPTIONS = SyntheticOptions()


def person(pid):
    identity = sample_identity(OPTIONS, pid)
    body = load_body()
    return body, identity, *body.shape(body.coefficients(identity.phenotype))


def test_the_shipped_body_is_small():
    path = resources.files("mbnet_jax") / "assets" / "body.npz"
    assert len(path.read_bytes()) < 2_000_000


def test_weights_sum_to_one_and_parents_come_first():
    body = load_body()
    np.testing.assert_allclose(body.bone_weight.sum(1), 1, atol=1e-5)
    assert body.parents[0] == -1
    assert all(0 <= parent < k for k, parent in enumerate(body.parents) if k)


def test_each_phenotype_changes_the_body_as_its_name_says():
    body = load_body()
    middle = np.array([0.5, 0.7, 0.5, 0.5, 0.4, 0.5, 0.5, 0.3, 0.3])

    def measure(name, value):
        changed = middle.copy()
        changed[body.phenotypes.index(name)] = value
        vertices, _ = body.shape(body.coefficients(changed))
        trunk = np.abs(body.canonical[:, 1] - 0.35) < 0.03
        trunk &= (body.arm_weight < 0.1) & (body.head_weight < 0.1)
        waist = np.ptp(vertices[trunk], axis=0)
        return np.ptp(vertices[:, 1]), waist[0] * waist[2]

    assert measure("height", 0.5)[0] > measure("height", 0.3)[0] + 0.15
    assert measure("weight", 0.9)[1] > 1.3 * measure("weight", 0.1)[1]
    assert measure("gender", 0.0)[0] > measure("gender", 1.0)[0]


def test_identity_rotations_keep_the_rest_pose():
    body, _, vertices, joints = person(1)
    still = np.tile(np.eye(3), (len(body.bones), 1, 1))
    posed = skin(
        vertices, body.transforms(joints, still), body.bone_index, body.bone_weight
    )
    np.testing.assert_allclose(posed, vertices, atol=1e-5)


def test_rotating_the_root_rotates_the_whole_body():
    body, _, vertices, joints = person(2)
    rotations = np.tile(np.eye(3), (len(body.bones), 1, 1))
    rotations[0] = rotation(1, 0.7) @ rotation(0, -0.4)
    posed = skin(
        vertices, body.transforms(joints, rotations), body.bone_index, body.bone_weight
    )
    expected = (vertices - joints[0]) @ rotations[0].T + joints[0]
    np.testing.assert_allclose(posed, expected, atol=1e-5)


def test_a_bone_rotates_only_its_own_limb():
    body, _, vertices, joints = person(3)
    rotations = np.tile(np.eye(3), (len(body.bones), 1, 1))
    rotations[body.bones.index("thigh_l")] = rotation(0, -0.5)
    posed = skin(
        vertices, body.transforms(joints, rotations), body.bone_index, body.bone_weight
    )
    moved = np.linalg.norm(posed - vertices, axis=1)
    skin_only = np.unique(body.faces[body.face_mesh == BODY])
    right = skin_only[body.canonical[skin_only, 0] < -0.08]
    left_foot = skin_only[
        (body.canonical[skin_only, 0] > 0) & (body.canonical[skin_only, 1] < -0.75)
    ]
    assert moved[right].max() < 0.02
    assert moved[left_foot].min() > 0.3
    # A negative rotation about x swings the leg forward.
    assert (posed - vertices)[left_foot, 2].min() > 0.3


def test_walking_alternates_legs_and_swings_arms_against_them():
    body, identity, _, joints = person(4)

    def ahead(phase):
        rotations = walking_pose(body, joints, identity.gait, phase, pace=1.0)
        moved = body.transforms(joints, rotations)
        at = {}
        for name in ("foot_l", "foot_r", "hand_l", "hand_r"):
            bone = body.bones.index(name)
            at[name] = (moved[bone, :, :3] @ joints[bone] + moved[bone, :, 3])[2]
        return at["foot_l"] - at["foot_r"], at["hand_l"] - at["hand_r"]

    for phase, sign in ((np.pi / 2, 1), (-np.pi / 2, -1)):
        feet, hands = ahead(phase)
        assert sign * feet > 0.2
        assert sign * hands < -0.02


def test_rotations_are_rotations():
    rng = np.random.default_rng(0)
    body, _, _, joints = person(5)
    rotations = walking_pose(body, joints, sample_gait(rng), 1.0, 1.0, look=0.3)
    eye = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations @ rotations.mT, eye, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)
    a, b = rng.standard_normal((2, 3))
    np.testing.assert_allclose(
        rotation_between(a, b) @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-9
    )


def brute_force(points, faces, width, height, two_sided):
    """The nearest face at each pixel, by one pixel and one face at a time."""
    nearest = np.full((height, width), -1)
    depth = np.full((height, width), np.inf)
    for row, column, face in np.ndindex(height, width, len(faces)):
        (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = points[faces[face]]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0 and not two_sided[face]:
            continue
        x, y = column + 0.5, row + 0.5
        w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
        w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
        z = z0 + w1 * (z1 - z0) + w2 * (z2 - z0)
        if min(w1, w2, 1 - w1 - w2) >= 0 and z < depth[row, column]:
            depth[row, column], nearest[row, column] = z, face
    return nearest, depth


def test_rasterizer_agrees_with_a_brute_force_loop():
    rng = np.random.default_rng(1)
    # Some corners are far outside the image, so that clipping is tested.
    points = np.column_stack([rng.uniform(-6, 22, (24, 2)), rng.uniform(1, 5, 24)])
    faces = rng.permuted(np.tile(np.arange(24), (15, 1)), axis=1)[:, :3]
    two_sided = rng.random(15) < 0.5
    seen = rasterize(points, faces, 16, 12, two_sided)
    expected, depth = brute_force(points, faces, 16, 12, two_sided)
    found = np.full(16 * 12, -1)
    found[seen.pixel] = seen.face
    assert (expected >= 0).sum() > 20
    np.testing.assert_array_equal(found.reshape(12, 16), expected)
    np.testing.assert_allclose(
        seen.interpolate(points, faces)[:, 2],
        depth.ravel()[seen.pixel],
        rtol=1e-4,
    )


def test_triangles_outside_the_image_give_no_fragments():
    points = np.array([[30.0, 1, 1], [30, 9, 1], [40, 5, 1]])
    seen = rasterize(points, np.array([[0, 1, 2]]), 16, 12, np.array([True]))
    assert len(seen.pixel) == len(seen.face) == len(seen.weights) == 0


def test_normals_point_outwards():
    body = load_body()
    faces = body.faces[body.face_mesh == BODY]
    normals = vertex_normals(body.canonical, faces)
    # The belly faces forward, the back backwards.
    x, y, z = body.canonical.T
    trunk = (np.abs(x) < 0.1) & (y > 0.35) & (y < 0.55) & (body.arm_weight < 0.1)
    used = np.isin(np.arange(len(x)), faces) & trunk
    assert normals[used & (z > 0.08), 2].min() > 0
    assert normals[used & (z < -0.06), 2].max() < 0


def test_people_share_garments_and_never_repeat_one():
    wardrobe = make_wardrobe(OPTIONS)
    worn = {}
    for pid in range(1, 97):
        female = sample_identity(OPTIONS, pid).female
        outfits = sample_outfits(OPTIONS, wardrobe, pid, female)
        assert len({o.top_index for o in outfits}) == OPTIONS.outfits
        assert len({o.bottom_index for o in outfits}) == OPTIONS.outfits
        if not female:
            assert not {"dress", "skirt"} & {
                kind for o in outfits for kind in (o.top.kind, o.bottom.kind)
            }
        for outfit in outfits:
            worn.setdefault(("top", outfit.top_index), set()).add(pid)
            worn.setdefault(("bottom", outfit.bottom_index), set()).add(pid)
    # 96 people with 3 outfits each: no garment identifies a person.
    counts = [len(people) for people in worn.values()]
    assert min(counts) >= 2
    assert np.median(counts) >= 6


def test_clothes_do_not_cover_head_and_hands():
    wardrobe = make_wardrobe(OPTIONS)
    body = load_body()
    hands = body.arm_coordinate > 2.15
    hands &= body.arm_weight > 0.9
    bald = dataclasses.replace(sample_identity(OPTIONS, 1), hair="bald")
    for outfit in sample_outfits(OPTIONS, wardrobe, 1, bald.female):
        pushed = inflation(body, bald, outfit)
        assert pushed.max() > 0.002
        assert not pushed[hands].any()
        assert not pushed[body.head_weight > 0.6].any()


def test_a_person_has_the_same_body_under_every_outfit():
    wardrobe = make_wardrobe(OPTIONS)
    identity = sample_identity(OPTIONS, 7)
    outfits = sample_outfits(OPTIONS, wardrobe, 7, identity.female)
    joints = [dress(load_body(), identity, outfit).joints for outfit in outfits]
    np.testing.assert_array_equal(joints[0], joints[1])
    other = sample_identity(OPTIONS, 8)
    assert np.abs(identity.parameters() - other.parameters()).max() > 0.1


def test_the_histogram_depends_only_on_the_clothes():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (16, 8, 3)).astype(np.uint8)
    label = np.repeat(
        [parsing.HEAD, parsing.UPPER_CLOTHES, parsing.LOWER_CLOTHES, parsing.SHOES], 4
    ).astype(np.uint8)[:, None]
    label = np.repeat(label, 8, axis=1)
    before = clothes_histogram(image, label)
    assert np.linalg.norm(before) == pytest.approx(np.sqrt(2))
    other = image.copy()
    other[label == parsing.HEAD] = 0
    np.testing.assert_array_equal(clothes_histogram(other, label), before)
    other[label == parsing.UPPER_CLOTHES] = 0
    assert np.abs(clothes_histogram(other, label) - before).max() > 0.1


def test_matching_clothes_fails_once_they_change(tmp_path):
    options = SyntheticOptions(
        train_identities=0, test_identities=12, outfits=2, cameras=2, seed=3
    )
    table = yardsticks(generate(tmp_path / "a", options, workers=1, progress=False))
    histogram, chance = table["clothes histogram"], table["chance"]
    assert histogram["same_clothes"][0] > 4 * chance["same_clothes"][0]
    assert histogram["clothes_changing"][0] < 1.5 * chance["clothes_changing"][0]
    for rule in ("general", "same_clothes", "clothes_changing"):
        assert table["true identity"][rule] == (1, 1)
