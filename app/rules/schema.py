"""The rules file's language as a JSON Schema, for editors that complete and check while one types.

It knows shapes; what refers to something else in the file (a score's signals, a goal's stage) only `load` can check.
"""

from typing import Any, Final

from app.domain.event import KINDS
from app.domain.kinds import TRACK_NAMES
from app.rules.comparisons import BOUNDS
from app.rules.conditions import GRADES, MODIFIERS, MOST_KEPT, NEEDS, OPERATORS
from app.rules.goals import PATHS
from app.rules.load import REQUIRED
from app.rules.scoring import MOST_A_DAY

Schema = dict[str, Any]

_VALUE: Final[Schema] = {"type": ["string", "number", "boolean"]}
_TEXT: Final[Schema] = {"type": "string", "pattern": r"\S"}
_NUMBER: Final[Schema] = {"type": "number"}
_POSITIVE: Final[Schema] = {"type": "number", "exclusiveMinimum": 0}
_BOOLEAN: Final[Schema] = {"type": "boolean"}


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a rules file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Leadstream rules",
        **_object(_SECTIONS, REQUIRED),
        "$defs": _definitions(),
    }


def _definitions() -> Schema:
    bounds = dict.fromkeys(BOUNDS, _NUMBER)
    durations = {bound: _ref("duration") for bound in BOUNDS}
    return {
        "duration": {
            "type": "string",
            "pattern": "^[0-9]{1,12}[smhdw]$",
            "examples": ["30s", "5m", "24h", "14d", "2w"],
        },
        "event": {**_TEXT, "examples": sorted(KINDS) + [name for names in TRACK_NAMES.values() for name in names]},
        "list": {"type": "array", "items": _TEXT},
        "bounds": {**_object(bounds), "minProperties": 1},
        "durationBounds": {**_object(durations), "minProperties": 1},
        "windowedBounds": {**_object({**bounds, "within": _ref("duration")}), **_any_bound()},
        "test": {"anyOf": [_VALUE, {**_object({**_OPERATORS, **bounds}), "minProperties": 1}]},
        "where": {"type": "object", "minProperties": 1, "additionalProperties": _ref("test")},
        "signal": _signal(),
        "signals": {"anyOf": [{"const": "all"}, {"type": "array", "minItems": 1, "uniqueItems": True, "items": _TEXT}]},
        "score": _object({"signals": _ref("signals"), "min": _NUMBER, "max": _NUMBER}, ("signals",)),
        "condition": _condition(),
        "conditions": {"type": "array", "minItems": 1, "items": _ref("condition")},
        "group": _object(_GROUP, ("enter",)),
        "goal": _goal(),
    }


def _condition() -> Schema:
    """Return one operator with what goes beside it, or a threshold of a named score."""
    forms = [
        _object(
            {operator: value, **{name: _MODIFIERS[name] for name in MODIFIERS.get(operator, ())}}, _needed(operator)
        )
        for operator, value in _OPERANDS.items()
    ]
    for form in forms:
        if "since" in form["properties"]:
            form["not"] = {"required": ["since", "within"]}
    score = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": {"not": {"enum": [*OPERATORS, *_MODIFIERS, "segment", "segments"]}},
        "additionalProperties": _ref("bounds"),
    }
    return {"oneOf": [*forms, score]}


def _needed(operator: str) -> tuple[str, ...]:
    return (operator, NEEDS[operator]) if operator in NEEDS else (operator,)


def _signal() -> Schema:
    per = {"property": _TEXT, "each": _POSITIVE, "points": _NUMBER, "max": _NUMBER}
    signal = _object(
        {
            "event": _ref("event"),
            "where": _ref("where"),
            "points": _NUMBER,
            "points_per": _object(per, ("property", "each", "points")),
            "half_life": {"anyOf": [_ref("duration"), {"const": "none"}]},
            "once": _BOOLEAN,
            "max_per_day": {"type": "integer", "minimum": 1, "maximum": MOST_A_DAY},
        },
        ("event",),
    )
    once = {"properties": {"once": {"const": True}}, "required": ["once"]}
    capped = {"required": ["max_per_day"]}
    signal["oneOf"] = [
        {"required": ["points"], "not": {"allOf": [once, capped]}},
        {"required": ["points_per"], "not": {"anyOf": [once, capped]}},
    ]
    return signal


def _goal() -> Schema:
    amount = {"type": "number", "minimum": 0, "exclusiveMaximum": 10**12}
    goal = _object(
        {
            "event": _ref("event"),
            "where": _ref("where"),
            "stage": _TEXT,
            "value": {"anyOf": [{"enum": ["order", "amount"]}, amount]},
            "lookback": _ref("duration"),
            "path": {"enum": list(PATHS)},
        }
    )
    goal["oneOf"] = [
        {"required": ["event"]},
        {"required": ["stage"], "properties": {"value": amount}, "not": {"required": ["where"]}},
    ]
    return goal


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | {"required": list(required)} if required else made


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any_bound() -> Schema:
    return {"anyOf": [{"required": [bound]} for bound in BOUNDS]}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": schema}


