"""The rules of the walk, each of which can be taken out so that a test may see what it is for."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Rules:
    """All kept, unless a test says otherwise."""

    cursor_with_entry: bool = True
    """Row 3: the cursor moves on only with the entry."""
    older_is_nothing_new: bool = True
    """Row 4: an older event than known decides nothing."""
    flap_is_written: bool = True
    """A dropped flap is written to the graph as a newer time."""
    flipped_flap_is_told: bool = True
    """A flap whose write turned out to change the flag, or was written before, is told."""
    taken_counts_as_settled: bool = True
    """Who was taken for settling is compared with the new state."""
    replay_is_told: bool = True
    """Entries read again at a take-over are settled and told even when equal."""
    graph_refuses_older: bool = True
    """Row 6: a flag is written only where its time is not older."""
    equal_is_told: bool = True
    """Row 6: the same time again is told again."""
    read_after_commit: bool = True
    """Row 7 begins after row 6's commit."""
    state_from_the_read: bool = True
    """Row 7's state is told, not what row 4 said."""
    clock_from_the_read: bool = True
    """The statement's clock is told, not that of the telling."""
    reads_from_the_writer: bool = True
    """No replica is asked."""
    clock_never_back: bool = True
    """A read whose clock is below the highest one used is done again."""
    settle_syncs: bool = True
    """Everyone who settles online gets a sync."""
    newer_sync_replaces: bool = True
    """Of two syncs that wait the newer one is sent."""
    delete_after_append: bool = True
    """Row 8: an entry of `seen` is deleted after the notices are appended."""
    delete_after_publish: bool = True
    """Row 10: an entry of `inbox` is deleted after the answer."""
    put_back_what_failed: bool = True
    """Row 10: what could not be published is appended again."""
    newest_in_a_letter: bool = True
    """Row 9: of several events about one friend the newest is told, not the last to come."""
    never_nothing: bool = True
    """Row 9: two opposite events do not cancel each other out."""
    ended_friendship_silences: bool = True
    """Row 9: a presence older than a queued end of that friendship is dropped."""
    relation_from_the_read: bool = True
    """Friend changes: what stands now is told, not what the change was."""
    relation_to_the_offline: bool = True
    """Friend changes are told to both ends, flagged online or not."""
    outbox_deleted_by_id: bool = True
    """A change that comes while an earlier one of the pair is told is not deleted with it."""
    doubt_is_looked_up: bool = True
    """Same time, different states: Where Now decides."""
    future_is_pulled_back: bool = True
    """A time far ahead of PubNub's own is clamped."""
    reconcile_is_backdated: bool = True
    """What Here Now says is as old as its cache may be."""
    absence_is_confirmed: bool = True
    """Who is absent from Here Now is looked up before being told gone."""
    storm_only_waits: bool = True
    """Storm: a leave is held for longer, never dropped."""
    storm_moves_deadlines: bool = True
    """Storm: who waits already gets a new deadline, when it begins and when it ends."""
    storm_hold_is_capped: bool = True
    """Storm: a leave waits so long at most, even where the storm goes on."""
    storm_ends: bool = True
    """Storm: it is over by itself once all is quiet."""
    admitted_later_not_dropped: bool = True
    """Storm: a sync that the graph cannot bear now waits."""
    client_newest_wins: bool = True
    """Client: the newest `ts` counts, not the last to come."""
    client_notice_beats_sync: bool = True
    """Client: on equal `ts` a notice beats a sync."""
    client_higher_at: bool = True
    """Client: on equal `ts` of two notices the higher `at` counts."""
    client_tombstones: bool = True
    """Client: nothing older passes a removal."""
    client_floor: bool = True
    """Client: a sync is the floor for older messages about friends not in it."""
    client_whole_syncs: bool = True
    """Client: the parts of a sync are applied together."""
    client_asks: bool = True
    """Client: a sync is asked for after every connect."""
    invisible_is_silent: bool = True
    """The presence of an invisible user is told to nobody."""
    visible_by_the_commit: bool = True
    """Who was visible when a change was committed is told of, hidden since or not."""
    hiding_is_told_whatever_since: bool = True
    """Who was online when hiding was committed is told of, gone since or not."""

    @staticmethod
    def names() -> list[str]:
        """All rules."""
        return [one.name for one in fields(Rules)]
