"""Charts and pictures of the report; none knows another, what two share lies in `drawing/`."""
