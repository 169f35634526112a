"""Mutants of debouncing, of storms, and of the commit and what follows it."""

from __future__ import annotations

from tests.mutants.model import Mutant

UNIT = "tests/unit/pubnub_bridge"
HOLD = (f"{UNIT}/test_hold.py", "tests/property/test_walk_properties.py")
SETTLE = (f"{UNIT}/test_settle.py",)
STORM = (f"{UNIT}/test_storm.py",)
REPLACED = '__import__("dataclasses").replace'

MUTANTS = (
    Mutant(
        "older event decides", "pubnub_bridge/debounce/debouncer.py",
        "elif event.at > newest or (event.at == newest and again and not known):",
        "elif event.at != newest or (again and not known):",
        "A late event overrules a newer one.", HOLD,
    ),
    Mutant(
        "flap is not written", "pubnub_bridge/debounce/debouncer.py",
        "            noticed.repeats += 1\n        self._make_ready(change)",
        "            noticed.repeats += 1\n"
        "        self._make_ready(change) if change.again else self._let_go(change.entries)",
        "After a take-over an older event of the flap decides.", HOLD,
    ),
    Mutant(
        "repeat moves the deadline", "pubnub_bridge/debounce/debouncer.py",
        "            waiting.at, waiting.shard = event.at, event.shard\n",
        "            waiting.at, waiting.shard, waiting.began = event.at, event.shard, event.at\n"
        "            self._plan(waiting)\n",
        "Who is told of again and again is never committed.", HOLD,
    ),
    Mutant(
        "taken is not settled", "pubnub_bridge/debounce/debouncer.py",
        "                self._set(change.user, change.online, change.at)\n            self._taken",
        "                pass\n            self._taken",
        "What comes while a commit is under way is compared with the old state.", HOLD,
    ),
    Mutant(
        "conflict is not looked up", "pubnub_bridge/debounce/debouncer.py",
        "        if event.at == newest and event.online != state:",
        "        if event.at == newest and event.online != state and not newest:",
        "Of two states with one time whichever came first stands.", HOLD,
    ),
    Mutant(
        "graph that knew better is not believed", "pubnub_bridge/debounce/debouncer.py",
        "        if present is not None and change.user not in self._ready:", "        if False:",
        "An owner that is behind goes on comparing with its own state.", HOLD,
    ),
    Mutant(
        "confirmed leave as old as the look-up", "pubnub_bridge/debounce/debouncer.py",
        "max(at, change.at + 1)", "at", "The graph refuses it as older than the leave.", HOLD,
    ),
    Mutant(
        "flapping user goes to the end of the row", "pubnub_bridge/debounce/debouncer.py",
        "            change.ready = earlier.ready\n", "", "Who flaps fast enough is never written.", HOLD,
    ),
    Mutant(
        "begins before the first poll", "pubnub_bridge/debounce/debouncer.py",
        "        if now < self.begins:", "        if False:",
        "A new owner commits what an event that waits at PubNub has undone.", HOLD,
    ),
    Mutant(
        "redelivered entries not treated as such", "pubnub_bridge/partitions/consumer.py",
        "hold.see(log.decode(body), entry, again=True), entry)", "hold.see(log.decode(body), entry), entry)",
        "What was committed and not announced before a crash is never announced.", HOLD,
    ),
    Mutant(
        "inbox stream not read from its beginning", "pubnub_bridge/partitions/consumer.py",
        "keys.inbox(partition): FIRST}", "keys.inbox(partition): place}",
        "What the last owner did not publish is never published.", HOLD,
    ),
    Mutant(
        "no sync at a join", "pubnub_bridge/partitions/consumer.py",
        "            self._arrived.update(dict.fromkeys(noticed.arrived))\n", "",
        "Who joins has no list of friends until they are committed.", HOLD,
        harmless="Every client asks for a sync by itself after it has connected; the server's own is a second line.",
    ),
    Mutant(
        "repeated commit is silent", "pubnub_bridge/debounce/committer.py",
        "        if change.user in settled.equal\n", "        if change.user in ()\n",
        "What was committed before a crash is never announced.", SETTLE,
    ),
    Mutant(
        "flap that flipped the flag is silent", "pubnub_bridge/debounce/committer.py",
        "(settled.changed if change.tell or change.again else settled.flipped)",
        "(settled.changed if change.tell or change.again else ())",
        "A state that nobody was notified of becomes the settled one.", SETTLE,
    ),
    Mutant(
        "read without the watermark", "pubnub_bridge/debounce/committer.py",
        "await around.water.read(lambda: around.flags.read_snapshots(asked)) if asked else []",
        "await around.flags.read_snapshots(asked) if asked else []",
        "After a fail-over of the graph a newer state carries an older stamp.", SETTLE,
    ),
    Mutant(
        "read before the commit", "pubnub_bridge/debounce/committer.py",
        "        settled = await around.flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])\n"
        "        await self._look_up_ties(settled.equal & settled.flipped)\n"
        "        asked = [*to_be_told(changes, settled), *settled.older]\n"
        "        told = await around.water.read(lambda: around.flags.read_snapshots(asked)) if asked else []\n",
        "        said = {c.user: c for c in changes}\n"
        "        early = await around.water.read(lambda: around.flags.read_snapshots(list(said)))\n"
        "        settled = await around.flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in changes])\n"
        "        await self._look_up_ties(settled.equal & settled.flipped)\n"
        "        asked = [*to_be_told(changes, settled), *settled.older]\n"
        f"        told = [{REPLACED}(o, online=said[o.user].online and not o.invisible, "
        "present=said[o.user].online, presence_at=said[o.user].at) for o in early if o.user in asked]\n",
        "Two friends who come at the same moment miss each other.", SETTLE,
    ),
    Mutant(
        "state of the event instead of the read's", "pubnub_bridge/debounce/committer.py",
        "        read.set()\n        async with self._telling:",
        "        said = {c.user: c for c in changes}\n"
        f"        told = [{REPLACED}(o, online=said[o.user].online and not o.invisible, "
        "present=said[o.user].online, presence_at=said[o.user].at) for o in told]\n"
        "        read.set()\n        async with self._telling:",
        "A delayed read tells an old state with a new stamp.", SETTLE,
    ),
    Mutant(
        "clock of the bridge instead of the read's", "pubnub_bridge/debounce/committer.py",
        "        read.set()\n        async with self._telling:",
        f"        told = [{REPLACED}(o, ts=time.time_ns() // 1000) for o in told]\n"
        "        read.set()\n        async with self._telling:",
        "A delayed read tells an old state with a new stamp.", SETTLE,
    ),
    Mutant(
        "no sync at a commit", "pubnub_bridge/debounce/committer.py",
        "        if one.present:\n", "        if False:\n",
        "Friends who were committed between the join and its commit are not known.", SETTLE,
    ),
    Mutant(
        "entries deleted before their notifications stand", "pubnub_bridge/debounce/committer.py",
        "        async with self._telling:  # in the order of the reads\n",
        "        self._resolve(taken, settled, told)\n        await self._delete_finished()\n"
        "        self._resolve = lambda *_: None\n        async with self._telling:\n",
        "Who dies in between announces nothing.", SETTLE,
    ),
    Mutant(
        "conflict in the graph is not looked up", "pubnub_bridge/debounce/committer.py",
        "        await self._look_up_ties(settled.equal & settled.flipped)\n", "",
        "Of two owners with two states of one time the last to write is right.", (f"{UNIT}/test_settle_conflicts.py",),
    ),
    Mutant(
        "the hidden are announced", "pubnub_bridge/debounce/committer.py",
        "        if one.user not in hidden:", "        if True:",
        "Friends see by the times that an invisible user comes and goes.", SETTLE,
    ),
    Mutant(
        "the hidden are shown", "pubnub_bridge/model/notification.py",
        "    if told.online:", "    if told.present:", "Friends see an invisible user.", SETTLE,
    ),
    Mutant(
        "who hid after the commit is not announced", "pubnub_bridge/debounce/committer.py",
        "        if one.user not in hidden:", "        if not one.invisible:",
        "A leave that was committed before hiding is never announced.", SETTLE,
    ),
    Mutant(
        "back end told of the hidden", "pubnub_bridge/debounce/committer.py",
        "for one in fresh if one.user not in settled.hidden])", "for one in fresh])",
        "The product's back end learns what friends may not.", SETTLE,
    ),
    Mutant(
        "back end not told of presence", "pubnub_bridge/debounce/committer.py",
        "        await around.events([presence_event(one) for one in fresh if one.user not in settled.hidden])\n", "",
        "The product's back end knows no presence.", SETTLE,
    ),
    Mutant(
        "leaves are not confirmed", "pubnub_bridge/debounce/committer.py",
        "        if not self._around.confirm_leaves:", "        if True:",
        "Who closes one of two devices goes offline.", SETTLE,
    ),
    Mutant(
        "repeated batch is not marked", "pubnub_bridge/debounce/committer.py",
        "                change.again = True\n", "                change.again |= False\n",
        "A batch that failed half way is not announced in any case.", SETTLE,
        harmless="What its commit wrote is answered as equal when it is repeated, and equal is announced.",
    ),
    Mutant(
        "stop does not wait for commits", "pubnub_bridge/runtime/bridge.py",
        "                await self.settle.drained()\n", "",
        "A stop gives up what it has begun, for the next owner to repeat.", SETTLE,
    ),
    Mutant(
        "stop does not wait for publishes", "pubnub_bridge/runtime/bridge.py",
        "                await self.publish.drained(grace)\n", "",
        "A stop publishes half of what it has begun, and the next owner all of it again.", SETTLE,
    ),
    Mutant(
        "storm drops leaves", "pubnub_bridge/debounce/debouncer.py",
        "            for change in self._waiting.values():\n                self._plan(change)",
        "            for user in [u for u, c in self._waiting.items() if shards and not c.online]:\n"
        "                self._let_go(self._unwait(user).entries)",
        "Who leaves for good in a storm stays online.", STORM,
    ),
    Mutant(
        "storm moves no deadline", "pubnub_bridge/debounce/debouncer.py",
        "            for change in self._waiting.values():\n", "            for change in ():\n",
        "Who waits when a storm begins does not wait longer, or waits on when it is over.", STORM,
    ),
    Mutant(
        "storm debounce without end", "pubnub_bridge/debounce/debouncer.py",
        "            hold = max(hold, self._longest)", "            hold = 10**12",
        "A leave waits for as long as the storm lasts, which waits for the leave.", STORM,
    ),
    Mutant(
        "storm never ends", "pubnub_bridge/debounce/storm_detector.py",
        "        return owned and max(", "        return bool(held is held) or owned and max(",
        "Notifications wait for company for ever.", STORM,
    ),
    Mutant(
        "storm of a few", "pubnub_bridge/debounce/storm_detector.py",
        "        mark = max(self.marks.least, self.marks.share * population)", "        mark = self.marks.share * population",
        "One of three people who leaves is a storm.", STORM,
    ),
    Mutant(
        "storm by coming and going", "pubnub_bridge/debounce/storm_detector.py",
        "n - spread[not where[0], where[1], where[2]]", "n",
        "A usual evening is a storm.", STORM,
    ),
    Mutant(
        "unread syncs are not held back", "pubnub_bridge/debounce/storm_detector.py",
        "            self.room = max(self._least, self.room * 3 // 4)", "            pass",
        "A graph that is slow is asked as much as before.", STORM,
    ),
)  # fmt: skip
