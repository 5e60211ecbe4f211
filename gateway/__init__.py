"""The front door of Backbridge: transports, protocols and the one guarded store."""

VERSION = "0.1.0"
