"""Folders of generated datasets, and their options."""

import dataclasses
import functools
import shutil
from pathlib import Path

from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.generate import DONE, read_options

from . import mutate, networks
from .case import Case, surface
from .choices import Choices

OPTIONS = SyntheticOptions(
    train_identities=1,
    test_identities=1,
    outfits=1,
    cameras=1,
    train_images=1,
    height=64,
    width=32,
)
IMAGES = 3


@functools.cache
def template() -> Path:
    return generate(networks.folder() / "synthetic", OPTIONS, workers=1, progress=False)


def prepare() -> None:
    template()


def _images(root: Path) -> dict[str, bytes]:
    found = [*root.rglob("*.jpg"), *root.rglob("*.png")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


@surface("synthetic", share=10, seconds=40)
def folders(c: Choices, folder: Path) -> Case:
    """A generated folder lost a file, has another's, or a damaged record."""
    root = folder / "made"
    shutil.copytree(template(), root)
    done = root / DONE
    kind = c.pick(
        ("record", "record", "read", "gone", "foreign", "other", "file", "new")
    )
    tokens = (DONE, root.name)
    valid: bool | None = None
    options, writes = OPTIONS, (root,)
    run = functools.partial(generate, root, options, workers=1, progress=False)
    if kind in ("record", "read"):
        what, _, data = mutate.odd_json(c, OPTIONS.record())
        done.write_bytes(data)
        if kind == "read":
            read = functools.partial(read_options, root)
            return Case(f"read {what}", read, tokens, _whole_options)
    elif kind == "file":
        what = mutate.odd_file(c, done)
    elif kind == "gone":
        images = sorted([*root.rglob("*.jpg"), *root.rglob("*.png")])
        path = c.pick(images)
        path.unlink()
        what = path.name
    elif kind == "foreign":
        what = c.pick(
            ("thesis.tex", "train/thesis.tex", "train/0009_1_c1_1.jpg", "a/b")
        )
        (root / what).parent.mkdir(exist_ok=True)
        (root / what).write_text("years of work")
        writes = (root / "new",)
        tokens = (*tokens, Path(what).name)
    elif kind == "other":
        options = dataclasses.replace(OPTIONS, seed=4)
        run = functools.partial(generate, root, options, workers=1, progress=False)
        what = "other options"
        (root / "train" / "thesis.tex").write_text("years of work")
        writes, valid = (root / "new",), False
        tokens = (*tokens, "thesis.tex")
    else:
        shutil.rmtree(root)
        what = c.pick(("somebody's", "record beside somebody's", "nothing"))
        root.mkdir()
        if what != "nothing":
            (root / "train").mkdir()
            (root / "train" / "thesis.tex").write_text("years of work")
            writes, valid = (root / "new",), False
        if what.startswith("record"):
            done.write_text("{}")
        tokens = (*tokens, "thesis.tex", "train")

    def check(_) -> str | None:
        found, wanted = _images(root), _images(template())
        missing = [name for name in wanted if found.get(name) != wanted[name]]
        return f"missing or other: {missing}" if missing else None

    return Case(
        f"{kind}: {what}", run, tokens, check, valid, writes=writes, unsown=(root,)
    )


def _whole_options(found) -> str | None:
    return None if isinstance(found, SyntheticOptions) else f"{found!r}"


@surface("options", share=10, seconds=20)
def options(c: Choices, folder: Path) -> Case:
    """An option of the generator is odd."""
    name = c.pick([field.name for field in dataclasses.fields(SyntheticOptions)])
    new = mutate.value(c)
    certain = (
        isinstance(new, bool) or not isinstance(new, int) or new < 0 or new > 10**9
    )
    return Case(
        f"{name}={mutate.shown(new)}",
        lambda: SyntheticOptions(**{name: new}),
        (name,),
        valid=False if certain else None,
    )
