"""A person: body, skin, hair, face, posture and gait, but no clothing."""

import dataclasses

import numpy as np

from mbnet_jax.synthetic.options import IDENTITY, SyntheticOptions
from mbnet_jax.synthetic.people.gait import Gait, sample_gait

HAIR_STYLES = (
    "bald",
    "buzz",
    "short",
    "receding",
    "curly",
    "bob",
    "long",
    "ponytail",
    "bun",
)
BEARDS = ("none", "stubble", "moustache", "goatee", "full")

_MALE_STYLES = (0.1, 0.18, 0.38, 0.14, 0.1, 0.04, 0.03, 0.02, 0.01)
_FEMALE_STYLES = (0.0, 0.02, 0.12, 0.0, 0.12, 0.24, 0.26, 0.14, 0.1)
_MALE_BEARDS = (0.45, 0.2, 0.08, 0.1, 0.17)
# African, Asian, Caucasian; RGB in 0..1.
_SKIN = np.array([[0.36, 0.23, 0.16], [0.80, 0.60, 0.45], [0.87, 0.67, 0.56]])
_BLACK, _BROWN, _FAIR = (0.07, 0.06, 0.06), (0.25, 0.15, 0.09), (0.72, 0.55, 0.32)
_RED, _GREY, _WHITE = (0.48, 0.2, 0.1), (0.5, 0.49, 0.48), (0.83, 0.82, 0.8)
_HAIR_COLOURS = np.array([_BLACK, _BROWN, _FAIR, _RED])


@dataclasses.dataclass(frozen=True)
class Identity:
    """The traits of a person that do not depend on clothes.

    Attributes:
      phenotype: float64 [9], as `Body.phenotypes` names them (0 is male).
      skin, hair_colour, lips: float64 [3] RGB in 0..1.
      hair: one of HAIR_STYLES.
      hair_length: 0..1 within the style.
      fringe: how far the hair comes down the forehead, in metres.
      beard: one of BEARDS.
      brows: height of the eyebrows, in metres.
      glasses: 0 none, 1 thin frames, 2 thick frames, 3 dark glasses.
      gait: posture and walking style.
    """

    phenotype: np.ndarray
    skin: np.ndarray
    hair_colour: np.ndarray
    lips: np.ndarray
    hair: str
    hair_length: float
    fringe: float
    beard: str
    brows: float
    glasses: int
    gait: Gait

    @property
    def female(self) -> bool:
        """Whether the body is closer to the female end of the scale."""
        return bool(self.phenotype[0] > 0.5)

    def parameters(self) -> np.ndarray:
        """Returns all traits as one float64 vector with entries of order 1."""
        styles = np.array(HAIR_STYLES) == self.hair
        beards = np.array(BEARDS) == self.beard
        glasses = np.arange(4) == self.glasses
        return np.concatenate(
            [
                self.phenotype,
                self.skin,
                self.hair_colour,
                self.lips,
                styles,
                [self.hair_length, 20 * self.fringe, 100 * self.brows],
                beards,
                glasses,
                np.array(dataclasses.astuple(self.gait)) * 3,
            ]
        )


def sample_identity(options: SyntheticOptions, pid: int) -> Identity:
    """Returns the person with number `pid` of a dataset."""
    return random_identity(options.rng(IDENTITY, pid))


def random_identity(rng: np.random.Generator) -> Identity:
    """Draws a random person."""
    female = rng.random() < 0.5
    race = rng.dirichlet((0.35, 0.35, 0.45))
    age = rng.beta(1.2, 2.0)  # 0 young adult, 1 old
    phenotype = np.array(
        [
            1 - rng.uniform(0, 0.15) if female else rng.uniform(0, 0.15),
            0.62 + 0.34 * age,
            rng.beta(1.6, 1.6),
            rng.beta(1.4, 1.6),
            rng.uniform(0.27, 0.5),
            rng.beta(1.5, 1.5),
            rng.random(),
            race[0],
            race[1],
        ]
    )
    skin = np.exp(race @ np.log(_SKIN)) * np.exp(rng.normal(0, 0.1))
    skin = np.clip(skin * np.exp(rng.normal(0, 0.03, 3)), 0.08, 0.95)

    fair = 0.45 * race[2] ** 2
    weights = np.array([1 - 0.7 * race[2], 0.5 * race[2] + 0.1, fair, fair / 4])
    hair_colour = _HAIR_COLOURS[rng.choice(4, p=weights / weights.sum())]
    grey = np.clip((age - 0.4) * 2.5 + rng.normal(0, 0.25), 0, 1)
    silver = np.array(_GREY if rng.random() < 0.6 else _WHITE)
    hair_colour = (1 - grey) * hair_colour + grey * silver
    hair_colour = np.clip(
        hair_colour * np.exp(rng.normal(0, [0.03] * 3) + rng.normal(0, 0.15)),
        0.02,
        0.95,
    )

    style = rng.choice(HAIR_STYLES, p=_FEMALE_STYLES if female else _MALE_STYLES)
    beard = "none" if female else str(rng.choice(BEARDS, p=_MALE_BEARDS))
    lips = skin * np.array([1.0, 0.72, 0.72])
    if female and rng.random() < 0.4:
        lips = np.array([0.62, 0.12, 0.16]) * rng.uniform(0.8, 1.1)
    return Identity(
        phenotype=phenotype,
        skin=skin,
        hair_colour=hair_colour,
        lips=lips,
        hair=str(style),
        hair_length=rng.random(),
        fringe=rng.uniform(-0.01, 0.03),
        beard=beard,
        brows=rng.uniform(0.003, 0.008),
        glasses=int(rng.choice(4, p=(0.65, 0.14, 0.14, 0.07))),
        gait=sample_gait(rng),
    )
