"""Tests of what operators use, on the running system: alerts, dashboard, backup. Needs Debian's Prometheus."""
