"""What the accuracy suite found, as data, and the tables that `docs/accuracy.md` shows of it."""
