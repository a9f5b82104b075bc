"""What the tissues of a head measure in T1 MR after contrast, in the scanner's arbitrary units.

Ratios follow what such images show: fat brightest, enhancing mucosa, vessels and glands bright, white
matter over grey over fluid, air and dense bone dark.
"""

from collections.abc import Mapping

from somray.phantom.drawing.canvas import Material

__all__ = ["SIGNAL"]

SIGNAL: Mapping[str, Material] = {
    "skin": Material(700, 60), "scalp": Material(1750, 200), "fat": Material(1800, 120),
    "muscle": Material(430, 60), "bone": Material(60, 20), "marrow": Material(900, 420),
    "fluid": Material(150, 15), "dura": Material(900, 150), "grey": Material(470, 22),
    "white": Material(560, 20), "nuclei": Material(500, 18), "cerebellum": Material(500, 40),
    "vessel": Material(1700, 150), "sinus": Material(1500, 120), "plexus": Material(1250, 150),
    "gland": Material(1050, 120), "mucosa": Material(1150, 260), "air": Material(20, 5),
    "vitreous": Material(190, 10), "eye_wall": Material(650, 60), "eye_muscle": Material(1000, 80),
    "pituitary": Material(1250, 60), "tongue": Material(520, 130), "oedema": Material(400, 20),
}  # fmt: skip
