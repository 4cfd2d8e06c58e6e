"""One address in front of the collectors, so that each can be restarted without losing a count."""
