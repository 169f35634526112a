#!/usr/bin/env bash
# Installs Debian's Prometheus for the tests of alerts and dashboard if there is none: as root, without starting its
# service. Elsewhere it prints why not and exits with 0: those tests are then skipped, with the reason.
set -euo pipefail

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "no Prometheus, and no way to install one here: its tests will be skipped"
  exit 0
fi
# Debian runs this file before it starts a service.
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
