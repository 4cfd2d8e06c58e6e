"""Tests of the whole fleet."""
