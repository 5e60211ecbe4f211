"""The front door of Backbridge: transports, protocols and the one guarded store."""
