"""People: bodies, gaits and poses, what they wear as meshes, and how they are drawn.

identity    a person: body shape, skin, hair, face, posture and gait
body        the parametric body: shape from a phenotype, skeleton, skinning
gait        rotations of the bones of a walking or standing person
poses       those of a person who does something else
dressing    the body's mesh with garments and hair (by inflation) and bags
parts       the meshes of accessories, with headwear: of shapes, attached by fitting
figure      poses and draws a dressed person, without a background
raster      the z-buffer
paint       colour and label of each visible point; worn: those of accessories
"""
