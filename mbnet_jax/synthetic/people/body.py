"""The parametric body: shape from a phenotype, posed by linear blend skinning.

Distilled from MakeHuman's CC0 assets by `tools/distill_body.py` (see NOTICE).
Axes: x to the person's left, y up, z forward; metres. The mesh also contains a long
skirt and long hair, which garments and hair styles cut to length.
"""

import dataclasses
import functools
import itertools
from importlib import resources

import numpy as np

BODY, SKIRT, HAIR = 0, 1, 2  # values of Body.face_mesh
# In each chain, a bone is the parent of the next.
_CHAINS = (
    ("pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"),
    ("spine_03", "clavicle_l", "upperarm_l", "lowerarm_l", "hand_l"),
    ("spine_03", "clavicle_r", "upperarm_r", "lowerarm_r", "hand_r"),
    ("pelvis", "thigh_l", "calf_l", "foot_l", "ball_l"),
    ("pelvis", "thigh_r", "calf_r", "foot_r", "ball_r"),
)
_PARENTS = {
    bone: parent for chain in _CHAINS for parent, bone in itertools.pairwise(chain)
}
# The middle of each phenotype (age: a mature adult; ancestry: a third of each).
_NEUTRAL = (0.5, 0.8, 0.5, 0.5, 0.5, 0.5, 0.5, 1 / 3, 1 / 3)
_ARM_BONES = ("upperarm", "lowerarm", "hand")


