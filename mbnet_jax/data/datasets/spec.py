"""What the project knows about one dataset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.data.protocols import Protocol, three_rules
from mbnet_jax.data.records import Records

VALIDATIONS = ("held_out", "own", "none")
Counts = tuple[int | None, int | None]  # of images and persons


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """One dataset: how to read it, and how it is evaluated.

    Attributes:
      name: the value of `data.name` that selects it.
      read: reads `data.root / folder`: labelled images by split, "train" among them.
        Helpers are in `mbnet_jax.data.datasets.reading`. If the dataset has variants,
        its second argument is the one to read; "" if none is there.
      folder: the dataset's own folder inside `data.root`; "" for `data.root` itself.
      citation: title and paper, as in "LTCC (Qian et al., ACCV 2020)".
      source: address to get it from; "" if nobody publishes it.
      counts: split -> (images, persons), as published; None where that is not known.
      tracklet_counts: split -> tracklets, as published.
      protocols: the columns of the results table. Ranked lists are drawn under the
        last one that ranks the whole gallery.
      variants: the values of `data.variant`; () if there is only one. "" asks for the
        variant that is there, and is refused where several are.
      find_variants: takes the same folder; the variants that are in it.
      variant_counts: variant -> what `counts` is for it.
      by_tracklet: whether tracklets are ranked rather than images: the embedding of one
        is the mean of its images'.
      partly_labelled: whether clothes are known of some images of a split only.
        Elsewhere that is a slip, and refused.
      validation: what `data.validation="default"` means: "held_out", "own" or "none".
        "own" takes the split "val", or the queries "val_query" against "val_gallery"
        under the rule of the last protocol.
      make_folder: for generated datasets: takes `config.data`, generates the images
        unless they exist, and returns the folder to read.
    """

    name: str
    read: Callable[..., Records]
    folder: str = ""
    citation: str = ""
    source: str = ""
    counts: Mapping[str, Counts] = field(default_factory=dict)
    tracklet_counts: Mapping[str, int] = field(default_factory=dict)
    protocols: tuple[Protocol, ...] = three_rules()
    variants: tuple[str, ...] = ()
    find_variants: Callable[[Path], Sequence[str]] | None = None
    variant_counts: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)
    by_tracklet: bool = False
    partly_labelled: bool = False
    validation: str = "held_out"
    make_folder: Callable[[ConfigDict], Path] | None = None

    def __post_init__(self):
        """Refuses an unknown validation policy."""
        if self.validation not in VALIDATIONS:
            raise ValueError(
                f"the dataset {self.name} has validation={self.validation!r}; known: "
                f"{', '.join(VALIDATIONS)}"
            )
        if self.variants and self.find_variants is None:
            raise ValueError(
                f"the dataset {self.name} has variants; give find_variants"
            )

    def origin(self, root: Path) -> str:
        """How to get files that are missing in `root`; "" where that is unknown."""
        if self.make_folder:
            return f"Delete {root} and start again to generate it anew."
        if not self.source:
            return ""
        text = f"{self.citation or self.name} comes from {self.source}"
        if self.folder:
            text += f"; data.root is the folder that holds {self.folder}"
        return text
