"""Who asks: organisations, staff, memberships, patients, sign-in, sessions and care relationships.

Functions that take a Session take part in their caller's transaction. Those that hash a passphrase take the
Database instead, because hashing is slow by intent and must not happen under the writers' lock.
"""
