"""What the examples' tests sent and found, as data, and the table that `docs/adopt.md` shows of it."""
