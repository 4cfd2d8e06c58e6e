"""What people read; what is generated of it is written by `python -m docs.generate`."""
