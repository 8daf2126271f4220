"""How far clothes, hair and gloves stand off a person's skin."""

import numpy as np

from mbnet_jax.synthetic.clothes.accessories import HATS, WRAPS
from mbnet_jax.synthetic.clothes.garments import Outfit
from mbnet_jax.synthetic.people.body import Body
from mbnet_jax.synthetic.people.identity import Identity
from mbnet_jax.synthetic.people.worn import inflate

WAIST = 0.26  # canonical height in metres
# The hairline's canonical height as a function of z, from nape to forehead.
_HAIRLINE_Z = (-0.05, 0.0, 0.035, 0.06, 0.085, 0.115, 0.15)
_HAIRLINE_Y = (0.84, 0.845, 0.86, 0.88, 0.915, 0.958, 0.965)
_HAIR_THICKNESS = {
    "bald": (0.0, 0.0),
    "buzz": (0.002, 0.003),
    "short": (0.008, 0.014),
    "receding": (0.006, 0.008),
    "curly": (0.03, 0.035),
    "bob": (0.016, 0.012),
    "long": (0.012, 0.01),
    "ponytail": (0.006, 0.006),
    "bun": (0.006, 0.006),
}


def hairline(z: np.ndarray, identity: Identity) -> np.ndarray:
    """Returns the canonical height above which hair grows, given z; metres."""
    line = np.interp(z, _HAIRLINE_Z, _HAIRLINE_Y)
    front = np.clip((z - 0.09) / 0.04, 0, 1)
    if identity.hair == "receding":
        return line + front * (0.03 + 0.03 * identity.hair_length)
    return line - front * identity.fringe


def inflation(body: Body, identity: Identity, outfit: Outfit) -> np.ndarray:
    """Returns each vertex's offset along its normal, float32 [V] in metres."""
    x, y, z = body.canonical.T
    arm = body.arm_coordinate
    on_arm, on_head = body.arm_weight > 0.5, body.head_weight > 0.5
    amount = np.zeros(len(y), np.float32)

    bottom, top, shoes = outfit.bottom, outfit.top, outfit.shoes
    if top.kind != "dress":
        legs = ~on_arm & (y < WAIST) & (y > bottom.end)
        # Looser towards the hem than at the waist.
        loose = bottom.looseness * np.clip((WAIST - y) / 0.3, 0.3, 1)
        if bottom.flare:
            loose = loose + bottom.flare * np.clip((0.05 - y) / 0.6, 0, 1)
        amount[legs] = loose[legs]
    trunk = ~on_arm & ~on_head & (y > top.hem) & (y < 0.72)
    sleeves = on_arm & (arm < top.sleeve)
    covered = trunk | sleeves
    loose = np.full(len(y), top.looseness)
    if top.fabric is not None:  # Cloth lies close on the shoulders.
        closeness = np.where(on_arm, (0.5 - arm) / 0.4, (y - 0.5) / 0.15)
        loose *= 1 - 0.6 * np.clip(closeness, 0, 1)
    if top.kind == "hoodie" and not outfit.has("hood"):  # It hangs on the back.
        bump = 1 - (x / 0.13) ** 2 - ((y - 0.68) / 0.1) ** 2
        loose = loose + 0.06 * np.clip(bump, 0, 1) * (z < 0.0)
    amount[covered] = np.maximum(amount[covered], loose[covered])
    feet = y < shoes.end
    amount[feet] = np.maximum(amount[feet], shoes.thickness)

    thin, more = _HAIR_THICKNESS[identity.hair]
    thickness = thin + more * identity.hair_length
    inflate(body, outfit, amount)
    if outfit.has(*HATS):  # Hats press the hair down.
        line = 0.0 if outfit.has(*WRAPS) else 0.91
        thickness = np.where(y > line, min(thickness, 0.004), thickness)
    grown = np.clip((y - hairline(z, identity)) / 0.03, 0, 1) * on_head
    return amount + (thickness * grown).astype(np.float32)
