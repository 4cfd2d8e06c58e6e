"""Tests of how metrics leave a process."""
