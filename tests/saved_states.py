"""States of a network of one array, and their checkpoints on disk."""

import jax
import numpy as np

from mbnet_jax.devices.mesh import make_mesh, replicated
from mbnet_jax.runs.checkpoints import Checkpoints
from mbnet_jax.training.state import TrainState

ONE = make_mesh(jax.devices()[:1])


def new_state(mesh=ONE, size=30_000):
    zero = np.int32(0)
    weights = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    state = TrainState(
        zero, zero, zero, {"w": weights}, {"mean": weights + 1}, {"momentum": -weights}
    )
    return jax.device_put(state, replicated(mesh))


def changed(state):
    return state.replace(
        step=state.step + 1, params=jax.tree.map(lambda w: w * 1.5 - 0.1, state.params)
    )


def states(count):
    found = [new_state()]
    for _ in range(count):
        found.append(changed(found[-1]))
    return found


def assert_equal(expected, found):
    jax.tree.map(np.testing.assert_array_equal, expected, found)


def progress(best, score=0.5):
    return {"best_step": best, "best_score": score}


def write(workdir, bests, keep=2):
    """Saves steps 1, 2, ...; `bests[i]` is the best step by step i + 1."""
    made = states(len(bests))
    with Checkpoints(workdir, keep) as checkpoints:
        for state, best in zip(made[1:], bests, strict=True):
            checkpoints.save(int(state.step), state.parts(), progress(best))
    return made


def on_disk(workdir):
    return {
        folder: sorted(p.name for p in (workdir / folder).iterdir())
        for folder in ("checkpoints", "best", "set_aside")
        if (workdir / folder).is_dir()
    }


def read(workdir, which, create=False):
    """The state of a checkpoint, and the progress saved with it."""
    abstract = jax.eval_shape(new_state).parts()
    with Checkpoints(workdir, create=create) as checkpoints:
        if which == "resume":
            restored = checkpoints.resume(abstract, ONE)
        else:
            restored = checkpoints.restore(which, abstract, ONE)
    state = TrainState.of_parts(restored.parts)
    assert restored.step == int(state.step)
    return state, restored.progress


def read_weights(workdir, which):
    """The weights of a checkpoint, read without its other part."""
    abstract = {"weights": jax.eval_shape(new_state).variables}
    with Checkpoints(workdir, create=False) as checkpoints:
        restored = checkpoints.restore(which, abstract, ONE)
    assert restored.parts.keys() == {"weights"}
    return restored.parts["weights"]
