"""Message actions."""

from __future__ import annotations

import pytest

from local_stack.origin.actions import Action, Actions, DuplicateActionError


def action(timetoken: int, value: str = "smile", uuid: str = "u", message: int = 7) -> Action:
    """A reaction."""
    return Action(message, "reaction", uuid, value, timetoken)


def test_an_action_returns_timetokens_as_text() -> None:
    """The recorded response and the recorded event; the user is only in the envelope."""
    assert action(9).as_json() == {
        "messageTimetoken": "7",
        "type": "reaction",
        "uuid": "u",
        "value": "smile",
        "actionTimetoken": "9",
    }
    assert action(9).event("added") == {
        "source": "actions",
        "version": "1.0",
        "event": "added",
        "data": {"messageTimetoken": "7", "type": "reaction", "value": "smile", "actionTimetoken": "9"},
    }


def test_the_same_action_of_the_same_user_is_refused_until_it_is_removed() -> None:
    actions = Actions()
    actions.add("c", action(1))
    actions.add("c", action(2, uuid="v"))
    with pytest.raises(DuplicateActionError):
        actions.add("c", action(3))
    assert actions.remove("c", 7, 1) == action(1)
    assert actions.remove("c", 7, 1) is None
    assert actions.grouped("c", 7) == {"reaction": {"smile": [{"uuid": "v", "actionTimetoken": "2"}]}}
    actions.add("c", action(3))


def test_actions_are_paged_from_the_newest_and_shown_oldest_first() -> None:
    """`start` is exclusive, `end` inclusive; the second value says whether there are older ones."""
    actions = Actions()
    for timetoken in (3, 1, 2, 4):
        actions.add("c", action(timetoken, uuid=str(timetoken)))
    pages = [actions.page("c", None, None, 2), actions.page("c", 3, None, 2), actions.page("c", 4, 2, 100)]
    assert [([found.timetoken for found in page], more) for page, more in pages] == [
        ([3, 4], True),
        ([1, 2], False),
        ([2, 3], False),
    ]
    assert actions.page("c", None, None, 0) == ([], True)


def test_history_groups_the_actions_of_a_message() -> None:
    """By type, then by value; those of deleted messages are dropped."""
    actions = Actions()
    actions.add("c", action(1))
    actions.add("c", action(2, uuid="v"))
    actions.add("c", action(3, value="sad"))
    assert actions.grouped("c", 7) == {
        "reaction": {
            "smile": [{"uuid": "u", "actionTimetoken": "1"}, {"uuid": "v", "actionTimetoken": "2"}],
            "sad": [{"uuid": "u", "actionTimetoken": "3"}],
        }
    }
    actions.forget("c", [7, 8])
    assert actions.grouped("c", 7) == {}
