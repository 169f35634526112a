"""What is fair about this comparison and what is not: part of the figures, so that nobody reads them without."""

from __future__ import annotations

SAME = (
    "Same machine, one run: server and clients share its cores, all traffic is loopback without TLS.",
    "Same 3,000 people with the same 500 to 1,000 friends each, 900 of them online, 225 of each one's friends online.",
    (
        "Same trace of connects and disconnects: people really come and go, nobody is back within a hold. A turn counts "
        "from the moment it was due, the connect or login included, to its receipt by each friend who is there before it "
        "and stays; what never came counts as infinitely late."
    ),
    "One delivery is one friend told of one change, however many changes a message carries.",
    "A step has failed when its p99, hold and window aside, is above 1 s, or less than 95 % arrived.",
)
FOR_US = (
    (
        "We tell nobody before the hold (5 s by default) is over: freshness is shown with and without it. ejabberd tells at "
        "once, flaps included. Work that waits for a hold can also be done in batches, which is a part of our price."
    ),
    (
        "Our sockets are PubNub's. On this machine the local origin stands in for it, a development double in Python and no "
        "measure of PubNub: figures are given with its CPU and without."
    ),
    (
        "Our clients' session, sync, leave and heartbeat go over kept connections shared by all; each has its own "
        "connection for the poll. An XMPP client makes one new connection at each login."
    ),
    (
        "A newcomer learns who is online from one sync; XMPP makes the server probe every friend and each one online answer "
        "(counted in its CPU, not as deliveries of a change)."
    ),
    (
        "A connection that breaks and is back at once is no change for PubNub's presence, so that storm costs us syncs only; "
        "to an XMPP server without stream management it is a leave and a login."
    ),
)
FOR_EJABBERD = (
    (
        "ejabberd: rosters entirely in memory, passwords plain, no stream management, archive, privacy lists, shaper or "
        "roster fetch; idle schedulers sleep. One node, nothing kept; nothing of ours is switched off: flags are committed "
        "to Neo4j, streams are appended to a file, tokens are signed and every reader's right is checked in the graph."
    ),
    "It runs as one program on both cores; ours is three and the origin, a JVM among them, and pays for a durable walk.",
    "What XMPP costs by its standard (probes, one XML stanza a friend and change) is the protocol's, not a defect.",
)
QUOTED = (
    (
        "Nakama is quoted from a run of ours on the same kind of machine and the same friends, with a "
        "trace of its own: kept sockets and real reconnects apart. It holds nothing and keeps nothing."
    ),
    "PostgreSQL is asked only the graph's questions, by a client in this process, everything cached.",
)
SECTIONS = {
    "The same for all": SAME,
    "In our favour, or not alike": FOR_US,
    "In ejabberd's favour": FOR_EJABBERD,
    "Quoted or partial": QUOTED,
}
