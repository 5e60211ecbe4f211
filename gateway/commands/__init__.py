"""The `backbridge` command, one module for each group of subcommands."""
