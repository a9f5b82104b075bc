"""What tissues measure: HU without contrast agent, and uptake of FDG in SUV.

Orders of magnitude are those of radiology textbooks; they are not fitted to anyone's scan.
"""

from collections.abc import Mapping

from somray.phantom.drawing.canvas import Material

__all__ = ["AIR_HU", "PETCT_CT", "PLAIN_CT", "UPTAKE"]

AIR_HU = -1000.0

PLAIN_CT: Mapping[str, Material] = {
    "skin": Material(25, 8), "fat": Material(-102, 7), "muscle": Material(55, 8),
    "lung": Material(-845, 28), "cortex": Material(190, 12), "marrow": Material(94, 16),
    "disc": Material(78, 8), "fluid": Material(14, 3), "cord": Material(36, 3),
    "liver": Material(64, 6), "spleen": Material(54, 5), "kidney": Material(40, 6),
    "medulla": Material(30, 6), "gut": Material(44, 8), "content": Material(24, 14),
    "gas": Material(-930, 0), "blood": Material(46, 3), "vein": Material(42, 3),
    "heart": Material(48, 5), "airway": Material(-20, 8), "air": Material(-985, 0),
    "pancreas": Material(42, 9), "bile": Material(8, 3),
    "table": Material(-310, 0), "foam": Material(-930, 4),
    "lesion": Material(440, 40),
}  # fmt: skip
"""Without contrast agent, bone thinned by age: the densely mineralised lesion alone is that bright."""

PETCT_CT: Mapping[str, Material] = {**PLAIN_CT, "lesion": Material(52, 7)}
"""The CT beside a PET: the lesion is as dense as muscle, spleen and liver."""

UPTAKE: Mapping[str, Material] = {
    "skin": Material(0.35, 0.03), "fat": Material(0.35, 0.04), "muscle": Material(0.7, 0.07),
    "lung": Material(0.5, 0.06), "cortex": Material(0.7, 0.05), "marrow": Material(1.35, 0.15),
    "disc": Material(0.6, 0.05), "fluid": Material(0.5, 0.05), "cord": Material(1.2, 0.1),
    "liver": Material(2.0, 0.15), "spleen": Material(1.75, 0.12), "kidney": Material(2.0, 0.15),
    "medulla": Material(2.3, 0.2), "gut": Material(1.4, 0.35), "content": Material(0.6, 0.2),
    "gas": Material(0.1, 0.02), "blood": Material(1.5, 0.08), "vein": Material(1.5, 0.08),
    "heart": Material(1.9, 0.25), "airway": Material(0.6, 0.05), "air": Material(0.02, 0.01),
    "pancreas": Material(1.2, 0.15), "bile": Material(0.5, 0.05),
    "table": Material(0.0, 0.0), "foam": Material(0.0, 0.0),
    "lesion": Material(14.0, 1.8),
}  # fmt: skip
"""An hour after injection; lesions are several times hotter than any normal tissue."""
