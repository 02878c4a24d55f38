"""The record: what was decided (ledger), what came in (journal), and how both are checked.

Every function here takes the state folder; `ledger/` and `journal/` are found inside it. Nothing
here knows what an event means: the core folds, the record keeps. Its formats are promises to the
county and to later versions: a change needs a new `user_version` and a golden file beside the old.
"""

import sqlite3

DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged file can raise: its schema may even spoil the words of SQLite's own error."""


class RecordError(Exception):
    """The record cannot be opened, read or trusted; the message says where and why."""


class DamageError(RecordError):
    """The record contradicts itself or a signed checkpoint; going on would hide it."""
