"""What operators lean on, tried on the running system: alerts, dashboard, backup. Needs Debian's Prometheus."""
