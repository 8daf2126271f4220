"""Scenes: what is behind people and in front of them.

kinds       the names of scenes and occluders
background  draws a wall and a floor, or a scene, behind the person, and occluders of
            one colour in front; occluders has those with textures
scene       what one camera sees around people, painted by town, nature, indoor and
            public on a canvas in perspective
staging     what these four share: floors, rows of things, strangers, shadows
props, furniture  things that stand in scenes
grounds     periodic textures of the floor
"""
