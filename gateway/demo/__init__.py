"""The demonstration clinic: invented people with half a year of answers, loaded through the one write path."""
