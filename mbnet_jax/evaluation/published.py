"""Published figures of networks tested on a dataset that they were not trained on.

No verified ones were found for MSMT17 to LTCC or PRCC, or between LTCC and PRCC.
"""

from typing import NamedTuple

# What a figure is known from: the authors' own page or code, or somebody's quotation.
READ, QUOTED = "read at the source", "quoted"
UNSAID = "not said"  # a protocol


class Published(NamedTuple):
    """One figure.

    Attributes:
      dataset: a key of `DATASETS`, the one tested on.
      method: the network.
      trained_on: its training data, for people.
      rank1, mAP: in 0..1; None where none is given.
      source: where it is from.
      mark: `READ` or `QUOTED`.
      protocol: one of the dataset's, or `UNSAID`; "": the only one.
      variant: of the dataset; "": the only one, or not said.
    """

    dataset: str
    method: str
    trained_on: str
    rank1: float | None
    mAP: float | None
    source: str
    mark: str
    protocol: str = ""
    variant: str = ""


_LAST = "README of LaST (Shu et al., TCSVT 2022), github.com/shuxjweb/last"
_TORCHREID = "model zoo of torchreid, github.com/KaiyangZhou/deep-person-reid"
_OPENUNREID = "model zoo of OpenUnReID, github.com/open-mmlab/OpenUnReID"
_SAPIENS = "SapiensID (CVPR 2025)"


def _of_last(
    dataset: str, protocol: str, *figures: tuple[str, float, float]
) -> list[Published]:
    method = "LaST's baseline"
    return [
        Published(dataset, method, trained_on, rank1, mAP, _LAST, READ, protocol)
        for trained_on, rank1, mAP in figures
    ]


def _torchreid(dataset: str, trained_on: str, rank1: float, mean: float) -> Published:
    return Published(dataset, "OSNet-AIN", trained_on, rank1, mean, _TORCHREID, READ)


def _sapiens(
    dataset: str, rank1: float | None, mean: float | None, *protocol: str
) -> Published:
    return Published(
        *(dataset, "SapiensID", "its own web data", rank1, mean, _SAPIENS, QUOTED),
        *protocol,
    )


PUBLISHED = (
    *_of_last(
        "prcc",
        UNSAID,
        ("ImageNet", 0.247, 0.135),
        ("Market-1501", 0.290, 0.243),
        ("DukeMTMC-reID", 0.283, 0.241),
        ("MSMT17", 0.262, 0.246),
        ("LaST", 0.393, 0.326),
    ),
    *_of_last(
        "celeb_reid",
        "",
        ("ImageNet", 0.287, 0.030),
        ("Market-1501", 0.367, 0.037),
        ("DukeMTMC-reID", 0.409, 0.046),
        ("MSMT17", 0.434, 0.050),
        ("LaST", 0.470, 0.070),
    ),
    _torchreid("market1501", "DukeMTMC-reID", 0.610, 0.306),
    _torchreid("market1501", "MSMT17, all its images", 0.701, 0.433),
    _torchreid("market1501", "Duke, CUHK03, MSMT17", 0.733, 0.458),
    _torchreid("cuhk03", "Market, Duke, MSMT17", 0.274, 0.271),
    _torchreid("msmt17", "Market, Duke, CUHK03", 0.402, 0.162),
    Published(
        *("market1501", "direct transfer", "DukeMTMC-reID", 0.589, 0.272),
        *(_OPENUNREID, READ),
    ),
    _sapiens("market1501", None, 0.683),
    _sapiens("msmt17", None, 0.310, "", "v1"),
    _sapiens("ltcc", None, 0.369, "general"),
    _sapiens("ltcc", 0.426, None, "clothes_changing"),
    _sapiens("prcc", 0.788, None, UNSAID),
    _sapiens("ccvid", 0.926, None, UNSAID),
)


def published(dataset: str, protocol: str, variant: str = "") -> list[Published]:
    """The figures for a dataset under a protocol, or where that is not said.

    Figures for a variant are not for another one.
    """
    return [
        figure
        for figure in PUBLISHED
        if figure.dataset == dataset
        and figure.protocol in ("", UNSAID, protocol)
        and (not variant or figure.variant in ("", variant))
    ]
