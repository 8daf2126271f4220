"""A made-up clothes-changing re-identification dataset, drawn on the CPU.

People are MakeHuman bodies with their own build, skin, hair, face, posture and gait;
what they wear comes from a wardrobe that all of them share. Whoever matches clothes
fails on it; whoever reads body, head and limbs succeeds.
"""

from mbnet_jax.synthetic.generate import generate
from mbnet_jax.synthetic.options import SyntheticOptions

__all__ = ["SyntheticOptions", "generate"]
