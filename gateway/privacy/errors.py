"""What backup and restore refuse; each is one line for an operator.

BackupRefused
├── Damaged    the file is cut short or was altered
├── WrongKey   it was sealed with another key
└── NotEmpty   there is something already where the restored installation would be
"""

from __future__ import annotations


class BackupRefused(Exception):
    """The backup or restore cannot be done; nothing was left behind."""


class Damaged(BackupRefused):
    """The backup is cut short or was altered."""


class WrongKey(BackupRefused):
    """The backup was sealed with another key."""


class NotEmpty(BackupRefused):
    """There is something already where the installation would be restored."""
