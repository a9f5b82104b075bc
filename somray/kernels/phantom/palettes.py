"""What tissues measure: HU with and without contrast agent, and uptake of FDG in SUV.

Orders of magnitude are those of radiology textbooks; they are not fitted to anyone's scan.
"""

from somray.kernels.phantom.canvas import Material
from somray.kernels.phantom.torso import Palette

__all__ = ["AIR_HU", "CONTRAST_CT", "LOW_DOSE_CT", "UPTAKE"]

AIR_HU = -1000.0

CONTRAST_CT: Palette = {
    "skin": Material(25, 8), "fat": Material(-102, 7), "muscle": Material(58, 8),
    "lung": Material(-845, 28), "cortex": Material(620, 30), "marrow": Material(150, 38),
    "disc": Material(82, 8), "fluid": Material(14, 3), "cord": Material(38, 3),
    "liver": Material(108, 7), "spleen": Material(122, 6), "kidney": Material(168, 9),
    "medulla": Material(138, 9), "gut": Material(62, 8), "content": Material(28, 16),
    "gas": Material(-930, 0), "blood": Material(148, 4), "vein": Material(140, 4),
    "heart": Material(104, 6), "airway": Material(-20, 8), "air": Material(-985, 0),
    "pancreas": Material(86, 10), "bile": Material(8, 3),
    "table": Material(-310, 0), "foam": Material(-930, 4),
    "lesion": Material(430, 38),
}  # fmt: skip
"""Portal-venous phase. The lesion is densely mineralised: nothing but thin cortex comes near it."""

LOW_DOSE_CT: Palette = {
    **CONTRAST_CT,
    "liver": Material(57, 6), "spleen": Material(50, 5), "kidney": Material(35, 6),
    "medulla": Material(30, 6), "blood": Material(42, 3), "vein": Material(40, 3),
    "heart": Material(44, 5), "pancreas": Material(40, 9), "gut": Material(40, 8),
    "lesion": Material(50, 7),
}  # fmt: skip
"""Without contrast agent, as beside PET: the lesion is as dense as muscle, spleen and liver."""

UPTAKE: Palette = {
    "skin": Material(0.35, 0.03), "fat": Material(0.25, 0.04), "muscle": Material(0.62, 0.07),
    "lung": Material(0.42, 0.06), "cortex": Material(0.7, 0.05), "marrow": Material(1.35, 0.15),
    "disc": Material(0.6, 0.05), "fluid": Material(0.5, 0.05), "cord": Material(1.2, 0.1),
    "liver": Material(2.1, 0.17), "spleen": Material(1.75, 0.12), "kidney": Material(2.5, 0.2),
    "medulla": Material(3.4, 0.3), "gut": Material(1.4, 0.35), "content": Material(0.6, 0.2),
    "gas": Material(0.1, 0.02), "blood": Material(1.5, 0.08), "vein": Material(1.5, 0.08),
    "heart": Material(2.9, 0.5), "airway": Material(0.6, 0.05), "air": Material(0.02, 0.01),
    "pancreas": Material(1.2, 0.15), "bile": Material(0.5, 0.05),
    "table": Material(0.0, 0.0), "foam": Material(0.0, 0.0),
    "lesion": Material(10.0, 1.4),
}  # fmt: skip
"""An hour after injection; lesions are several times hotter than any normal tissue."""
