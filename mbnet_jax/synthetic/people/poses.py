"""What people do besides walking: standing, waiting, phoning, running, sitting, ..."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from mbnet_jax.synthetic.people.body import Body
from mbnet_jax.synthetic.people.fitting import Hold
from mbnet_jax.synthetic.people.gait import (
    Gait,
    rotation,
    rotation_between,
    walking_pose,
)
from mbnet_jax.synthetic.people.shapes import vector

# How often people do what; the posture of trunk and head stays their own.
POSES = {
    "walk": 0.5,
    "stand": 0.11,
    "pockets": 0.05,
    "crossed": 0.035,
    "akimbo": 0.03,
    "read_phone": 0.07,
    "call": 0.03,
    "run": 0.05,
    "step": 0.035,
    "bend": 0.02,
    "lean": 0.02,
    "sit": 0.015,
    "wave": 0.015,
    "arms_up": 0.01,
    "push": 0.01,
}


def bend_arm(body: Body, joints: np.ndarray, rotations: np.ndarray, hold: Hold) -> None:
    """Rotates an arm so that its palm is where it is held, in `rotations`.

    The place moves with the chest. A place out of reach is approached.
    """
    s = "l" if hold.side > 0 else "r"
    shoulder, elbow, wrist = (
        body.bones.index(f"{name}_{s}") for name in ("upperarm", "lowerarm", "hand")
    )
    upper, lower = joints[elbow] - joints[shoulder], joints[wrist] - joints[elbow]
    a, b = np.linalg.norm(upper), 1.3 * np.linalg.norm(lower)
    away = hold.place - joints[shoulder]
    distance = np.clip(np.linalg.norm(away), abs(a - b) + 0.02, 0.99 * (a + b))
    away = away / np.linalg.norm(away)
    aside = hold.elbow - (hold.elbow @ away) * away
    aside = aside / np.linalg.norm(aside)
    along = (a * a - b * b + distance**2) / (2 * distance)
    bent = along * away + np.sqrt(max(a * a - along**2, 0.0)) * aside
    raised = rotation_between(upper, bent)
    rotations[shoulder] = raised
    rotations[elbow] = rotation_between(lower, raised.T @ (distance * away - bent))
    rotations[wrist] = np.eye(3)


def _arms(
    what: str,
    joint: dict[str, np.ndarray],
    side: int,
    gait: Gait,
    rng: np.random.Generator,
) -> Hold | None:
    """Returns where this pose holds a hand, if it does."""
    shoulder = joint["upperarm_l" if side > 0 else "upperarm_r"]
    hip, chest, head = joint["pelvis"], joint["spine_03"], joint["head"]
    wide = abs(shoulder[0])
    out, down = np.array([side, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])
    back = np.array([0.0, 0.0, -1.0])
    loose = rng.normal(0, 0.015, 3)
    first = side == 1  # chosen at random by the caller, who swaps the sides
    if what == "pockets":
        place = hip + vector(side * (0.85 * wide + 0.01), -0.05, 0.07)
        return Hold(side, place + loose, out + back)
    if what == "akimbo":
        place = hip + vector(side * (0.9 * wide + 0.02), 0.09, 0.06)
        return Hold(side, place + loose, out + 0.3 * back)
    if what == "crossed":
        place = chest + vector(
            -0.35 * side * wide, 0.03 + 0.035 * side, 0.21 + 0.02 * side
        )
        return Hold(side, place + loose, 0.6 * out + down)
    if what == "read_phone" and (first or gait.elbow > 0.45):
        place = chest + vector(0.04 * side, 0.08 + 0.2 * gait.arm_out, 0.33)
        return Hold(side, place + loose, 0.4 * out + down)
    if what == "call" and first:
        place = head + vector(0.12 * side, -0.08, 0.03)
        return Hold(side, place + 0.5 * loose, out + down)
    if what == "wave" and first:
        place = shoulder + vector(0.2 * side, 0.42, 0.12) + 2 * loose
        return Hold(side, place, out + down)
    if what == "arms_up":
        place = shoulder + vector(0.08 * side, 0.45, 0.05) + 3 * loose
        return Hold(side, place, out + 0.3 * down)
    if what == "push":
        place = shoulder + vector(-0.02 * side, -0.16, 0.45) + loose
        return Hold(side, place, 0.4 * out + down)
    if what == "sit":
        return Hold(side, hip + vector(0.12 * side, 0.02, 0.32) + loose, out + down)
    return None


def _turns(
    what: str, side: str, stride: float, rng: np.random.Generator
) -> Iterator[tuple[str, int, float]]:
    """Yields (bone, axis, angle) by which this pose turns trunk, head and legs."""
    sign = 1 if side == "l" else -1
    other = "r" if side == "l" else "l"
    if what == "stand" and rng.random() < 0.6:  # on one leg
        yield "pelvis", 2, 0.06 * sign
        yield "spine_01", 2, -0.07 * sign
        yield f"thigh_{side}", 0, -rng.uniform(0.05, 0.3)
        yield f"calf_{side}", 0, rng.uniform(0.1, 0.35)
    if what == "read_phone":
        yield "neck_01", 0, 0.12
        yield "head", 0, rng.uniform(0.15, 0.4)
    if what == "step":
        lift = rng.uniform(0.5, 1.0) * (0.5 + 0.5 * stride)
        yield f"thigh_{side}", 0, -lift
        yield f"calf_{side}", 0, 0.95 * lift
        yield "spine_01", 0, 0.12
    if what == "bend":
        angle = rng.uniform(0.2, 0.55)
        for bone in ("spine_01", "spine_02", "spine_03"):
            yield bone, 0, angle / 2
        yield "neck_01", 0, -0.3 * angle
    if what == "lean":
        angle = rng.uniform(0.06, 0.16)
        yield "pelvis", 2, angle * sign
        yield f"thigh_{other}", 0, -0.25
        yield f"calf_{other}", 0, 0.3
    if what == "sit":
        low = rng.uniform(1.25, 1.5)
        for leg in ("l", "r"):
            yield f"thigh_{leg}", 0, -low
            yield f"calf_{leg}", 0, low
        yield "pelvis", 0, -0.08
    if what == "push":
        yield "spine_01", 0, 0.15


def any_pose(
    body: Body, joints: np.ndarray, gait: Gait, stride: float, rng: np.random.Generator
) -> np.ndarray:
    """Draws what a person does; returns the rotations for `Body.transforms`.

    Args:
      body: the skeleton.
      joints: float [J, 3] rest joints of the person.
      gait: the person's posture and walking style.
      stride: the share of a full stride that the clothes allow.
      rng: draws everything.
    """
    what = str(rng.choice([*POSES], p=[*POSES.values()]))
    return pose_of(what, body, joints, gait, stride, rng)


def pose_of(
    what: str,
    body: Body,
    joints: np.ndarray,
    gait: Gait,
    stride: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns the rotations of one of POSES; arguments as for `any_pose`."""
    phase = rng.uniform(0, 2 * np.pi)
    pace = rng.uniform(0.6, 1.0) if what in ("walk", "push") else rng.uniform(0, 0.15)
    if what in ("read_phone", "call", "pockets") and rng.random() < 0.5:
        pace = rng.uniform(0.5, 0.9)
    if what == "run":
        gait = dataclasses.replace(
            gait,
            stride=1.6 * gait.stride + 0.1,
            knee=1.3 * gait.knee + 0.5,
            arm_swing=gait.arm_swing + 0.4,
            elbow=1.2 + 0.4 * gait.elbow,
            lean=gait.lean + 0.14,
        )
        pace = 1.0
    look = rng.normal(0, 0.3) if what in ("walk", "run") else rng.normal(0, 0.5)
    look = float(np.clip(look, -1.1, 1.1))
    result = walking_pose(body, joints, gait, phase, pace * stride, look)
    at = {name: k for k, name in enumerate(body.bones)}
    joint = {name: joints[k] for name, k in at.items()}

    side = "l" if rng.random() < 0.5 else "r"
    sign = 1 if side == "l" else -1
    for bone, axis, angle in _turns(what, side, stride, rng):
        result[at[bone]] = result[at[bone]] @ rotation(axis, angle)
    # The hand that acts is either; the places are made for the left one first.
    for hand in (1, -1):
        hold = _arms(what, joint, hand, gait, rng)
        if hold is not None and sign < 0:
            flip = np.array([-1.0, 1.0, 1.0])
            hold = Hold(-hold.side, hold.place * flip, hold.elbow * flip)
        if hold is not None:
            bend_arm(body, joints, result, hold)
    return result
