"""The plan of which groups an event can move."""

import os
import subprocess
import sys

from tests.domain.stories import SHOP

PRINT = "import sys; from pathlib import Path; from app.domain.plan import Plan; from app.rules import load; "
PRINT += "print(Plan(load(Path(sys.argv[1]))).fingerprint)"


def test_the_fingerprint_of_rules_is_the_same_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", PRINT, str(SHOP)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
