"""Whole bodies, vertex to mid-thigh: one standard body in scene mm, varied per subject.

Scene axes: x to the patient's left, y to the back, z to the head, with the vertex at z = 0, so that all of
the body lies at negative z. Stature and width are a scaling in the pose; organs have their own `OrganPlace`.
"""

from somray.phantom.body.subject import make_body

__all__ = ["make_body"]
