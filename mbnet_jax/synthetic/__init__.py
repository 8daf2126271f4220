"""A synthetic clothes-changing re-identification dataset, rendered on the CPU.

People are MakeHuman bodies, each with its own build, skin, hair, face, posture and
gait; their clothes come from one wardrobe that everybody shares. Matching clothes
fails on this dataset; matching body, head and limbs succeeds.

The modules, in the order in which an image is made:

options     size and seed of a dataset, and the random streams derived from the seed
identity    a person: body shape, skin, hair, face, posture and gait
garments    what a garment, an accessory and an outfit are
wardrobe    the garments, and the outfits that each person draws from them;
            large_wardrobe makes them by the hundred, with the patterns of prints
            (repeats and motifs, on the coordinates of cloth)
accessories what else belongs to an outfit: hats, masks, bags, an umbrella
body        the parametric body: shape from a phenotype, skeleton, skinning
dressing    the body's mesh with garments and hair (by inflation) and bags; parts
            and headwear are the meshes of accessories, of shapes, by fitting
pose        rotations of the bones of a walking or standing person; poses: of one who
            does something else
camera      position, light and image quality; its floor and wall are in textures. Of
            varied cameras these are in camera_kinds, and their images in sensor;
            boxes are those of a detector that is sometimes wrong
figure      poses and draws a dressed person; raster is the z-buffer, paint gives each
            visible point its colour and label, worn those of accessories
kinds       the names of scenes and occluders
background  draws floor, wall and shadow, or a scene, behind the person, and occluders
            of one colour in front; occluders has those with textures
scenes      what one camera sees around people: painted by scene_town, scene_nature,
            scene_indoor and scene_public on a canvas in perspective, with grounds,
            props, furniture and (staging) rows of these; noise makes all of it uneven
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
