"""Images that vanish while training, and data that is another's at the next start."""

import shutil
from collections.abc import Iterator

from tests.faults.kills import _last_step
from tests.faults.rows import Row, Setting


def vanished(setting: Setting) -> Iterator[Row]:
    """Deletes an image, or the prepared copies, once the training is under way."""
    for what in ("an image vanishes", "the prepared copy vanishes"):
        place = setting.place(data=True)
        process = place.begin()
        process.wait_until(lambda p=place: _last_step(p) > 3)
        if "image" in what:
            min(place.data.glob("synthetic/*/train/*.jpg")).unlink()
        else:
            shutil.rmtree(place.data / "prepared")
        ended = process.end()
        # Open files stay; a process that has not opened one yet may miss it.
        kept = ended.code == 0 if "image" in what else ended.code is not None
        promised = "trains on" if "image" in what else "trains on, or an error"
        yield setting.row(what, "training", promised, ended, kept, place)


def changed(setting: Setting) -> Iterator[Row]:
    """Starts a trained run again with other data, or with an image more."""
    place = setting.place(data=True, run=True)
    ended = place.begin(place.command(data__synthetic__seed=1)).end()
    kept = ended.code == 1 and "data.synthetic.seed: 0 -> 1" in ended.said
    promised = "refused, naming what differs"
    yield setting.row("other data", "next start", promised, ended, kept, place)

    place = setting.place(data=True, run=True)
    (folder,) = place.data.glob("synthetic/*/train")
    surplus = folder / "0009_1_c1_1.jpg"
    surplus.write_bytes(next(folder.glob("*.jpg")).read_bytes())
    ended = place.complete()
    kept = ended.code == 1 and surplus.name in ended.error
    surplus.unlink()
    yield setting.row("an image more", "next start", promised, ended, kept, place)
