"""The simulated world: a tape chooses what happens next; at its end everything is let come to rest.

`simulate` returns what is wrong with the world: views that differ from the graph, a graph that differs from PubNub,
changes that were not announced, and whatever the judge saw on the way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.simulation import gates
from tests.simulation.gates import MUST_FINISH
from tests.simulation.judge import Judge
from tests.simulation.loop import ScriptedLoop, virtual_time
from tests.simulation.process import DEBOUNCE, Api, Process, Surroundings, composed, options
from tests.simulation.views import Client, FinalViews

USERS = ("ann", "bob", "cat")
STOPPING_WAITS = False
"""Whether a process that stops waits while messages are due that it does not take any more. Today its publisher goes
round without waiting until those in flight are published: issue 17."""
WATERMARK_IS_SHARED = False
"""Whether a process knows what others have stamped since it began. Today each reads the watermark once, so where a
partition moves from one to another and the graph's clock steps back, a newer state carries an older stamp: issue
17. Until then the clock steps back only where no two processes ever ran at once."""
OUTCOMES = ("unheard", "silence", "503 busy", "429 slow down")
Tape = Sequence[tuple[str, int]]


class World:
    """Everything, moved by a tape."""

    def __init__(self, around: Surroundings) -> None:
        self.loop = around.loop
        self.around = around
        self.judge = Judge(self.around)
        self.pubnub, self.graph, self.gates = self.around.pubnub, self.around.graph, self.around.gates
        self.pubnub.published = self._published
        self.clients = {user: Client(user) for user in USERS}
        self.steps = 0
        self.two_devices = False
        self.overlapped = False
        self.changed: dict[frozenset[str], int] = {}
        related = self.graph.related
        self.graph.related = lambda a, b, clock: (related(a, b, clock), self._note(a, b))[0]
        self.api = Api(self.around, "api")
        self.calls: list[asyncio.Task[Any]] = []
        self.everyone: list[Process] = []
        self.processes: list[Process] = []
        self._actions = self._all_actions()
        for a, b in (("ann", "bob"), ("bob", "cat")):
            self.call(self.api.befriend(a, b))
        self.start()
        self.advance(500)

    # Processes

    def start(self) -> Process:
        """One more process."""
        process = Process(self.around, f"p{len(self.everyone)}")
        self.everyone.append(process)
        self.processes.append(process)
        self.overlapped |= len(self.processes) > 1
        process.start()
        return process

    def kill(self, which: int) -> None:
        """A process dies at whatever it awaits; another takes over."""
        process = self.processes.pop(which % len(self.processes))
        process.kill()
        if not self.processes:
            self.start()

    def second(self) -> None:
        """A second process believes to own everything too, or the first one is killed."""
        if len(self.processes) == 1:
            self.around.store.split_brain = True
            self.start()
        else:
            self.processes.pop(0).kill()

    def stop(self, which: int) -> None:
        """A process is asked to end; where it is the last, another begins first."""
        if len(self.processes) == 1:
            self.start()
        process = self.processes.pop(which % len(self.processes))
        if process.main is not None:
            began = self.loop.milliseconds
            process.main.add_done_callback(lambda _: self._stopped(process, began))
        process.stop()

    def _stopped(self, process: Process, began: int) -> None:
        left = [key for key, (holder, _) in self.around.store.leases.items() if holder == process.name]
        if (
            len(left) > self.around.settings.partitions - process.owned_at_close
            and not self.gates.failed["lease"]
        ):
            self.judge.say(f"{process.name} stopped and did not give its leases back")
        within = self.loop.milliseconds - began < self.around.settings.grace_seconds * 900
        abandoned = {kind for name, kind in self.gates.abandoned if name == process.name}
        given_up = (abandoned | set(self.gates.waiting(process.name))) & MUST_FINISH
        process.life.alive = False
        if within and given_up:
            self.judge.say(f"{process.name} stopped and gave up {sorted(given_up)}")

    def freeze(self, which: int) -> None:
        """A process is stopped by its host, for as long as its leases run out; or goes on."""
        process = self.processes[which % len(self.processes)]
        if process.life.frozen:
            self.loop.thaw(process.life)
        else:
            process.life.frozen = True
            self.around.store.forget_process(process.name)

    # What users do

    def call(self, coro: Any) -> asyncio.Task[Any]:
        """A call of the API."""
        task = self.api.call(coro)
        self.calls.append(task)
        return task

    def toggle(self, user: str, by_webhook: bool = False) -> None:
        """The app comes or goes; PubNub reports it by poll or by webhook."""
        client = self.clients[user]
        client.connected = not client.connected
        if client.connected:
            client.waiting.clear()
            client.since = self.steps
            self.call(self._ask_sync(user))
        self.pubnub.change(user, client.connected)
        if by_webhook:
            self.pubnub.events.pop()
            self.call(self._webhook(user, client.connected))

    async def _ask_sync(self, user: str) -> None:
        while True:
            try:
                return await self.api.ask_sync(user)
            except Exception:  # noqa: BLE001 - an app asks again whatever the reason
                await asyncio.sleep(1.0)

    async def _webhook(self, user: str, online: bool) -> None:
        at = self.loop.milliseconds
        schema = f"presence.user.channel.{'joined' if online else 'left'}"
        item = {
            "channel": self.around.shards.channel(self.around.shards.shard(user)),
            "userId": user,
            "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(),
        }
        while True:
            try:
                await self.api.webhook({"schema": f"pubnub.com/schemas/events/{schema}", "data": [item]})
            except Exception:  # noqa: BLE001 - PubNub sends it again whatever the reason
                await asyncio.sleep(1.0)
            else:
                break
        if (user, online, at) not in self.judge.accepted:
            self.judge.say(f"a webhook about {user} was answered before its event was accepted")

    def everybody(self, online: bool) -> None:
        """A network goes, or comes back."""
        for user in USERS:
            if self.clients[user].connected != online:
                self.toggle(user)

    def befriend(self, a: str, b: str) -> None:
        """Friends or not, turned round."""
        self.call(self.api.unfriend(a, b) if self.graph.are_friends(a, b) else self.api.befriend(a, b))

    def block(self, a: str, b: str) -> None:
        """Ends it, or lifts the block."""
        self.call(self.api.unblock(a, b) if (a, b) in self.graph.blocks else self.api.block(a, b))

    def hide(self, user: str) -> None:
        """Appear offline, or visible again."""
        self.call(self.api.hide(user, not self.graph.states[user].invisible))

    def one_of_two_leaves(self, user: str) -> None:
        """One device goes, another one stays; where Where Now does not respond, only reconciling finds that."""
        if self.pubnub.present[user]:
            self.pubnub.say(user, False)
            self.two_devices = True

    # What goes on

    def deliver(self, user: str, which: int, twice: bool = False) -> bool:
        """One message reaches a client, in any order, maybe twice."""
        client = self.clients[user]
        if not client.waiting:
            return False
        message = client.waiting[which % len(client.waiting)]
        if not twice:
            client.waiting.remove(message)
        if client.connected:
            client.friends.apply(message)
        return True

    def _published(self, inbox: str, body: bytes) -> None:
        message = json.loads(body)
        self.judge.publish(inbox, message)
        self.clients[inbox].waiting.append(message)

    def advance(self, milliseconds: int) -> None:
        """Time goes on, and with it all processes."""
        self.loop.advance(milliseconds)

    def clock_back(self) -> None:
        """The graph moves to a server whose clock is 5 s behind."""
        if (WATERMARK_IS_SHARED or not self.overlapped) and self.graph.skew < 10_000_000:
            self.graph.step_back(5_000_000)
            self.judge.stepped_back = True

    def step(self, action: str, number: int) -> None:
        """One thing happens; the number says to whom."""
        longest_first = sorted(gates.MODES, key=len, reverse=True)
        mode = next((one for one in longest_first if action.startswith(f"{one} ")), None)
        if mode is not None:
            process = self.processes[number % len(self.processes)]
            self.gates.arm(process.name, mode, action.removeprefix(f"{mode} "))
        else:
            self._actions[action](number)
        self.loop.run_ready()
        self.steps += 1

    def _all_actions(self) -> dict[str, Callable[[int], object]]:
        def user(n: int) -> str:
            return USERS[n % 3]

        def other(n: int) -> str:
            return USERS[(n + 1 + (n // 3) % 2) % 3]

        def process(n: int) -> Process:
            return self.processes[n % len(self.processes)]

        pubnub, graph = self.pubnub, self.graph
        return {
            "toggle": lambda n: self.toggle(user(n)),
            "toggle by webhook": lambda n: self.toggle(user(n), by_webhook=True),
            "everybody goes": lambda _: self.everybody(False),
            "everybody comes": lambda _: self.everybody(True),
            "one of two leaves": lambda n: self.one_of_two_leaves(user(n)),
            "befriend": lambda n: self.befriend(user(n), other(n)),
            "block": lambda n: self.block(user(n), other(n)),
            "hide": lambda n: self.hide(user(n)),
            "deliver": lambda n: self.deliver(user(n), 0),
            "deliver late": lambda n: self.deliver(user(n), n // 3),
            "deliver twice": lambda n: self.deliver(user(n), n // 3, twice=True),
            "a moment": lambda n: self.advance(1 + n % 3),
            "a while": lambda n: self.advance(150 + 50 * (n % 3)),
            "half a debounce": lambda _: self.advance(DEBOUNCE // 2),
            "a debounce": lambda _: self.advance(DEBOUNCE + 400),
            "a lease": lambda _: self.advance(10_000),
            "repeat": pubnub.repeat,
            "lose": lambda _: pubnub.lose(),
            "swap": lambda _: pubnub.swap(),
            "future": lambda _: pubnub.stamp_ahead(600_000),
            "soon": lambda _: pubnub.stamp_ahead(30_000),
            "flood": lambda n: pubnub.flood(self.around.shards.channel(n % self.around.shards.shards)),
            "forget unread": lambda _: pubnub.forget(),
            "no counts": lambda _: setattr(pubnub, "counts", False),
            "old here now": lambda n: setattr(pubnub, "cache_age", n * 37 % 3000),
            "oldest here now": lambda _: setattr(pubnub, "cache_age", 3000),
            "skip": lambda n: setattr(pubnub, "skipped", frozenset({user(n)})),
            "publishes fail": lambda n: pubnub.outcomes.extend([OUTCOMES[n % 4]] * (1 + n // 4 % 8)),
            "publish refused": lambda _: pubnub.outcomes.append("400 Invalid"),
            "back end fails": lambda n: setattr(self.judge, "posts_refused", 1 + n % 3),
            "coarse clock": lambda _: graph.stand_still(),
            "clock back": lambda _: self.clock_back(),
            "replica": lambda _: graph.copy(),
            "crash": self.kill,
            "second owner": lambda _: self.second(),
            "start": lambda _: self.start() if len(self.processes) < 3 else None,
            "stop": self.stop,
            "freeze": self.freeze,
            "reconcile": lambda n: process(n).reconcile_all(),
            "release": lambda n: self.gates.release(process(n).name),
            "release one": lambda n: self.gates.release_one(process(n).name, n // 2),
            "syncs admitted": lambda n: process(n).admit(n % 2),
            "delay friends calls": lambda _: self.gates.arm("api", gates.DELAY, "friends"),
            "release api": lambda _: self.gates.release("api"),
        }

    # What must hold at the end

    def rest(self) -> None:
        """All in progress is finished; what PubNub lost without a sign is found by reconciling, nothing else is."""
        self._settle_down()
        self.pubnub.lost |= self.two_devices and self.gates.failed["where now"] > 0
        ahead = self.pubnub.ahead_until + 4000
        self.advance(max(0, ahead - self.loop.milliseconds))
        for _ in range(3):
            if not self._until_quiet():
                self.judge.say("never comes to rest: " + self._what_waits())
                self._check_deaths()
                return
            if not self.pubnub.lost:
                break
            self.pubnub.lost = False
            for process in self.processes:
                process.reconcile_all()
        self._check()

    def _settle_down(self) -> None:
        self.pubnub.outcomes.clear()
        self.judge.posts_refused = 0
        self.pubnub.skipped, self.pubnub.cache_age = frozenset(), 0
        self.graph.coarse = 0
        if self.around.store.split_brain:
            while len(self.processes) > 1:
                self.processes.pop(0).kill()
            self.around.store.split_brain = False
            self.around.store.leases.clear()
            self.around.store.members.clear()
        for process in self.everyone:
            if process.life.frozen:
                self.loop.thaw(process.life)
        self.gates.calm()

    def _until_quiet(self, seconds: int = 60) -> bool:
        """Let a second pass at a time until nothing waits."""
        for second in range(seconds):
            self.advance(1000)
            for process in self.processes:
                process.admit(1)
            delivered = [self.deliver(user, 0) for user in USERS for _ in range(40)]
            if second > 2 and not any(delivered) and not self._what_waits():
                return True
        return False

    def _what_waits(self) -> str:
        store = self.around.store
        waits = {
            "changes": sum(process.pending for process in self.processes),
            "presence log": len(store.entries(":seen")),
            "inbox streams": len(store.entries(":inbox")),
            "back end": len(store.entries(":events")),
            "outbox": len(self.graph.outbox),
            "calls": sum(not task.done() for task in self.calls),
            "storms": sum(process.storms for process in self.processes if process.owned),
            "unread": len(self.pubnub.unread()),
            "partitions without an owner": self.around.settings.partitions - len(self._owned()),
        }
        return ", ".join(f"{number} {what}" for what, number in waits.items() if number)

    def _owned(self) -> list[int]:
        return [number for process in self.processes for number in process.owned]

    def _check(self) -> None:
        say = self.judge.say
        self._check_deaths()
        FinalViews(self.around, self.judge, self.clients, self.changed).check()
        stopped = {process.name for process in self.everyone if process.stopping}
        if busy := self.loop.busy - (set() if STOPPING_WAITS else stopped):
            say(f"{sorted(busy)} went round without waiting")
        if len(self._owned()) != len(set(self._owned())):
            say("a partition has two owners")

    def _check_deaths(self) -> None:
        for process in self.everyone:
            if process.error is not None:
                self.judge.say(f"{process.name} ended on an error: {process.error!r}")

    def _note(self, a: str, b: str) -> None:
        self.changed[frozenset((a, b))] = self.steps


def simulate(tape: Tape) -> list[str]:
    """Play a tape; returns what was wrong, nothing where all is well."""
    return played(tape).judge.wrong


def played(tape: Tape, rest: bool = True, made: type[Surroundings] = Surroundings) -> World:
    """The world after a tape."""
    words = [action for action, _ in tape]
    loop = ScriptedLoop()
    with virtual_time(loop), composed():
        settings = options(2 if "two partitions" in words else 1, "storm mode" in words)
        world = World(made(loop, USERS, settings))
        try:
            _play(world, tape, rest)
        finally:
            loop.end([world.api.life, *(process.life for process in world.everyone)])
    return world


def _play(world: World, tape: Tape, rest: bool) -> None:
    for action, number in tape:
        if action not in {"two partitions", "storm mode"}:
            world.step(action, number)
        if world.judge.wrong:
            return
    if rest:
        world.rest()
