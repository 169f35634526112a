"""Build a Neo4j container image without an image registry: this machine's C library, the wheel's JDK, the locked jars.

``python -m local_stack.stack.image FILE.tar``; needs no container engine. The image behaves as the official one where
tests depend on it: NEO4J_AUTH sets the password, Bolt on 7687, HTTP on 7474, the log on standard output. For tests
only: it contains no administration tools.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from local_stack.engines import java
from local_stack.engines.memory import Memory
from local_stack.engines.neo4j_server import ADMIN_CLASS, JVM_FLAGS, configuration, main_class
from local_stack.errors import NoJava
from local_stack.jars import jars, lockfile

HOME = "/opt/neo4j"
JAVA = "/opt/java"
USER = 7474
"""User id in the container, as in the official image."""
MEMORY = Memory(heap=512, page_cache=128)
CHANGES = (f'ENTRYPOINT ["/bin/sh", "{HOME}/run.sh"]', f"USER {USER}", f"WORKDIR {HOME}", "EXPOSE 7474 7687")
"""Image configuration that the archive cannot carry (``docker import --change``)."""

RUN = f"""\
set -e
export NEO4J_HOME={HOME} NEO4J_CONF={HOME}/conf
case "${{NEO4J_AUTH:-}}" in
  neo4j/*) [ -d {HOME}/data/databases ] || {JAVA}/bin/java @{HOME}/admin.args "${{NEO4J_AUTH#neo4j/}}" ;;
esac
exec {JAVA}/bin/java @{HOME}/start.args
"""


def write(target: Path) -> None:
    """Write the image's files as a tar archive, about 300 MB. Linux only: the C library is this machine's."""
    lock = lockfile.read()
    found = java.find(lock.version)
    if sys.platform != "linux":
        raise NoJava(version=lock.version, wanted="for Linux", seen="The image can be made on Linux only.")
    paths = asyncio.run(jars.ready_jars(lock))
    with tarfile.open(target, "w") as tree:
        tree.add(found.home.resolve(), JAVA, filter=_root)
        for path in paths:
            tree.add(path, f"{HOME}/lib/{path.name}", filter=_root)
        tree.add(Path("/bin/sh").resolve(), "/bin/sh", filter=_root)
        for library in _libraries(found.home):
            tree.add(library.resolve(), str(library), filter=_root)
        for name, text in texts(paths, main_class(paths)).items():
            _add_text(tree, name, text)
        for folder in ("data", "logs", "run", "import", "plugins", "licenses", "certificates"):
            _add_folder(tree, f"{HOME}/{folder}", USER)
        _add_folder(tree, "/tmp", 0, 0o1777)  # noqa: S108 - in the image


def texts(paths: list[Path], entry: str) -> dict[str, str]:
    """Generated files by their path in the image; `entry` is the server's main class."""
    lib = ":".join(f"{HOME}/lib/{path.name}" for path in paths)
    server = (*JVM_FLAGS, f"-Xmx{MEMORY.heap}m", "-cp", lib, entry)
    where = (f"--home-dir={HOME}", f"--config-dir={HOME}/conf", "--console-mode")
    admin = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", lib, ADMIN_CLASS)
    everywhere = {
        "server.bolt.listen_address": "0.0.0.0:7687",
        "server.bolt.advertised_address": "localhost:7687",
        "server.http.enabled": "true",
        "server.http.listen_address": "0.0.0.0:7474",
    }
    settings = configuration(7687, MEMORY) | everywhere
    return {
        f"{HOME}/run.sh": RUN,
        f"{HOME}/start.args": "\n".join((*server, *where)),
        f"{HOME}/admin.args": "\n".join((*admin, "dbms", "set-initial-password")),
        f"{HOME}/conf/neo4j.conf": "".join(f"{key}={value}\n" for key, value in settings.items()),
        "/etc/passwd": f"root:x:0:0::/:/bin/sh\nneo4j:x:{USER}:{USER}::{HOME}:/bin/sh\n",
        "/etc/group": f"root:x:0:\nneo4j:x:{USER}:\n",
        "/etc/nsswitch.conf": "passwd: files\nhosts: files dns\n",
    }


def _libraries(home: Path) -> list[Path]:
    """Every shared library that the shell or the JDK loads, by the path it is loaded from."""
    programs = [Path("/bin/sh"), home / "bin" / "java", *home.rglob("*.so")]
    output = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = {
        word
        for line in output.splitlines()
        if "=>" in line or line.startswith("\t/")
        for word in line.split()
    }
    outside = {word for word in words if word.startswith("/") and not word.startswith(str(home))}
    return [Path(word) for word in sorted(outside) if Path(word).is_file()]


def _root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode |= 0o444 | (0o111 if member.isdir() or member.mode & 0o100 else 0)
    return member


def _add_text(tree: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    content = text.encode()
    member.size, member.mode = len(content), 0o644
    tree.addfile(member, io.BytesIO(content))


def _add_folder(tree: tarfile.TarFile, name: str, owner: int, mode: int = 0o755) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, mode, owner, owner
    tree.addfile(member)


def main(arguments: Iterable[str]) -> None:
    """``python -m local_stack.stack.image FILE.tar``; prints the options that ``docker import`` needs."""
    (target,) = arguments
    write(Path(target))
    for change in CHANGES:
        print(f"--change {change!r}")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main(sys.argv[1:])
