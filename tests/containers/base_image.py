"""A base image for deploy/Dockerfile, where no image registry is reachable: this machine's Python, laid out as python:slim.

Needs no container engine. /usr/local has the interpreter, its standard library and pip; the image also has the shared
libraries that they and binary wheels load, a shell and this machine's certificates.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from local_stack.stack.image import _add_folder, _add_text, _root

PREFIX = "/usr/local"
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CHANGES = (
    f"ENV PATH={PREFIX}/bin:/usr/bin:/bin LD_LIBRARY_PATH={PREFIX}/lib",
    f"ENV SSL_CERT_FILE={CERTIFICATES} PIP_CERT={CERTIFICATES} HOME=/tmp",
    'CMD ["python"]',
)
UNUSED = {
    "test",
    "tests",
    "site-packages",
    "dist-packages",
    "idlelib",
    "tkinter",
    "turtledemo",
    "__pycache__",
    "lib2to3",
}
WANTED = (
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libnss_dns.so.2",
)
"""Libraries that binary wheels load (manylinux), and those that resolve host names."""


def write(target: Path) -> None:
    """Write the image's files as an uncompressed archive for ``docker import``."""
    with tarfile.open(target, "w") as tree:
        for folder in ("/tmp", "/usr", "/usr/bin", "/etc", PREFIX, f"{PREFIX}/bin", f"{PREFIX}/lib"):
            _add_folder(tree, folder, 0, 0o1777 if folder == "/tmp" else 0o755)
        program = Path(sys.executable).resolve()
        tree.add(program, f"{PREFIX}/bin/{VERSION}", filter=_root)
        for name in ("python", "python3"):
            _link(tree, f"{PREFIX}/bin/{name}", VERSION)
        stdlib = Path(sysconfig.get_path("stdlib"))
        tree.add(stdlib, f"{PREFIX}/lib/{VERSION}", filter=_needed)
        pip = find_spec("pip")
        assert pip
        assert pip.origin
        tree.add(Path(pip.origin).parent, f"{PREFIX}/lib/{VERSION}/site-packages/pip", filter=_needed)
        tree.add(Path("/bin/sh").resolve(), "/bin/sh", filter=_root)
        tree.add(Path("/usr/bin/env").resolve(), "/usr/bin/env", filter=_root)
        tree.add(Path(CERTIFICATES).resolve(), CERTIFICATES, filter=_root)
        for library in libraries([program, Path("/bin/sh"), *stdlib.rglob("lib-dynload/*.so")]):
            tree.add(library.resolve(), _place(library), filter=_root)
        _add_text(tree, "/etc/passwd", "root:x:0:0::/:/bin/sh\n")
        _add_text(tree, "/etc/group", "root:x:0:\n")
        _add_text(tree, "/etc/nsswitch.conf", "passwd: files\nhosts: files dns\n")


def libraries(programs: Iterable[Path]) -> Iterator[Path]:
    """Every shared library that these load, and those that wheels may need, by the path they are loaded from."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = {word for line in said.splitlines() if line.startswith("\t") for word in line.split()}
    found = {Path(word) for word in words if word.startswith("/") and Path(word).is_file()}
    beside = next(path.parent for path in found if path.name == "libc.so.6")
    yield from sorted(found | {beside / name for name in WANTED if (beside / name).is_file()})


def _place(library: Path) -> str:
    """The library's path in the image: system libraries stay where they are, Python's goes to its prefix."""
    system = library.parts[1] in {"lib", "lib64"} or str(library).startswith("/usr/lib")
    return str(library) if system else f"{PREFIX}/lib/{library.name}"


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = set(Path(member.name).parts)
    own = Path(member.name).name.startswith("config-")
    below_pip = "pip" in parts
    if own or (parts & UNUSED - ({"site-packages"} if below_pip else set())):
        return None
    return _root(member)


def _link(tree: tarfile.TarFile, name: str, to: str) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type, member.linkname = tarfile.SYMTYPE, to
    tree.addfile(member)
