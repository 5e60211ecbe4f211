"""One module per export format; each has `read(source, ...)` and returns columns of records."""
