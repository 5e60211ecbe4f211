"""What an operator can see of a running installation: log lines, numbers, readiness. Never what a resource says."""
