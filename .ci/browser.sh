#!/usr/bin/env bash
# Installs Chromium for the tests of the pages if there is none: on Debian and Ubuntu, as root.
# Elsewhere it prints why not and exits with 0: those tests are then skipped, with the reason.
set -euo pipefail

if command -v chromium >/dev/null || [ -n "${CHROMIUM:-}" ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "no Chromium, and no way to install one here: the tests of the pages will be skipped"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-inter; } >/dev/null; then
  echo "Chromium could not be installed: the tests of the pages will be skipped"
fi
