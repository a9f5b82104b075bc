"""`somray dicom-node`: series that arrive in an archive are answered there, by the models of a run.

A series goes one way: seen → settled → answered → sent, or refused, or failed; that of a further channel is joined to
the first channel's, which bears the answer. Each step stands in the journal before the next one begins, so that a node
that is killed goes on where it was, and does nothing twice.
"""
