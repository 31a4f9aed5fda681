"""Every setting of the program: one frozen value, read once from the environment and an optional TOML file."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

PREFIX: Final = "LEADSTREAM_"
"""Environment variables are this and the option's name in capitals; they win over the file."""

DAY_MS: Final = 86_400_000
MIB: Final = 1_048_576
POLL_RECORDS: Final = 1_000
"""Most records that one poll brings: a step may take those of several."""

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
_UNITS_BYTES: Final = {"B": 1, "KiB": 1_024, "MiB": MIB, "GiB": 1_024 * MIB}
_MS: Final = "ms"
_BYTES: Final = "bytes"


class SettingsError(ValueError):
    """An option is unknown or its value cannot be used; says where it was found and what was expected."""


def _ms(description: str, least: int = 1) -> Meta:
    return Meta(ge=least, description=f"{description} A duration such as `500ms`, `30s` or `7d`.", extra={"unit": _MS})


def _bytes(description: str, least: int = 1) -> Meta:
    return Meta(ge=least, description=f"{description} A size such as `900KiB` or `8MiB`.", extra={"unit": _BYTES})


_Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker, the replay and the demo need to know that is not in the rules."""

    # --- broker and topics
    brokers: Annotated[
        tuple[str, ...], Meta(min_length=1, description="Kafka bootstrap servers, `host:port`, comma separated.")
    ] = ("127.0.0.1:9092",)
    app_id: Annotated[_Name, Meta(description="Consumer group, and the name lanes go by in record headers.")] = (
        "leadstream"
    )
    topic_prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._-]*$", max_length=100, description="Put before every topic's name.")
    ] = ""
    partitions: Annotated[
        int, Meta(ge=1, le=1_000, description="Partitions of every topic that lanes read or write; never change it.")
    ] = 8
    replication_factor: Annotated[int, Meta(ge=1, le=10, description="Copies of every topic.")] = 3
    min_insync_replicas: Annotated[
        int, Meta(ge=1, le=10, description="Copies that must have a record before it counts as written.")
    ] = 2
    events_retention_ms: Annotated[int, _ms("How long `events.*` keeps records.")] = 7 * DAY_MS
    commands_retention_ms: Annotated[int, _ms("How long `leads.commands` keeps records.")] = 7 * DAY_MS
    outputs_retention_ms: Annotated[int, _ms("How long outputs that are not compacted are kept.")] = 30 * DAY_MS
    session_timeout_ms: Annotated[
        int, _ms("A worker that is silent this long loses its partitions (6s on the embedded broker).", 1_000)
    ] = 30_000
    rebalance_timeout_ms: Annotated[int, _ms("How long a rebalance waits for a worker to rejoin.", 1_000)] = 60_000
    instance_id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._-]*$",
            max_length=100,
            description="Name of this worker alone: a restart within the session time-out moves no partition.",
        ),
    ] = ""
    request_timeout_ms: Annotated[int, _ms("A broker that does not answer within this is a fault.", 1_000)] = 40_000

    processing_guarantee: Annotated[
        Literal["at_least_once", "exactly_once"],
        Meta(description="`exactly_once`: each step of a lane is one Kafka transaction, its outputs with it."),
    ] = "at_least_once"

    fetch_wait_ms: Annotated[
        int, _ms("How long a broker may hold a fetch that finds nothing (20ms on the embedded broker).")
    ] = 500

    # --- who may see what goes between this worker and the broker, and who it is
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="How brokers are spoken to: `SSL` = over TLS, `SASL_` = with user and password."),
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Meta(description="How the password is shown to brokers.")
    ] = "SCRAM-SHA-512"
    sasl_user: Annotated[str, Meta(max_length=1_000, description="User to log in to brokers as.")] = ""
    sasl_password: Annotated[str, Meta(max_length=10_000, description="Its password; better in a file.")] = ""
    sasl_password_file: Annotated[
        Path | None, Meta(description="File with the password instead, read at start; a last line break is left out.")
    ] = None
    tls_ca_file: Annotated[
        Path | None, Meta(description="PEM file of who signed the brokers' certificates; None = who the system trusts.")
    ] = None
    tls_cert_file: Annotated[
        Path | None, Meta(description="PEM file of this worker's certificate, where brokers demand one.")
    ] = None
    tls_key_file: Annotated[Path | None, Meta(description="PEM file of its private key, without a password.")] = None
    tls_check_hostname: Annotated[
        bool, Meta(description="Whether a broker's certificate must be for the name that it is reached by.")
    ] = True

    # --- this worker
    data_dir: Annotated[Path, Meta(description="Directory of the local RocksDB databases; one worker each.")] = Path(
        "data"
    )
    rules: Annotated[tuple[Path, ...], Meta(description="Rules files, one a brand, comma separated.")] = ()
    id_key: Annotated[
        str, Meta(min_length=1, description="Secret that hides addresses in lead ids; changing it renames leads.")
    ] = "leadstream"
    web_host: Annotated[str, Meta(min_length=1, description="Address that the HTTP server listens on.")] = "127.0.0.1"
    web_port: Annotated[int, Meta(ge=0, le=65_535, description="Port of the HTTP server; 0 = none.")] = 0
    web_token: Annotated[
        str,
        Meta(
            max_length=1_000,
            description="Secret without which the HTTP server explains no lead; empty = only this machine may ask.",
        ),
    ] = ""
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="What is logged.")] = "info"

    # --- lanes
    step_records: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most records that one step of a lane takes; it takes as many as it can fold in some 0.1 s.",
        ),
    ] = 4_000
    step_bytes: Annotated[
        int, _bytes("Largest changelog batch, before compression; a step above it is halved.", 65_536)
    ] = 8 * MIB
    idle_ms: Annotated[int, _ms("How often a lane without input looks for work that has become due.")] = 100
    idle_leads: Annotated[int, Meta(ge=1, description="Most due leads that one step without input takes.")] = 200
    commit_ms: Annotated[int, _ms("How often offsets are committed to the consumer group (a hint for tools).")] = 2_000
    block_cache_bytes: Annotated[int, _bytes("RocksDB block cache, shared by all partitions.", MIB)] = 256 * MIB
    write_buffer_bytes: Annotated[int, _bytes("RocksDB memtables, shared by all partitions.", MIB)] = 128 * MIB
    recent_leads_bytes: Annotated[
        int, _bytes("Decoded rows of the leads that were looked at last, about; shared by all partitions.", MIB)
    ] = 64 * MIB
    replay: Annotated[bool, Meta(description="Lanes fold only when told `advance`; set by `leadstream replay`.")] = (
        False
    )

    @property
    def exactly_once(self) -> bool:
        """Whether steps are Kafka transactions."""
        return self.processing_guarantee == "exactly_once"

    @property
    def poll_records(self) -> int:
        """Most records that come to a worker at once."""
        return min(POLL_RECORDS, self.step_records)

    @property
    def transaction_timeout_ms(self) -> int:
        """When a broker ends a transaction that nobody ends: after a worker would have died of the delay."""
        return self.request_timeout_ms * 3 // 2

    @property
    def largest_batch_bytes(self) -> int:
        """`max.message.bytes` of topics that take a whole step: `step_bytes` and room for framing and headers."""
        return self.step_bytes + 2 * MIB

    @property
    def largest_step_bytes(self) -> int:
        """Largest step that is sure to fit `largest_batch_bytes`: zstd adds up to a 256th to what does not compress."""
        return self.largest_batch_bytes * 255 // 256

    @classmethod
    def load(cls, env: Mapping[str, str], file: Path | None = None) -> "Settings":
        """Read the settings: defaults, then `file` (TOML, options at top level), then `LEADSTREAM_*` of `env`.

        Raises:
            SettingsError: an unknown option, an unusable value, or a file that cannot be read.
        """
        values = _from_file(file) if file else {}
        sources = {name: f"{file}: {name}" for name in values}
        for variable in sorted(name for name in env if name.startswith(PREFIX)):
            name = variable.removeprefix(PREFIX).lower()
            values[name], sources[name] = env[variable], variable
        checked = {name: _value(name, value, sources[name]) for name, value in values.items()}
        settings = cls(**checked)
        _check_together(settings)
        return settings


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from error


_TYPES: Final[dict[str, Any]] = {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _value(name: str, value: Any, source: str) -> Any:
    """Return the option's value, checked; `source` names where it came from."""
    if name not in _TYPES:
        near = difflib.get_close_matches(name, _TYPES, n=1)
        raise SettingsError(f"{source}: no such option" + (f"; did you mean `{near[0]}`?" if near else ""))
    kind = _TYPES[name]
    unit = _unit_of(kind)
    if isinstance(value, str):
        if unit is not None:
            value = _quantity(value, unit, source)
        elif _is_list(kind):
            value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {error}, found {value!r}") from error


