"""What accessories are fitted to: a person's measures, and how parts are attached."""

import dataclasses

import numpy as np

from mbnet_jax.synthetic.people.body import BODY, Body

Mesh = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Part:
    """A rigid part of an accessory, at rest.

    Attributes:
      mesh: float32 [V, 3] vertices, int [F, 3] faces.
      centre: float [3]; the part is painted in coordinates from here, and where it is
        metres below or above, in the second colour alone.
      bone: name of the bone it belongs to; "hanging" and "rolling" follow the hand
        without turning, the latter on the floor.
      boxed: whether a detector's box of the person spans it.
    """

    mesh: Mesh
    centre: np.ndarray
    bone: str
    boxed: bool = True


@dataclasses.dataclass(frozen=True)
class Hold:
    """Where a hand is held: side (1 left, -1 right), and, in the rest pose's axes, the
    place of the palm [3] and the direction [3] in which the elbow points."""

    side: int
    place: np.ndarray
    elbow: np.ndarray


class Fitting:
    """The person's measures, to which accessories are fitted; metres."""

    def __init__(self, body: Body, vertices: np.ndarray, joints: np.ndarray):
        """Measures a person by the mesh at rest."""
        self._body, self._vertices, self._joints = body, vertices, joints
        self._own = np.unique(body.faces[body.face_mesh == BODY])
        brow, nape = self.near(0, 0.93, 0.16), self.near(0, 0.93, -0.045)
        self.wide = self.near(0.077, 0.93, 0.05)[0] + 0.006
        self.deep = (brow[2] - nape[2]) / 2 + 0.006
        self.head = np.array([0, brow[1], (brow[2] + nape[2]) / 2])
        self.crown = self.near(0, 1.014, 0.05)[1] - brow[1]

    def near(self, *point: float) -> np.ndarray:
        """Returns the person's vertex [3] that is nearest to a canonical point."""
        away = ((self._body.canonical[self._own] - point) ** 2).sum(1)
        return self._vertices[self._own[np.argmin(away)]]

    def joint(self, name: str) -> np.ndarray:
        """Returns a rest joint [3]."""
        return self._joints[self._body.bones.index(name)]

    def palm(self, side: int) -> np.ndarray:
        """Returns the middle of the palm at rest, [3]: a little beyond the wrist."""
        s = "l" if side > 0 else "r"
        elbow, wrist = self.joint(f"lowerarm_{s}"), self.joint(f"hand_{s}")
        return wrist + 0.3 * (wrist - elbow)

    def floor(self) -> float:
        """Returns the height of the floor at rest."""
        return float(self._vertices[self._own, 1].min())
