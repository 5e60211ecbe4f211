"""Answers and Observations in; scores, red flags and weekly plans out. Pure: no HTTP, no SQL, no clock."""
