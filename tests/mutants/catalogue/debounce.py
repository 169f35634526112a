"""Mutants of debouncing, of storms, and of the commit and what follows it."""

from __future__ import annotations

from tests.mutants.model import Mutant

UNIT = "tests/unit/pubnub_bridge"
DEBOUNCER = (f"{UNIT}/debounce/test_debouncer.py", "tests/property/test_pipeline_properties.py")
COMMITTER = (f"{UNIT}/debounce/test_committer.py",)
STORM = (f"{UNIT}/debounce/test_storm_detector.py",)

MUTANTS = (
    Mutant(
        "older event decides", "pubnub_bridge/debounce/debouncer.py",
        "elif event.at > newest or (event.at == newest and redelivered and not known):",
        "elif event.at != newest or (redelivered and not known):",
        "A late event overrules a newer one.", DEBOUNCER,
    ),
    Mutant(
        "flap is not written", "pubnub_bridge/debounce/debouncer.py",
        "            result.repeats += 1\n"
        "        self._make_ready(change)",
        "            result.repeats += 1\n"
        "        self._make_ready(change) if change.redelivered else self._release(change.entries)",
        "After a take-over an older event of the flap decides.", DEBOUNCER,
    ),
    Mutant(
        "repeat moves the deadline", "pubnub_bridge/debounce/debouncer.py",
        "            pending.at, pending.shard = event.at, event.shard\n",
        "            pending.at, pending.shard, pending.began = event.at, event.shard, event.at\n"
        "            self._schedule(pending)\n",
        "A user that is reported again and again is never committed.", DEBOUNCER,
    ),
    Mutant(
        "taken is not settled", "pubnub_bridge/debounce/debouncer.py",
        "                self._settle(change.user, change.online, change.at)\n"
        "            self._in_flight",
        "                pass\n"
        "            self._in_flight",
        "What comes during a commit is compared with the old state.", DEBOUNCER,
    ),
    Mutant(
        "conflict is not looked up", "pubnub_bridge/debounce/debouncer.py",
        "        if event.at == newest and event.online != online:",
        "        if event.at == newest and event.online != online and not newest:",
        "Of two states with one time whichever came first stands.", DEBOUNCER,
    ),
    Mutant(
        "graph that knew better is not believed", "pubnub_bridge/debounce/debouncer.py",
        "        if present is not None and change.user not in self._ready:", "        if False:",
        "An owner that is behind goes on comparing with its own state.", DEBOUNCER,
    ),
    Mutant(
        "confirmed leave as old as the look-up", "pubnub_bridge/debounce/debouncer.py",
        "max(at, change.at + 1)", "at", "The graph refuses it as older than the leave.", DEBOUNCER,
    ),
    Mutant(
        "flapping user goes to the end of the queue", "pubnub_bridge/debounce/debouncer.py",
        "            change.ready_at = earlier.ready_at\n", "", "Who flaps fast enough is never written.", DEBOUNCER,
    ),
    Mutant(
        "begins before the first poll", "pubnub_bridge/debounce/debouncer.py",
        "        if now < self.begins_at:", "        if False:",
        "A new owner commits what an event that waits at PubNub has undone.", DEBOUNCER,
    ),
    Mutant(
        "redelivered entries not treated as such", "pubnub_bridge/partitions/assignment.py",
        "self._consumer.debounce(debouncer, entry, body, redelivered=True)", "self._consumer.debounce(debouncer, entry, body)",
        "What was committed and not announced before a crash is never announced.", DEBOUNCER,
    ),
    Mutant(
        "inbox stream not read from its beginning", "pubnub_bridge/partitions/assignment.py",
        "keys.inbox(partition): FIRST}", "keys.inbox(partition): position}",
        "What the last owner did not publish is never published.", DEBOUNCER,
    ),
    Mutant(
        "no sync at a join", "pubnub_bridge/partitions/consumer.py",
        "            self._joined.update(dict.fromkeys(result.joined))\n", "",
        "Who joins has no list of friends until they are committed.", DEBOUNCER,
        harmless="Every client asks for a sync after it has connected; the server's own is a second line.",
    ),
    Mutant(
        "repeated commit is silent", "pubnub_bridge/debounce/committer.py",
        "        if change.user in result.duplicate\n", "        if change.user in ()\n",
        "What was committed before a crash is never announced.", COMMITTER,
    ),
    Mutant(
        "flap that flipped the flag is silent", "pubnub_bridge/debounce/committer.py",
        "(result.changed if change.notify or change.redelivered else result.flipped)",
        "(result.changed if change.notify or change.redelivered else ())",
        "A state that was not announced becomes the settled one.", COMMITTER,
    ),
    Mutant(
        "read without the watermark", "pubnub_bridge/debounce/committer.py",
        "return await self._watermark.read(partial(self._flags.read_snapshots, users))",
        "return await self._flags.read_snapshots(users)",
        "After a fail-over of the graph a newer state carries an older stamp.", COMMITTER,
    ),
    Mutant(
        "read before the commit", "pubnub_bridge/debounce/committer.py",
        "            result = await self._flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in "
        "changes])\n"
        "            await self._look_up_conflicts(result.duplicate & result.flipped)\n"
        "            users = [*users_to_notify(changes, result), *result.stale]\n"
        "            snapshots = await self._read(users) if users else []\n",
        "            said = {c.user: c for c in changes}\n"
        "            early = await self._read(list(said))\n"
        "            result = await self._flags.write_flags([Flag(c.user, c.online, c.at, c.shard) for c in "
        "changes])\n"
        "            await self._look_up_conflicts(result.duplicate & result.flipped)\n"
        "            users = [*users_to_notify(changes, result), *result.stale]\n"
        '            snapshots = [__import__("dataclasses").replace(o, online=said[o.user].online and not '
        "o.invisible, present=said[o.user].online, presence_at=said[o.user].at) for o in early if o.user in users]\n",
        "Two friends who come at the same moment miss each other.", COMMITTER,
    ),
    Mutant(
        "state of the event instead of the read's", "pubnub_bridge/debounce/committer.py",
        "        newest = [one for one in committed.snapshots if one.user not in result.stale]\n",
        "        said = {c.user: c for c in committed.changes}\n"
        '        newest = [__import__("dataclasses").replace(o, online=said[o.user].online and not '
        "o.invisible, present=said[o.user].online, presence_at=said[o.user].at) for o in committed.snapshots "
        "if o.user not in result.stale]\n",
        "A delayed append announces an old state with a new stamp.", COMMITTER,
    ),
    Mutant(
        "clock of the bridge instead of the read's", "pubnub_bridge/debounce/committer.py",
        "        newest = [one for one in committed.snapshots if one.user not in result.stale]\n",
        '        newest = [__import__("dataclasses").replace(o, ts=time.time_ns() // 1000) for o in '
        "committed.snapshots if o.user not in result.stale]\n",
        "A delayed append announces an old state with a new stamp.", COMMITTER,
    ),
    Mutant(
        "no sync at a commit", "pubnub_bridge/debounce/committer.py",
        "        if one.present:\n", "        if False:\n",
        "Friends who were committed between the join and its commit are not known.", COMMITTER,
    ),
    Mutant(
        "entries deleted before their notifications are stored", "pubnub_bridge/debounce/committer.py",
        "                    async with self._appending:  # a fair lock: in the order of the reads\n"
        "                        await self._append(committed)\n"
        "                except Exception as error:  # noqa: BLE001 - as in `commit_and_read`\n"
        "                    await self._failed(batch, error)\n"
        "                else:\n"
        "                    self._resolve(committed)  # last: what is resolved must not be tried again\n",
        "                    self._resolve(committed)\n"
        "                    await self._delete_resolved()\n"
        "                    async with self._appending:\n"
        "                        await self._append(committed)\n"
        "                except Exception as error:\n"
        "                    await self._failed(batch, error)\n"
        "                else:\n",
        "Who dies in between announces nothing.", COMMITTER,
    ),
    Mutant(
        "batches appended in any order", "pubnub_bridge/debounce/committer.py",
        "                    async with self._appending:  # a fair lock: in the order of the reads\n",
        "                    if True:\n",
        "The stream holds a newer state before an older one.", COMMITTER,
    ),
    Mutant(
        "third batch in progress", "pubnub_bridge/debounce/committer.py",
        "            await self._notified(previous if taken else [])\n", "            await self._notified([])\n",
        "While the inbox stream is away, batches pile up without a limit.", COMMITTER,
    ),
    Mutant(
        "conflict in the graph is not looked up", "pubnub_bridge/debounce/committer.py",
        "            await self._look_up_conflicts(result.duplicate & result.flipped)\n", "",
        "Of two owners with two states of one time the last to write is right.", (f"{UNIT}/debounce/test_committer_conflicts.py",),
    ),
    Mutant(
        "the hidden are announced", "pubnub_bridge/debounce/committer.py",
        "        if one.user not in hidden:", "        if True:",
        "Friends see by the times that an invisible user comes and goes.", COMMITTER,
    ),
    Mutant(
        "the hidden are shown", "pubnub_bridge/model/notification.py",
        "    if snapshot.online:", "    if snapshot.present:", "Friends see an invisible user.", COMMITTER,
    ),
    Mutant(
        "who hid after the commit is not announced", "pubnub_bridge/debounce/committer.py",
        "        if one.user not in hidden:", "        if not one.invisible:",
        "A leave that was committed before hiding is never announced.", COMMITTER,
    ),
    Mutant(
        "back end notified of the hidden", "pubnub_bridge/debounce/committer.py",
        "for one in newest if one.user not in result.hidden])", "for one in newest])",
        "The product's back end learns what friends may not.", COMMITTER,
    ),
    Mutant(
        "back end not notified of presence", "pubnub_bridge/debounce/committer.py",
        "        await self._append_events([presence_event(one) for one in newest if one.user not in "
        "result.hidden])\n", "",
        "The product's back end knows no presence.", COMMITTER,
    ),
    Mutant(
        "leaves are not confirmed", "pubnub_bridge/debounce/committer.py",
        "        if not self._verify_leaves:", "        if True:",
        "Who closes one of two devices goes offline.", COMMITTER,
    ),
    Mutant(
        "repeated batch is not marked", "pubnub_bridge/debounce/committer.py",
        "            change.redelivered = True", "            change.redelivered |= False",
        "A batch that failed half way is not announced in any case.", COMMITTER,
        harmless="What its commit wrote is reported as equal when it is repeated, and equal is announced.",
    ),
    Mutant(
        "stop does not wait for commits", "pubnub_bridge/runtime/bridge.py",
        "                await self.committer.drained()\n", "",
        "A stop gives up what it has begun, for the next owner to repeat.", COMMITTER,
    ),
    Mutant(
        "stop does not wait for publishes", "pubnub_bridge/runtime/bridge.py",
        "                await self.publisher.drained(grace)\n", "",
        "A stop publishes half of what it has begun, and the next owner all of it again.", COMMITTER,
    ),
    Mutant(
        "storm drops leaves", "pubnub_bridge/debounce/debouncer.py",
        "            for change in self._pending.values():\n"
        "                self._schedule(change)",
        "            for user in [u for u, c in self._pending.items() if shards and not c.online]:\n"
        "                self._release(self._remove_pending(user).entries)",
        "Who leaves for good in a storm stays online.", STORM,
    ),
    Mutant(
        "storm moves no deadline", "pubnub_bridge/debounce/debouncer.py",
        "            for change in self._pending.values():\n", "            for change in ():\n",
        "Who waits when a storm begins does not wait longer, or waits on when it is over.", STORM,
    ),
    Mutant(
        "storm debounce without end", "pubnub_bridge/debounce/debouncer.py",
        "            milliseconds = max(milliseconds, self._extended_milliseconds)", "            milliseconds = 10**12",
        "A leave waits for as long as the storm lasts, which waits for the leave.", STORM,
    ),
    Mutant(
        "storm never ends", "pubnub_bridge/debounce/storm_detector.py",
        "        return owned and max(", "        return True or owned and max(",
        "Batches linger without end.", STORM,
    ),
    Mutant(
        "storm of a few", "pubnub_bridge/debounce/storm_detector.py",
        "        threshold = max(self._thresholds.min_users, self._thresholds.min_share * population)", "        threshold = self._thresholds.min_share * population",
        "One of three users who leaves is a storm.", STORM,
    ),
    Mutant(
        "storm by coming and going", "pubnub_bridge/debounce/storm_detector.py",
        "n - spread[not where[0], where[1], where[2]]", "n",
        "A usual evening is a storm.", STORM,
    ),
)  # fmt: skip
