"""The engine commands on a folder where nothing runs, and the image's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from graph_service.errors import SetupError
from local_stack.cli.engines import NOT_RUNNING, app
from local_stack.engines import launcher
from local_stack.engines.memory import Memory, of_machine, shared_out
from local_stack.stack import image

run = CliRunner()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("status", NOT_RUNNING, "Nothing runs on"),
        ("down", 0, "Nothing runs on"),
        ("env", 2, "Nothing runs on"),
        ("logs", 2, "does not exist"),
    ],
)
def test_a_command_says_when_nothing_runs(tmp_path: Path, command: str, code: int, words: str) -> None:
    """And creates nothing, not even the folder."""
    said = run.invoke(app, [command, "--data", str(tmp_path / "data")], env={"COLUMNS": "200"})
    assert said.exit_code == code
    assert words in said.output
    assert not (tmp_path / "data").exists()


def test_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "service.log"
    log.parent.mkdir()
    log.write_text("one\ntwo\nthree\n")
    said = run.invoke(app, ["logs", "service", "-n", "2", "--data", str(tmp_path)])
    assert said.output == "two\nthree\n"


def test_memory_may_be_given_by_option_or_environment() -> None:
    """The option wins; without either it is a share of the machine's memory."""
    environ = {"NEO4J_HEAP": "600", "NEO4J_PAGE_CACHE": "70"}
    assert launcher.Options().memory(environ) == Memory(600, 70)
    assert launcher.Options(heap=700).memory(environ) == Memory(700, 70)
    assert launcher.Options().memory({}) == shared_out(of_machine())


def test_more_options_for_java_are_split_as_a_shell_does() -> None:
    assert launcher.jvm_flags({"NEO4J_JVM_FLAGS": "-XX:+UseZGC -Dnote='two words'"}) == (
        "-XX:+UseZGC",
        "-Dnote=two words",
    )
    assert launcher.jvm_flags({}) == ()


def test_a_memory_that_is_no_number_is_reported_by_name() -> None:
    with pytest.raises(SetupError, match=r"NEO4J_HEAP.*2g.*MiB"):
        launcher.Options().memory({"NEO4J_HEAP": "2g"})


def test_the_image_listens_where_a_container_must_and_logs_to_its_output() -> None:
    """Bolt and HTTP on all addresses, each key once, the log on standard output."""
    jar = Path("/cache/org/neo4j/neo4j/5.26.28/neo4j-5.26.28.jar")
    texts = image.texts([jar], "org.neo4j.server.CommunityEntryPoint")
    lines = texts["/opt/neo4j/conf/neo4j.conf"].splitlines()
    assert "server.bolt.listen_address=0.0.0.0:7687" in lines
    assert "server.http.enabled=true" in lines
    assert "dbms.usage_report.enabled=false" in lines
    keys = [line.partition("=")[0] for line in lines]
    assert len(keys) == len(set(keys))
    assert texts["/opt/neo4j/start.args"].splitlines()[-1] == "--console-mode"
    assert "NEO4J_AUTH" in texts["/opt/neo4j/run.sh"]
