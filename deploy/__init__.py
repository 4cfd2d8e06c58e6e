"""Installs, starts, watches and stops the example fleet; nothing in here is part of the product or imported by it."""
