"""A synthetic clothes-changing re-identification dataset, rendered on the CPU.

People are MakeHuman bodies, each with its own build, skin, hair, face, posture and
gait; their clothes come from one wardrobe that everybody shares. Matching clothes
fails on this dataset; matching body, head and limbs succeeds.

The modules, in the order in which an image is made:

options     size and seed of a dataset, and the random streams derived from the seed
clothes/    garments, accessories, prints, and the wardrobes that people draw from
people/     bodies, gaits and poses; dressed, posed and drawn
cameras/    where cameras hang, how they crop people, the quality of their images
scenes/     what is behind people and in front of them
noise       smooth random fields, which make surfaces uneven
textures    plain walls, floors and colours, for cameras and scenes
render      one image with its parsing map, from all of the above
parser_errors  parsing maps as a parser makes them, which are not exact
shots       which images a dataset has, and their paths
folder      what is in a dataset's folder, and what is missing
workers     processes that render, and end with the one that started them
generate    all files of a dataset, in parallel, resumable

Two commands inspect a dataset: `python -m mbnet_jax.synthetic.sheet` draws a contact
sheet, `python -m mbnet_jax.synthetic.yardsticks` measures how hard the dataset is.
"""

from mbnet_jax.synthetic.generate import generate
from mbnet_jax.synthetic.options import SyntheticOptions

__all__ = ["SyntheticOptions", "generate"]
