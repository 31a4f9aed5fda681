"""Apache Kafka's class path, from Maven Central once, and what a quick start needs; all of it in `.kafka/`."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
POM: Final = ROOT / "deploy" / "kafka" / "pom.xml"
CACHE: Final = ROOT / ".kafka"
LEAST_JAVA: Final = 17
MAVEN_S: Final = 600
TOOL_S: Final = 120

_FORMATTED_WITH: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:1,CLIENT://127.0.0.1:2
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
"""
"""Enough for the storage tool; brokers have properties of their own."""


class KafkaError(RuntimeError):
    """Apache Kafka cannot run here; says why."""


class Installed:
    """A class path that is complete, with what was prepared beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def checkpoint(self) -> Path:
        """`bootstrap.checkpoint` of a freshly formatted data directory: the features of a new cluster."""
        return self.home / "bootstrap.checkpoint"

    @property
    def archive(self) -> Path:
        """Classes as the JVM keeps them in memory; with it a broker starts a third sooner. May be absent."""
        return self.home / "classes.jsa"

    def keep_archive(self, made: Path) -> None:
        """Keep an archive that a JVM wrote. Raises OSError: it wrote none."""
        beside = self.home / f"{os.getpid()}.jsa"
        shutil.move(made, beside)
        beside.rename(self.archive)

    def java(self, *options: str, heap: str = "-Xmx512m") -> list[str]:
        """Return the command of a JVM with the class path, up to the main class."""
        jars = ":".join(map(str, sorted((self.home / "lib").glob("*.jar"))))
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [*(_java(), heap, "-Djava.awt.headless=true", logging), *options, "-cp", jars]


def why_not() -> str | None:
    """Return why Apache Kafka cannot run on this machine; None when it can, or could after a download."""
    with contextlib.suppress(KafkaError):
        _java()
        return None if _home(POM).exists() or shutil.which("mvn") else "Maven (mvn) is not found"
    return f"Java {LEAST_JAVA} or newer is not found"


def installed() -> Installed:
    """Return the class path; the first time it is fetched by Maven, later no network is needed.

    Raises:
        KafkaError: there is no Java or Maven, or Maven or the storage tool failed.
    """
    with _locked():
        home = _home(POM)
        if not home.exists():
            _install(home)
        return Installed(home)


def format_storage(kafka: Installed, properties: Path, cluster_id: str, *options: str) -> None:
    """Run Kafka's storage tool: `format`. Raises KafkaError."""
    tool = [*kafka.java("-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format"]
    _run([*tool, "--cluster-id", cluster_id, "--config", str(properties), *options], TOOL_S)


@functools.cache
def _java() -> str:
    """Return the path of a Java that is new enough."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise KafkaError("java is not found")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=TOOL_S).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < LEAST_JAVA:
        raise KafkaError(f"{found} is older than Java {LEAST_JAVA}: {told.strip()}")
    return found


def _home(pom: Path) -> Path:
    return CACHE / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Keep others from installing at the same time."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(home: Path) -> None:
    """Fetch and prepare everything beside the final place, then move it there."""
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaError("Maven (mvn) is not found, and there is no class path in .kafka/ yet")
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=CACHE))
    try:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial / 'lib'}"]
        _run([maven, "--batch-mode", "--quiet", "--file", str(POM), *goal], MAVEN_S)
        kafka = Installed(partial)
        (partial / "properties").write_text(f"{_FORMATTED_WITH}log.dirs={partial / 'data'}\n")
        format_storage(kafka, partial / "properties", "leadstream-template-id")
        shutil.move(partial / "data" / "bootstrap.checkpoint", kafka.checkpoint)
        shutil.rmtree(partial / "data")
        partial.rename(home)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _run(command: list[str], most_s: int) -> None:
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=most_s, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-1_500:]
        took = time.monotonic() - began
        raise KafkaError(f"{Path(command[0]).name} ended with status {done.returncode} after {took:.0f} s: {words}")
