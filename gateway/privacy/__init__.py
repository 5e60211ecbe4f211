"""Data protection of the installation: backup and restore."""
