"""What is fair about this comparison and what is not. Stored with the figures and shown on the page."""

from __future__ import annotations

SAME = (
    "Same machine, one run: server and clients share its cores, all traffic is loopback without TLS.",
    "Same 3,000 users with the same 500 to 1,000 friends each, 900 of them online, 225 of each user's friends online.",
    (
        "Same trace of real connects and disconnects; no user returns within the debounce time. A transition counts from the "
        "moment it was due, the connect or login included, to its receipt by each friend who is online before it and "
        "stays; what never arrives counts as infinitely late."
    ),
    "One delivery is one friend notified of one change, however many changes a message contains.",
    "A step fails when its p99, without debounce time and window, is above 1 s, or less than 95 % arrived.",
)
FOR_US = (
    (
        "We notify friends after the debounce time (5 s by default): freshness is shown with and without it. ejabberd notifies "
        "at once, flaps included. Debounced work can also be done in batches, which is a part of our cost."
    ),
    (
        "Our sockets are PubNub's. On this machine the local origin replaces it, a development double in Python and no "
        "measure of PubNub: figures are shown with and without its CPU."
    ),
    (
        "Our clients send session, sync, leave and heartbeat over open connections shared by all; each has its own "
        "connection for the poll. An XMPP client opens one connection at each login."
    ),
    (
        "A user who connects reads the online friends in one sync; with XMPP the server probes every friend and each online "
        "one responds (counted in its CPU, not as deliveries of a change)."
    ),
    (
        "A connection that breaks and is back at once is no change for PubNub's presence, so that storm costs us syncs only; "
        "to an XMPP server without stream management it is a leave and a login."
    ),
)
FOR_EJABBERD = (
    (
        "ejabberd: rosters entirely in memory, passwords plain, no stream management, archive, privacy lists, shaper or "
        "roster fetch; idle schedulers sleep. One node, no persistence; nothing of ours is switched off: flags are committed to "
        "Neo4j, streams are appended to a file, tokens are signed and every reader's right is checked in the graph."
    ),
    "It runs as one program on both cores; ours is three and the origin, with a JVM among them, and a durable pipeline.",
    "What its standard makes XMPP cost (probes, one XML stanza for each friend and change) is no defect.",
)
QUOTED = (
    (
        "Nakama is quoted from a run of ours on the same kind of machine and the same friendships, with another trace: open "
        "sockets and real reconnects separately. It neither debounces nor stores presence."
    ),
    "PostgreSQL runs only the graph queries, from a client in this process, with everything cached.",
)
SECTIONS = {
    "The same for all": SAME,
    "In our favour, or not alike": FOR_US,
    "In ejabberd's favour": FOR_EJABBERD,
    "Quoted or partial": QUOTED,
}
