"""Measures a program without a line of code in it: what ``opentelemetry-instrument`` finds by entry points.

A library's own hooks are in ``zero_code.py`` of its room. They wait until the program imports the library.
"""
