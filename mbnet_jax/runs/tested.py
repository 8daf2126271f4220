"""What an evaluation tests: the dataset that a run was trained on, or another one."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import NamedTuple

from ml_collections import ConfigDict

from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.data.parts import names_of, parts_of, queries_of, trained_splits

# Datasets whose images the config decides on: its name is theirs.
_OWN_NAMES = ("manifest", "synthetic")
# Fields of `eval` that change no value: how much is drawn, or computed at a time.
_NO_VALUES = (
    *("every_epochs", "batch_size", "false_accept_rate"),
    *("figure_queries", "report", "report_lists", "report_queries"),
)
_PREDICTED = "predicted-maps"
_MOST = 100  # characters of a folder's name


@dataclass(frozen=True)
class Tested:
    """One dataset that a run is tested on.

    Attributes:
      config: of the test; its `data` is of this dataset alone.
      trained_on: the datasets that the run was trained on, and the network that it
        started from, for people to read.
      dataset: the tested one.
      name: of the folder in `eval/` that its results are in; "": `eval/` itself.
        Results with predicted parsing maps are beside those with given ones.
      part: its name in `data.name`, if that names several.
      own: whether the run was trained on this dataset, and on no other.
      foreign: whether it was not trained on this dataset.
    """

    config: ConfigDict
    trained_on: str
    dataset: str
    name: str = ""
    part: str = ""
    own: bool = True
    foreign: bool = False

    @property
    def title(self) -> str:
        """What the results are about: the config, or the data of training and test."""
        if self.own:
            return self.config.name
        return f"trained on {self.trained_on}, tested on {self.dataset}"

    def headline(self, step: int) -> str:
        """What the results of the checkpoint of `step` are titled."""
        predicted = ", predicted parsing maps" * predicts_maps(self.config)
        return f"{self.title}, step {step}{predicted}"

    @property
    def entries(self) -> dict[str, str]:
        """What `metrics.json` says of the test, besides its results."""
        return {
            "trained_on": self.trained_on,
            "dataset": self.dataset,
            "settings": settings(self.config),
            **({"maps": "predicted"} if predicts_maps(self.config) else {}),
        }


class _Named(NamedTuple):
    """A dataset of a config: its name for people, and its fields."""

    name: str
    part: ConfigDict

    @property
    def title(self) -> str:
        return f"{self.name} {self.part.get('variant', '')}".strip()


def has_own_datasets(saved: ConfigDict, config: ConfigDict) -> bool:
    """Whether `config` names the datasets that a run was trained on.

    Two are the same if name, variant and the fields of `data.synthetic` are, but for
    the size of its pictures. Manifests are the same if they are in the same folder, or
    have the same name: a folder may have moved.

    Args:
      saved: the run's config.
      config: the one to test with.
    """
    trained, given = _datasets(saved), _datasets(config)
    return len(trained) == len(given) and all(map(_same, trained, given))


def tests_of(saved: ConfigDict, config: ConfigDict) -> list[Tested]:
    """What there is to test: an entry for each dataset of `config`.

    Unless they are the run's own, the network, `views` and image size are the run's,
    and `config` decides on `data` and `eval`.

    Args:
      saved: the run's config.
      config: the one to test with.
    """
    trained, given = _datasets(saved), _datasets(config)
    titles, trained_on = " + ".join(trained_titles(saved)), trained_title(saved)
    own = has_own_datasets(saved, config)
    if own and len(given) == 1:
        return [Tested(config, trained_on, titles, _folder("", config))]
    used = config if own else with_network_of(saved, config)
    tests = []
    for (key, part), one in zip(parts_of(used.data).items(), given, strict=True):
        known = next((each for each in trained if _same(each, one)), None)
        title = known.title if known else one.title
        if not known and title in {titles, *(each.title for each in trained)}:
            title = f"{title} {_digest(_identity(one.part))}"
        name = title if known else config.name if len(given) == 1 else key
        if not name or (not known and name in {saved.name, *names_of(saved.data)}):
            name = title
        alone = used.to_dict() | {"name": config.name, "data": part.to_dict()}
        alone["eval"]["report_queries"] = queries_of(config, key)
        tests.append(
            Tested(
                ConfigDict(alone),
                trained_on,
                title,
                _folder(name.replace(" ", "-"), used),
                key if len(given) > 1 else "",
                own=False,
                foreign=known is None,
            )
        )
    return tests


def trained_titles(saved: ConfigDict) -> tuple[str, ...]:
    """The datasets that a run was trained on, as results on them name them."""
    return tuple(one.title for one in _datasets(saved))


def trained_title(saved: ConfigDict) -> str:
    """What a run was trained on, and the network that it started from, in words."""
    title = " + ".join(one.title + trained_splits(one.part) for one in _datasets(saved))
    initial = saved.model.get("initial", "")
    return title + (f", started from {initial}" if initial else "")


def _folder(name: str, config: ConfigDict) -> str:
    """The name, with an addition if the parsing maps are predicted."""
    return "-".join([name] * bool(name) + [_PREDICTED] * predicts_maps(config))


def with_network_of(saved: ConfigDict, config: ConfigDict) -> ConfigDict:
    """A run's config, with `data` and `eval` of another one.

    The image size stays the run's, and so does what selects its checkpoints, or nobody
    is held out if the dataset is another one.
    """
    fields = config.copy_and_resolve_references().to_dict()
    kept = ("height", "width", "validation", "validation_fraction")
    data = fields["data"] | {field: saved.data[field] for field in kept}
    if not has_own_datasets(saved, config):
        data["validation"] = "none"
    own = saved.copy_and_resolve_references().to_dict()
    return ConfigDict(own | {"data": data, "eval": fields["eval"]})


def folder_name(name: str) -> str:
    """`name`, where it can be a folder's; otherwise what is like it, and a digest."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:_MOST] or "dataset"
    # A file of this name may be beside it.
    reserved = plain.lower() == "lock" or "." in plain
    return f"{plain}-{_digest(name)}" if plain != name or reserved else plain


def settings(config: ConfigDict) -> str:
    """Digest of all but the checkpoint that a test's values depend on: data and eval.

    The folder's images are not read.
    """
    data = config.data
    content = {
        **_identity(data),
        "root": os.path.realpath(data.root),
        "maps": [data.parsing_dir, data.parsing_labels],
        "size": [data.height, data.width],
        "eval": {k: v for k, v in config.eval.items() if k not in _NO_VALUES},
    }
    return _digest(content)


def _datasets(config: ConfigDict) -> list[_Named]:
    parts = parts_of(config.data)
    if len(parts) == 1:
        ((key, part),) = parts.items()
        return [_Named((key in _OWN_NAMES and config.name) or key, part)]
    return [_Named(key, part) for key, part in parts.items()]


def _same(one: _Named, other: _Named) -> bool:
    if _identity(one.part) != _identity(other.part):
        return False
    return (
        one.part.name != "manifest"
        or one.name == other.name
        or os.path.realpath(one.part.root) == os.path.realpath(other.part.root)
    )


def _identity(part: ConfigDict) -> dict:
    """What of a dataset's fields says which one it is."""
    people = part.get("synthetic") if part.name == "synthetic" else None
    return {
        "name": part.name,
        "variant": part.get("variant", ""),
        "synthetic": people
        and {k: v for k, v in people.items() if k not in ("height", "width")},
    }


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