@dataclasses.dataclass(frozen=True)
class Body:
    """The mesh, its shape space and its skeleton (arrays are read-only).

    Attributes:
      mean: float32 [V, 3], rest vertices of the mean adult, in metres.
      components: float32 [K, V, 3], metres per standard deviation.
      joint_mean, joint_components: float32 [J, 3], [K, J, 3]; bones first, then
        landmarks.
      bones, landmarks: names of the joints.
      parents: index of each bone's parent, -1 for the root; parents come first.
      bone_index, bone_weight: int64, float32 [V, 4]; the weights sum to 1.
      faces: int64 [F, 3], anticlockwise from outside.
      face_mesh: uint8 [F], BODY, SKIRT or HAIR.
      phenotypes: names of the phenotype's entries.
      regression: float32 [terms, K], cubic polynomial of the phenotype.
    """

    mean: np.ndarray
    components: np.ndarray
    joint_mean: np.ndarray
    joint_components: np.ndarray
    bones: tuple[str, ...]
    landmarks: tuple[str, ...]
    parents: tuple[int, ...]
    bone_index: np.ndarray
    bone_weight: np.ndarray
    faces: np.ndarray
    face_mesh: np.ndarray
    phenotypes: tuple[str, ...]
    regression: np.ndarray

    @functools.cached_property
    def _neutral(self) -> tuple[np.ndarray, np.ndarray]:
        return self.shape(self.coefficients(np.array(_NEUTRAL)))

    @property
    def canonical(self) -> np.ndarray:
        """Rest vertices [V, 3] of an adult of average build, 1.84 m tall.

        A vertex's position on this adult is its canonical position on everybody.
        """
        return self._neutral[0]

    def canonical_joint(self, name: str) -> np.ndarray:
        """Returns the canonical position [3] of a bone's head or a landmark."""
        return self._neutral[1][(self.bones + self.landmarks).index(name)]

    def coefficients(self, phenotype: np.ndarray) -> np.ndarray:
        """Returns the components [K] of a phenotype [9], whose entries are in 0..1."""
        terms = [1.0]
        for power in (1, 2, 3):
            terms += [
                np.prod(chosen)
                for chosen in itertools.combinations_with_replacement(
                    np.asarray(phenotype, np.float64), power
                )
            ]
        return (np.array(terms) @ self.regression).astype(np.float32)

    def shape(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns rest vertices [V, 3] and joints [J, 3] for components [K]."""
        vertices = self.mean + np.tensordot(coefficients, self.components, 1)
        joints = self.joint_mean + np.tensordot(coefficients, self.joint_components, 1)
        return vertices, joints

    def transforms(self, joints: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """Returns each bone's transform from the rest pose to the posed position.

        Args:
          joints: float [J, 3] rest joints of the person.
          rotations: float [bones, 3, 3], each bone's rotation about its own joint,
            in the rest pose's axes, applied before those of its ancestors.

        Returns:
          float32 [bones, 3, 4]: rotation and translation.
        """
        result = np.zeros((len(self.bones), 3, 4), np.float32)
        for bone, parent in enumerate(self.parents):
            rotation = rotations[bone]
            shift = joints[bone] - rotation @ joints[bone]
            if parent >= 0:
                above = result[parent]
                shift = above[:, :3] @ shift + above[:, 3]
                rotation = above[:, :3] @ rotation
            result[bone, :, :3], result[bone, :, 3] = rotation, shift
        return result

    @functools.cached_property
    def arm_weight(self) -> np.ndarray:
        """Skinning weight of the arm below the shoulder, float32 [V] in 0..1."""
        arm = np.array([bone.startswith(_ARM_BONES) for bone in self.bones])
        return (arm[self.bone_index] * self.bone_weight).sum(1).astype(np.float32)

    @functools.cached_property
    def head_weight(self) -> np.ndarray:
        """Skinning weight of the head, float32 [V] in 0..1."""
        head = self.bone_index == self.bones.index("head")
        return (head * self.bone_weight).sum(1).astype(np.float32)

    @functools.cached_property
    def arm_coordinate(self) -> np.ndarray:
        """Position along the arm, float [V]: 0 shoulder, 1 elbow, 2 wrist."""
        result = np.full(len(self.canonical), -1, np.float32)
        for side, sign in (("l", 1), ("r", -1)):
            shoulder, elbow, wrist = (
                self.canonical_joint(f"{bone}_{side}") for bone in _ARM_BONES
            )
            along = [
                ((self.canonical - a) @ (b - a)) / ((b - a) @ (b - a))
                for a, b in ((shoulder, elbow), (elbow, wrist))
            ]
            # Continuous at the elbow, except for its bend in the rest pose.
            position = np.where(along[1] > 0, 1 + along[1], np.minimum(along[0], 1))
            result = np.where(sign * self.canonical[:, 0] > 0, position, result)
        return result


def skin(
    vertices: np.ndarray,
    transforms: np.ndarray,
    bone_index: np.ndarray,
    bone_weight: np.ndarray,
) -> np.ndarray:
    """Poses vertices by linear blend skinning.

    Args:
      vertices: float [V, 3] rest vertices.
      transforms: float [bones, 3, 4] from `Body.transforms`.
      bone_index: int [V, 4].
      bone_weight: float [V, 4], whose rows sum to 1.

    Returns:
      float32 [V, 3] posed vertices.
    """
    flat = transforms.reshape(len(transforms), 12)[bone_index]  # [V, 4, 12]
    blended = np.matmul(bone_weight[:, None, :], flat).reshape(-1, 3, 4)
    posed = np.matmul(blended[:, :, :3], vertices[:, :, None])[:, :, 0]
    return (posed + blended[:, :, 3]).astype(np.float32)


@functools.cache
def load_body() -> Body:
    """Reads the body that ships with the package (once per process)."""
    path = resources.files("mbnet_jax") / "assets" / "body.npz"
    with path.open("rb") as file, np.load(file) as data:
        bones = tuple(data["bones"].tolist())
        return Body(
            mean=data["mean"],
            components=data["components"].astype(np.float32),
            joint_mean=data["joint_mean"],
            joint_components=data["joint_components"],
            bones=bones,
            landmarks=tuple(data["landmarks"].tolist()),
            parents=tuple(
                bones.index(_PARENTS[bone]) if bone in _PARENTS else -1
                for bone in bones
            ),
            bone_index=data["bone_index"].astype(np.int64),
            bone_weight=data["bone_weight"],
            faces=data["faces"].astype(np.int64),
            face_mesh=data["face_mesh"],
            phenotypes=tuple(data["phenotypes"].tolist()),
            regression=data["regression"],
        )