def _limited(properties: Schema, required: tuple[str, ...]) -> Schema:
    return _object(properties | {"min": _NUMBER, "max": _NUMBER}, required)


_OPERATORS: Final[Schema] = {
    "in": _list_of(_VALUE),
    "not_in": _list_of(_VALUE),
    "glob": {"anyOf": [_VALUE, _list_of(_VALUE)]},
    "contains": _VALUE,
    "exists": _BOOLEAN,
}
_MODIFIERS: Final[Schema] = {
    "where": _ref("where"),
    "at_least": {"type": "integer", "minimum": 1, "maximum": MOST_KEPT},
    "within": _ref("duration"),
    "since": _TEXT,
    "older_than": _ref("duration"),
}
_GRADE_LIST: Final = _object({"in": _list_of({"enum": list(GRADES)})}, ("in",))
_DURATION_BOUNDS: Final[Schema] = {bound: _ref("duration") for bound in BOUNDS}
_OPERANDS: Final[Schema] = {
    "all": _ref("conditions"),
    "any": _ref("conditions"),
    "not": _ref("condition"),
    "did": _TEXT,
    "not_did": _TEXT,
    "last": _TEXT,
    "sequence": {"type": "array", "minItems": 2, "items": _TEXT},
    "trait": _ref("where"),
    "grade": {"anyOf": [{"enum": list(GRADES)}, _GRADE_LIST]},
    "interest": _object({"category": _VALUE, **dict.fromkeys(BOUNDS, _NUMBER)}, ("category",)) | _any_bound(),
    "orders": _ref("windowedBounds"),
    "revenue": _ref("windowedBounds"),
    "cart_value": _ref("bounds"),
    "sessions": _ref("bounds"),
    "visit_duration": _ref("durationBounds"),
    "page_duration": _object({"path": _ref("test"), **_DURATION_BOUNDS}, ("path",)) | _any_bound(),
    "first_channel": _ref("test"),
    "last_channel": _ref("test"),
    "known": _BOOLEAN,
    "mailable": _BOOLEAN,
    "stage": _ref("test"),
}
_STAY: Final[Schema] = {"enter": _ref("condition"), "exit": _ref("condition"), "min_stay": _ref("duration")}
_GROUP: Final[Schema] = _STAY | {"cooldown": _ref("duration")}
_WEIGHTS: Final = ("first", "middle", "last")
_SECTIONS: Final[Schema] = {
    "version": {"anyOf": [_TEXT, _NUMBER, _BOOLEAN]},
    "brand": {"type": "string", "pattern": r"^\s*[^/\s][^/]*$", "maxLength": 100},
    "timezone": _TEXT,
    "currency": {"type": "string", "pattern": "^[A-Za-z]{3}$"},
    "rates": _TEXT,
    "own_domains": _ref("list"),
    "payment_domains": _ref("list"),
    "internal": _object({"ips": _ref("list"), "email_domains": _ref("list"), "emails": _ref("list")}),
    "channels": {"type": "array", "items": _object({"name": _TEXT, "where": _ref("where")}, ("name", "where"))},
    "signals": {"type": "object", "minProperties": 1, "additionalProperties": _ref("signal")},
    "scores": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"not": {"enum": ["score", *OPERATORS]}},
        "properties": {
            "fit": _limited(
                {"traits": _list_of(_object({"where": _ref("where"), "points": _NUMBER}, ("where", "points")))},
                ("traits",),
            ),
            "interests": _object({"signals": _ref("signals"), "by": _TEXT}, ("signals",)),
            "total": {"type": "object", "minProperties": 1, "additionalProperties": _NUMBER},
        },
        "additionalProperties": _ref("score"),
    },
    "exclude": _ref("condition"),
    "grades": _object(
        {
            "fit": _object(dict.fromkeys("ABCD", _NUMBER)),
            "engagement": _object(dict.fromkeys("1234", _NUMBER)),
        }
    ),
    "stages": {
        "type": "array",
        "minItems": 1,
        "prefixItems": [_object({"name": _TEXT, **_STAY}, ("name",))],
        "items": _object({"name": _TEXT, **_STAY}, ("name", "enter")),
    },
    "segments": {"type": "object", "additionalProperties": _ref("group")},
    "goals": {"type": "object", "additionalProperties": _ref("goal")},
    "attribution": _object(
        {
            "half_life": _ref("duration"),
            "ignore": _ref("list"),
            "milestone_stage": _TEXT,
            "custom": _object({weight: {"type": "number", "minimum": 0} for weight in _WEIGHTS}, _WEIGHTS),
            "correction_window": _ref("duration"),
            "data_driven": _object(
                {
                    "min_conversions": {"type": "integer", "minimum": 1},
                    "refit_every": _ref("duration"),
                    "order": {"const": 1},
                }
            ),
        }
    ),
}
