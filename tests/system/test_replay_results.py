"""How the records of a replay are put in order."""

from collections import Counter
from pathlib import Path

import orjson

from app.cli.replay.results import Results


def conversion(lead: str, brand: str = "default") -> bytes:
    """Of an order that several leads tell, as a browser does and then a server: one `conversion_id`."""
    told = {"at": "2026-01-01T00:00:00.000Z", "conversion_id": "c", "revision": 1, "supersedes": None}
    return orjson.dumps({**told, "brand": brand, "lead_id": lead})


def test_conversions_of_several_leads_with_one_order_come_in_one_order_however_they_arrived(tmp_path: Path) -> None:
    wanted = [conversion("user:u", "a"), conversion("anon:a"), conversion("user:u")]
    for number, arrived in enumerate((wanted, wanted[::-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Results() as results:
            for value in arrived:
                results.take("leads.conversions", b"k", value)
            results.write(folder, lambda *_: None, 3, 1.0, Counter())
        assert (folder / "conversions.jsonl").read_bytes().splitlines() == wanted
