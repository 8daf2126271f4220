"""Public human parsers: the form of each, and where its ONNX file is.

A preset is a row of `PRESETS`. Revision, checksum and size of a file were read from
public records; a download that differs from them is refused.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A file on the Hugging Face hub.

    Attributes:
      repository: its hub id.
      kind: "model" or "space".
      file: path in the repository.
      revision: the commit, 40 hexadecimal digits.
      sha256: of the file, 64 hexadecimal digits.
      size: of the file, in bytes.
      licence: what is known of it, for the user who is about to download.
    """

    repository: str
    kind: str
    file: str
    revision: str
    sha256: str
    size: int
    licence: str

    @property
    def page(self) -> str:
        """The address of the repository, with the card."""
        spaces = "spaces/" if self.kind == "space" else ""
        return f"https://huggingface.co/{spaces}{self.repository}"

    def address(self, revision: str | None = None) -> str:
        """The address of the file at `revision`; None: at its own."""
        return f"{self.page}/resolve/{revision or self.revision}/{self.file}"


@dataclass(frozen=True)
class Preset:
    """The form of a parser: the values of `ParserOptions`, and the public file.

    Attributes:
      labels, size, channels, fit, output: as in `ParserOptions`.
      source: None: no public ONNX file is known; the user exports one.
    """

    labels: str
    size: tuple[int, int]
    channels: str = "rgb"
    fit: str = "stretch"
    output: int = 0
    source: Source | None = None

    def options(self) -> dict:
        """The values of `ParserOptions` by name."""
        names = ("labels", "size", "channels", "fit", "output")
        return {name: getattr(self, name) for name in names}


_SCHP_LICENCE = (
    "SCHP's code is under the MIT licence; the card of OOTDiffusion, which published "
    "this export, says CC BY-NC-SA 4.0 (not for commercial use)"
)


def _schp(labels: str, side: int, sha256: str = "", size: int = 0) -> Preset:
    """SCHP's form: BGR, aspect kept, and outputs parsing, fusion, edge.

    `sha256` and `size` are those of the public export; "" if there is none.
    """
    source = Source(
        "levihsu/OOTDiffusion",
        "space",
        f"checkpoints/humanparsing/parsing_{labels}.onnx",
        "e2b78bb4869960673c3983e84f07f7fd96ea3090",
        sha256,
        size,
        _SCHP_LICENCE,
    )
    form = (labels, (side, side), "bgr", "pad", 1)
    return Preset(*form, source if sha256 else None)


PRESETS = {
    "segformer": Preset(
        "atr",
        (512, 512),
        source=Source(
            "mattmdjaga/segformer_b2_clothes",
            "model",
            "onnx/model.onnx",
            "584abc1e1d260e23c0fc627c5217a09b2b461046",
            "a93a8dac171b5c1fcc53632a8bfc180bfd9759ea69a3e207451bb07f76add54f",
            110_039_290,
            "its card says MIT; it was trained from NVIDIA's SegFormer, whose own "
            "licence allows use for research and evaluation only (not commercial)",
        ),
    ),
    "schp-lip": _schp(
        "lip",
        473,
        "8436e1dae96e2601c373d1ace29c8f0978b16357d9038c17a8ba756cca376dbc",
        266_863_411,
    ),
    "schp-atr": _schp(
        "atr",
        512,
        "04c7d1d070d0e0ae943d86b18cb5aaaea9e278d97462e9cfb270cbbe4cd977f4",
        266_859_305,
    ),
    "schp-pascal": _schp("pascal", 512),
}
