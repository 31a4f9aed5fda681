"""Files that come with the program: the default rules and the sample, in a clone or an installation."""

import sys
from pathlib import Path
from typing import Final

_CLONE: Final = Path(__file__).parents[2] / "deploy"
_INSTALLED: Final = Path(sys.prefix) / "share" / "leadstream"
INPUTS: Final = ("web", "email", "cart", "crm")
"""Options of `replay` and files of the sample; each with its topic `events.…`."""


def _folder(name: str) -> Path:
    return next((root / name for root in (_CLONE, _INSTALLED) if (root / name).is_dir()), _CLONE / name)


def default_rules() -> Path:
    """Return the rules that hold where none are given."""
    return _folder("rules") / "default.yaml"


def sample(name: str) -> Path:
    """Return the sample's file of one of `INPUTS`."""
    return _folder("sample") / f"{name}.jsonl.gz"
