"""SQLite files of ours that someone may have damaged or made."""

from __future__ import annotations

import sqlite3

FAULTS = sqlite3.Error, UnicodeDecodeError  # the latter where SQLite quotes what is damaged


def refuse_queries(database: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where a database holds more than tables: a view or a trigger may take for ever."""
    database.execute("PRAGMA trusted_schema = OFF")
    if database.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone():
        raise sqlite3.DatabaseError("not a database of tables alone")