def _path(kind: Any, value: Any) -> Path:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise msgspec.ValidationError("Expected a path")


def _unit_of(kind: Any) -> str | None:
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.extra:
            return str(meta.extra["unit"])
    return None


def _is_list(kind: Any) -> bool:
    return getattr(getattr(kind, "__origin__", kind), "__origin__", None) is tuple


def _quantity(text: str, unit: str, source: str) -> int:
    units = _UNITS_MS if unit == _MS else _UNITS_BYTES
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if found is None or (found[2] and found[2] not in units):
        raise SettingsError(f"{source}: expected a whole number and one of {', '.join(units)}, found {text!r}")
    return int(found[1]) * units.get(found[2], 1)


def _check_together(settings: Settings) -> None:
    if settings.min_insync_replicas > settings.replication_factor:
        raise SettingsError(
            f"min_insync_replicas: {settings.min_insync_replicas} is more than the {settings.replication_factor} "
            "copies of replication_factor; no record could ever be written"
        )
    _check_security(settings)
    if settings.session_timeout_ms > settings.request_timeout_ms:
        raise SettingsError(
            f"session_timeout_ms: {settings.session_timeout_ms} must not be above request_timeout_ms, "
            f"{settings.request_timeout_ms}"
        )
    if settings.write_buffer_bytes * 2 > settings.block_cache_bytes:
        raise SettingsError(
            f"write_buffer_bytes: {settings.write_buffer_bytes} is more than half of block_cache_bytes, "
            f"{settings.block_cache_bytes}, which holds memtables too; too little room would be left for what is read"
        )


