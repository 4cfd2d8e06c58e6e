"""Tests of dashboards, alert rules and queries."""
