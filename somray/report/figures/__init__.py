"""Charts and pictures of the report; none knows another, what two share lies in `drawing/`.

The `name` of a chart is unique on its page.
"""
