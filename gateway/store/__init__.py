"""The one guarded store: validate, label, index, commit; guarded queries to bytes."""
