#!/usr/bin/env bash
# Brings Debian's Prometheus for the tests of alerts and dashboard, where the machine has none: as root. Its own service
# is not started. Elsewhere it says so and goes on: those tests are then skipped, with the reason.
set -euo pipefail

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "no Prometheus, and no way to install one here: its tests will be skipped"
  exit 0
fi
# Debian asks this file before it starts a service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; } >/dev/null; then
  echo "Prometheus could not be installed: its tests will be skipped"
fi
