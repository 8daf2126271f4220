"""What people of the synthetic dataset do besides walking."""

import numpy as np
import pytest

from mbnet_jax.synthetic import SyntheticOptions
from mbnet_jax.synthetic.clothes.wardrobe import make_wardrobe, sample_outfits
from mbnet_jax.synthetic.people.body import BODY, load_body, skin
from mbnet_jax.synthetic.people.dressing import dress
from mbnet_jax.synthetic.people.figure import pose_figure
from mbnet_jax.synthetic.people.fitting import Hold
from mbnet_jax.synthetic.people.identity import sample_identity
from mbnet_jax.synthetic.people.poses import POSES, any_pose, bend_arm, pose_of

OPTIONS = SyntheticOptions(garments=40, accessories=1.0, poses="any")


def person(pid):
    identity = sample_identity(OPTIONS, pid)
    body = load_body()
    return body, identity, *body.shape(body.coefficients(identity.phenotype))


def test_walking_is_about_half_of_what_people_do():
    assert sum(POSES.values()) == pytest.approx(1)
    assert 0.4 <= POSES["walk"] <= 0.6
    assert POSES["sit"] < 0.05


@pytest.mark.parametrize("what", POSES)
def test_a_pose_keeps_the_person_in_one_piece(what):
    for pid in (1, 6, 11):
        body, identity, vertices, joints = person(pid)
        rng = np.random.default_rng(pid)
        rotations = pose_of(what, body, joints, identity.gait, 1.0, rng)
        eye = np.broadcast_to(np.eye(3), rotations.shape)
        np.testing.assert_allclose(rotations @ rotations.mT, eye, atol=1e-6)
        np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)
        moved = body.transforms(joints, rotations)
        posed = skin(vertices, moved, body.bone_index, body.bone_weight)
        faces = body.faces[body.face_mesh == BODY]
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
        at_rest = np.linalg.norm(np.diff(vertices[edges], axis=1), axis=-1)
        after = np.linalg.norm(np.diff(posed[edges], axis=1), axis=-1)
        assert (after - at_rest).max() < 0.12
        # Both feet are below the pelvis, and the head is above.
        at = {
            name: (moved[k, :, :3] @ joints[k] + moved[k, :, 3])
            for k, name in enumerate(body.bones)
        }
        assert max(at["foot_l"][1], at["foot_r"][1]) < at["pelvis"][1]
        assert at["head"][1] > at["pelvis"][1] + 0.3


def test_everybody_stands_on_the_floor_with_what_they_carry():
    wardrobe = make_wardrobe(OPTIONS)
    for pid in range(1, 16):
        identity = sample_identity(OPTIONS, pid)
        outfit = sample_outfits(OPTIONS, wardrobe, pid, identity.female)[0]
        dressed = dress(load_body(), identity, outfit)
        rng = np.random.default_rng(pid)
        posed = pose_figure(dressed, identity, 1.0, rng, "any")
        assert np.isfinite(posed).all()
        assert posed[dressed.own, 1].min() == pytest.approx(0, abs=1e-5)
        if outfit.has("trolley"):
            rolling = dressed.bone_index[:, 0] == len(load_body().bones) + 1
            assert 0 < posed[rolling, 1].min() < 0.1


def test_a_hand_is_where_it_is_held():
    body, _, _, joints = person(4)
    at = body.bones.index
    for side, s in ((1, "l"), (-1, "r")):
        rotations = np.tile(np.eye(3), (len(body.bones), 1, 1))
        place = joints[at(f"upperarm_{s}")] + (-0.05 * side, -0.1, 0.35)
        bend_arm(body, joints, rotations, Hold(side, place, np.array([side, -1.0, 0])))
        moved = body.transforms(joints, rotations)
        elbow, wrist = joints[at(f"lowerarm_{s}")], joints[at(f"hand_{s}")]
        palm = wrist + 0.3 * (wrist - elbow)
        hand = moved[at(f"hand_{s}")]
        np.testing.assert_allclose(hand[:, :3] @ palm + hand[:, 3], place, atol=1e-4)
        # The elbow points to the outside and down.
        arm = moved[at(f"lowerarm_{s}")]
        elbow = arm[:, :3] @ elbow + arm[:, 3] - joints[at(f"upperarm_{s}")]
        assert elbow[1] < -0.1
        # A place out of reach is approached in its direction.
        far = joints[at(f"upperarm_{s}")] + (0, 0, 5.0)
        bend_arm(body, joints, rotations, Hold(side, far, np.array([side, -1.0, 0])))
        hand = body.transforms(joints, rotations)[at(f"hand_{s}")]
        reached = hand[:, :3] @ palm + hand[:, 3] - joints[at(f"upperarm_{s}")]
        assert reached[2] > 0.95 * np.linalg.norm(reached)


def test_posture_stays_the_persons_own():
    """Two people who do the same differ more than one person twice."""
    body, one, _, joints = person(1)
    other = sample_identity(OPTIONS, 2)
    spine = [body.bones.index(f"spine_0{k}") for k in (1, 2, 3)]

    def back(identity, seed):
        rng = np.random.default_rng(seed)
        pose = pose_of("stand", body, joints, identity.gait, 1.0, rng)
        return np.array([pose[k] @ (0, 1.0, 0) for k in spine])[:, 2]

    same = np.abs(back(one, 0) - back(one, 1)).max()
    assert np.abs(back(one, 0) - back(other, 0)).max() > 2 * same


def test_poses_are_drawn_from_the_stream_alone():
    body, identity, _, joints = person(3)
    draws = [
        any_pose(body, joints, identity.gait, 1.0, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 0.01
