"""The rules file: YAML → compiled rules (`app.domain.rulebook`), with every mistake named by file, line and field."""

from app.rules.errors import Problem, RulesError
from app.rules.load import load, load_with_notes, loads

__all__ = ["Problem", "RulesError", "load", "load_with_notes", "loads"]
