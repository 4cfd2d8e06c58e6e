"""What runs a collector and is not Go: the gateway in front of collectors and their planned restart."""
