"""Write the sample anew: `python deploy/sample/generate.py [folder]`. The same seed gives the same lines."""

import datetime
import gzip
import sys
from pathlib import Path

from app.cli.traffic import CART, CRM, EMAIL, WEB, history

SEED = 20261120
END = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
FILES = {WEB: "web", EMAIL: "email", CART: "cart", CRM: "crm"}


def lines() -> dict[str, list[bytes]]:
    """Return each file's lines, by the file's name without its ends."""
    files: dict[str, list[bytes]] = {name: [] for name in FILES.values()}
    for topic, line in history(SEED, int(END.timestamp()) * 1000):
        files[FILES[topic]].append(line)
    return files


def main(folder: Path) -> None:
    """Write `web.jsonl.gz`, `email.jsonl.gz`, `cart.jsonl.gz` and `crm.jsonl.gz`."""
    for name, content in lines().items():
        packed = gzip.compress(b"".join(line + b"\n" for line in content), compresslevel=9, mtime=0)
        (folder / f"{name}.jsonl.gz").write_bytes(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
