"""Tables as a finished run leaves them, from plain rows."""

from somray.io.tables import TableRows
from somray.io.tables import compact as write


def compact(storage, table, protocol, rows):
    """Write the one sorted file of a table and protocol."""
    gathered = TableRows(table)
    gathered.add(rows)
    write(storage, protocol, gathered)
