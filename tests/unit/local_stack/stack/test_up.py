"""What `up` reads of the environment before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_service.errors import SetupError
from local_stack.stack.up import Choice, is_on, stack


@pytest.mark.parametrize(
    ("value", "on"),
    [("on", True), ("true", True), ("1", True), ("off", False), ("false", False), ("0", False)],
)
def test_a_boolean_is_read_as_the_service_reads_it(value: str, on: bool) -> None:
    assert is_on(value) is on


async def test_an_old_setting_refuses_the_start_before_anything_is_started(tmp_path: Path) -> None:
    choice = Choice(data=tmp_path / "data", environ={"HOLD_ONLINE": "1"})
    with pytest.raises(SetupError, match="HOLD_ONLINE is now DEBOUNCE_ONLINE_SECONDS"):
        async with stack(choice, lambda _text: None):
            pass
    assert not (tmp_path / "data").exists()
