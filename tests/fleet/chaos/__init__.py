"""Kills everything in a fleet, at any moment, under traffic and faults, and compares every total with the truth."""
