"""The lock file is read strictly and written back unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.errors import BadLockFile
from local_stack.jars import lockfile
from local_stack.jars.lockfile import Jar

SHA = "0" * 64
PRODUCT = Jar(group="org.neo4j", artifact="neo4j", classifier="", version="5.26.28", sha256=SHA, size=7)

words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,20}", fullmatch=True)
jars = st.builds(
    Jar,
    group=words,
    artifact=words,
    classifier=st.just("") | words,
    version=words,
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(1, 10**9),
)


def test_the_lock_file_holds_the_whole_product() -> None:
    """214 jars of 5.26.28, 123 MB, no two of which would have the same file name."""
    lock = lockfile.read()
    assert lock.version == "5.26.28"
    assert len(lock.jars) == 214
    assert len({jar.name for jar in lock.jars}) == 214
    assert 120e6 < lock.size < 126e6


def test_the_lock_file_names_no_registry() -> None:
    """Where jars come from is decided at run time."""
    assert "://" not in lockfile.LOCK_FILE.read_text(encoding="utf-8")


def test_a_jar_lies_where_a_maven_repository_has_it() -> None:
    """Group as folders, the classifier after the version."""
    jar = Jar(
        group="io.netty",
        artifact="netty-transport",
        classifier="linux-x86_64",
        version="4.1.135.Final",
        sha256=SHA,
        size=1,
    )
    assert jar.path == "io/netty/netty-transport/4.1.135.Final/netty-transport-4.1.135.Final-linux-x86_64.jar"


@given(st.lists(jars, max_size=5, unique_by=lambda jar: jar.coordinates))
def test_what_is_written_is_what_is_read(others: list[Jar]) -> None:
    """Any set of jars, sorted by coordinates."""
    everything = [PRODUCT, *(jar for jar in others if (jar.group, jar.artifact) != ("org.neo4j", "neo4j"))]
    lock = lockfile.parse(lockfile.dump(everything))
    assert list(lock.jars) == sorted(everything)
    assert lock.size == sum(jar.size for jar in everything)


@pytest.mark.parametrize(
    "line",
    [
        f"org.neo4j:neo4j {SHA} 7",
        f"org.neo4j:neo4j:5.26.28 {SHA[1:]} 7",
        f"org.neo4j:neo4j:5.26.28 {SHA} 0",
        f"org.neo4j:neo4j:5.26.28 {SHA}",
        f"../etc:neo4j:5.26.28 {SHA} 7",
        f"a/b:neo4j:5.26.28 {SHA} 7",
        f"a:b:c:d:e {SHA} 7",
    ],
)
def test_a_broken_line_is_reported_with_its_number(line: str) -> None:
    """Including one whose parts would lead out of the cache."""
    with pytest.raises(BadLockFile, match="line 3"):
        lockfile.parse(lockfile.dump([PRODUCT]).rsplit("\n", 2)[0] + f"\n{line}\n")


def test_a_jar_named_twice_is_refused() -> None:
    """Otherwise one of two checksums would win."""
    text = lockfile.dump([PRODUCT])
    with pytest.raises(BadLockFile, match="twice"):
        lockfile.parse(text + text)


def test_a_lock_file_without_the_product_is_refused() -> None:
    with pytest.raises(BadLockFile, match="is not in it"):
        lockfile.parse("# nothing\n")
