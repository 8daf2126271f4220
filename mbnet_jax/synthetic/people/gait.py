"""Rotations of the bones of a walking or standing person."""

import dataclasses

import numpy as np

from mbnet_jax.synthetic.people.body import Body

_DOWN = np.array([0.0, -1.0, 0.0])
_FORWARD = np.array([0.0, 0.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Gait:
    """A person's posture and walking style; angles in radians.

    Attributes:
      stride: maximum swing of the thigh.
      knee: maximum bend of the knee.
      arm_swing: maximum swing of the upper arm.
      elbow: bend of the elbow.
      arm_out: how far the arms hang away from the body.
      lean: forward lean of the trunk.
      slump: roundness of the upper back.
      head: forward tilt of the head.
      twist: rotation of the shoulders against the pelvis.
      stance: outward lean of the legs.
      toe_out: outward rotation of the feet.
    """

    stride: float
    knee: float
    arm_swing: float
    elbow: float
    arm_out: float
    lean: float
    slump: float
    head: float
    twist: float
    stance: float
    toe_out: float


def sample_gait(rng: np.random.Generator) -> Gait:
    """Draws a random gait."""
    return Gait(
        stride=rng.uniform(0.28, 0.5),
        knee=rng.uniform(0.6, 1.1),
        arm_swing=rng.uniform(0.1, 0.55),
        elbow=rng.uniform(0.1, 0.7),
        arm_out=rng.uniform(0.06, 0.24),
        lean=rng.uniform(-0.06, 0.14),
        slump=rng.uniform(0.0, 0.3),
        head=rng.uniform(-0.1, 0.25),
        twist=rng.uniform(0.02, 0.14),
        stance=rng.uniform(-0.01, 0.07),
        toe_out=rng.uniform(-0.05, 0.3),
    )


def rotation(axis: int, angle: float) -> np.ndarray:
    """Returns the right-handed rotation matrix [3, 3] about a coordinate axis."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    result = np.eye(3)
    result[i, i] = result[j, j] = c
    result[j, i], result[i, j] = s, -s
    return result


def rotation_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns the smallest rotation [3, 3] from direction `start` to `end`."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    v, cosine = np.cross(start, end), start @ end
    skew = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def walking_pose(
    body: Body,
    joints: np.ndarray,
    gait: Gait,
    phase: float,
    pace: float,
    look: float = 0.0,
) -> np.ndarray:
    """Returns the rotations for `Body.transforms`, float64 [bones, 3, 3].

    Args:
      body: the skeleton.
      joints: float [J, 3] rest joints of the person.
      gait: the person's posture and walking style.
      phase: position in the walking cycle, in radians; at pi / 2 the left leg is
        farthest ahead.
      pace: share of the gait's swing: 0 stands still, 1 walks.
      look: rotation of the head to the person's left, in radians.
    """
    result = np.tile(np.eye(3), (len(body.bones), 1, 1))
    at = {name: k for k, name in enumerate(body.bones)}
    x, y = 0, 1

    swing = np.sin(phase) * pace
    result[at["pelvis"]] = rotation(y, -gait.twist * swing)
    result[at["spine_01"]] = rotation(x, gait.lean * 0.5)
    twist = rotation(y, gait.twist * swing)
    result[at["spine_02"]] = rotation(x, gait.lean * 0.5) @ twist
    result[at["spine_03"]] = rotation(x, gait.slump * 0.5) @ twist
    result[at["neck_01"]] = rotation(x, gait.slump * 0.2) @ rotation(y, look * 0.4)
    tilt = gait.head - gait.slump * 0.5 - gait.lean * 0.7
    result[at["head"]] = rotation(x, tilt) @ rotation(y, look * 0.6)

    for side, sign, lead in (("l", 1, phase), ("r", -1, phase + np.pi)):
        thigh = gait.stride * pace * np.sin(lead) + 0.08 * pace
        knee = 0.06 + gait.knee * pace * max(0.0, np.cos(lead + 0.6)) ** 2
        hip, ankle = joints[at[f"thigh_{side}"]], joints[at[f"foot_{side}"]]
        leg = np.array([ankle[0] - hip[0], ankle[1] - hip[1], 0])
        stance = np.array([sign * np.sin(gait.stance), -np.cos(gait.stance), 0])
        upright = rotation_between(leg, stance)
        result[at[f"thigh_{side}"]] = (
            rotation(x, -thigh) @ rotation(y, sign * gait.toe_out) @ upright
        )
        result[at[f"calf_{side}"]] = rotation(x, knee)
        # The foot stays partly level; the heel lifts as the leg moves back.
        level = 0.55 * (thigh - knee)
        push = 0.35 * pace * max(0.0, -np.sin(lead))
        result[at[f"foot_{side}"]] = rotation(x, level + push)
        result[at[f"ball_{side}"]] = rotation(x, -0.6 * push)

        shoulder = joints[at[f"upperarm_{side}"]]
        elbow, wrist = joints[at[f"lowerarm_{side}"]], joints[at[f"hand_{side}"]]
        upper, lower = elbow - shoulder, wrist - elbow
        hang = (
            sign * np.sin(gait.arm_out) * np.array([1, 0, 0])
            + np.cos(gait.arm_out) * _DOWN
        )
        down = rotation_between(upper, hang)
        arm = -gait.arm_swing * pace * np.sin(lead)
        result[at[f"upperarm_{side}"]] = rotation(x, -arm) @ down
        # The elbow bends more as the arm swings forward; in the rest pose's axes.
        bend = gait.elbow + 0.5 * max(0.0, arm)
        hanging = np.cos(bend) * hang + np.sin(bend) * _FORWARD
        result[at[f"lowerarm_{side}"]] = rotation_between(lower, down.T @ hanging)
    return result
