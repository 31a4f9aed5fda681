"""What the contenders need beside Leadstream's own environment, made on first use in `.peers/`."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
CACHE: Final = ROOT / ".peers"
HERE: Final = Path(__file__).parent
QUIX: Final = HERE / "quix" / "requirements.txt"
STREAMS: Final = HERE / "streams"
MOST_S: Final = 900


class InstallError(RuntimeError):
    """Something that a contender needs cannot be had; says what."""


def quix() -> Path:
    """Return the Python of an environment with Quix Streams. Raises InstallError."""

    def make(home: Path) -> None:
        _run(sys.executable, "-m", "venv", str(home))
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "--require-hashes", "-r", str(QUIX))

    # An environment knows its path, so it is made where it stays.
    return _made("quix", [QUIX], make, movable=False) / "bin" / "python"


def streams() -> list[str]:
    """Return the command of the program of Kafka Streams, without its argument. Raises InstallError."""
    maven, java = shutil.which("mvn"), shutil.which("java")
    if maven is None or java is None:
        raise InstallError("Kafka Streams needs Java 17 and Maven (java, mvn)")

    def make(home: Path) -> None:
        goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={home}/lib"]
        _run(maven, "--batch-mode", "--quiet", "--file", str(STREAMS / "pom.xml"), f"-Dbuilt={home}", *goals)

    home = _made("streams", sorted(path for path in STREAMS.rglob("*") if path.suffix in {".xml", ".java"}), make)
    log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return [java, log, "-cp", f"{home}/classes:{home}/lib/*", "leadstream.Peer"]


def _made(name: str, sources: list[Path], make: Callable[[Path], None], *, movable: bool = True) -> Path:
    """Return the directory that `make` made of the sources as they are."""
    known = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    home = CACHE / f"{name}-{known}"
    done = home / ".done"
    if done.exists():
        return home
    CACHE.mkdir(exist_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{name}-partial-", dir=CACHE)) if movable else home
    try:
        make(place)
        (place / ".done").touch()
        if movable:
            place.rename(home)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return home


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=MOST_S, cwd=ROOT, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        raise InstallError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr).strip()[-1_500:]}")
