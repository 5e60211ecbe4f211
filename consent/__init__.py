"""Who may see what, and why: labels, compiled consents, decisions, forms and receipts; pure functions."""
