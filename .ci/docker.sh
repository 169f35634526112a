#!/usr/bin/env bash
# A Docker engine for the container tests, on Debian as root: installed if missing, started if none responds.
# Usage: .ci/docker.sh start   exit code 0: an engine responds; 1: there is none, the reason is on stderr
#        .ci/docker.sh stop    ends the engine that `start` started, and no other
set -euo pipefail

state=/run/friends-presence-docker
pidfile=$state/dockerd.pid
log=$state/dockerd.log
data=/var/lib/friends-presence-docker

responds() { docker info >/dev/null 2>&1; }

cannot() {
  echo "no Docker engine: $1" >&2
  exit 1
}

install_engine() {
  [ "$(id -u)" = 0 ] || cannot "it is not installed, and only root can install it"
  command -v apt-get >/dev/null || cannot "it is not installed, and this is no Debian"
  mkdir -p "$state"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends docker.io iptables; } >"$state/install.log" 2>&1 ||
    cannot "it could not be installed: $(tail -n 3 "$state/install.log")"
}

launch() { # launch OPTIONS…: true once it responds
  rm -f "$pidfile"
  setsid nohup dockerd --pidfile "$pidfile" --data-root "$data" --exec-root "$state/exec" "$@" \
    >>"$log" 2>&1 </dev/null &
  local child=$!
  for _ in $(seq 150); do
    responds && return 0
    kill -0 "$child" 2>/dev/null || return 1
    sleep 0.2
  done
  kill "$child"
  wait "$child" 2>/dev/null
  return 1
}

# For the test that runs deploy/compose.yaml, which is skipped without it.
install_compose() {
  command -v docker-compose >/dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -q && apt-get install -q -y --no-install-recommends docker-compose; } >/dev/null 2>&1 || true
}

start() {
  install_compose
  responds && return 0
  command -v dockerd >/dev/null || install_engine
  [ "$(id -u)" = 0 ] || cannot "dockerd is installed and not running, and only root can start it"
  mkdir -p "$state"
  : >"$log"
  # Inside a container the overlay file system or the packet filter may be unavailable; each retry needs less.
  launch || launch --storage-driver vfs || launch --storage-driver vfs --iptables=false --ip6tables=false ||
    cannot "dockerd does not start: $(grep -iE 'fail|error|fatal' "$log" | tail -n 3)"
}

stop() {
  [ -f "$pidfile" ] || return 0
  local pid
  pid=$(cat "$pidfile")
  # Another process may have the id by now.
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    for _ in $(seq 100); do
      [ -d "/proc/$pid" ] || break
      sleep 0.1
    done
  fi
  rm -f "$pidfile"
}

case ${1:-start} in
  start) start ;;
  stop) stop ;;
  *) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
