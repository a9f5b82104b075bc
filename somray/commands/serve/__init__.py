"""`somray serve`: what a run fitted, behind HTTP and a websocket.

`bodies` turns what is sent into arrays and files, bounded and without trust; `web` is the applications (no Ray);
`replies` writes answers. `runtime/on_ray/serving` runs them.
"""