def _check_security(settings: Settings) -> None:
    protocol = settings.security_protocol
    if protocol.startswith("SASL_"):
        if not settings.sasl_user:
            raise SettingsError(f"sasl_user: security_protocol {protocol} needs one")
        if bool(settings.sasl_password) == bool(settings.sasl_password_file):
            raise SettingsError(
                f"sasl_password: security_protocol {protocol} needs either it or sasl_password_file, and not both"
            )
    elif settings.sasl_user or settings.sasl_password or settings.sasl_password_file:
        raise SettingsError(f"sasl_user, sasl_password: security_protocol {protocol} does not use them; SASL_SSL does")
    files = {name: getattr(settings, name) for name in ("tls_ca_file", "tls_cert_file", "tls_key_file")}
    given = [name for name, file in files.items() if file is not None]
    if given and not protocol.endswith("SSL"):
        raise SettingsError(f"{', '.join(given)}: security_protocol {protocol} does not use TLS; SSL and SASL_SSL do")
    if (settings.tls_cert_file is None) != (settings.tls_key_file is None):
        raise SettingsError("tls_cert_file, tls_key_file: one without the other is of no use")


def describe() -> list[tuple[str, str, Any]]:
    """Return (name, what it is, default) of every option, in order, for help texts and docs."""
    rows = []
    for field in msgspec.structs.fields(Settings):
        metas = [meta for meta in field.type.__metadata__ if isinstance(meta, Meta)]
        rows.append((field.name, str(metas[-1].description), field.default))
    return rows
