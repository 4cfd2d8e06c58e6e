"""Starts what compose.yaml says in namespaces of Linux, without a container engine; it leaves nothing behind."""
