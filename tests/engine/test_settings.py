from pathlib import Path

import pytest

from app import topics
from app.settings import Settings, SettingsError, describe

DAY_MS = 86_400_000


def test_the_defaults_are_those_of_a_production_cluster() -> None:
    settings = Settings.load({})
    assert (settings.partitions, settings.replication_factor, settings.min_insync_replicas) == (8, 3, 2)
    assert settings.step_bytes == 8 * 1024 * 1024


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "leadstream.toml"
    file.write_text('partitions = 12\nbrokers = ["a:1", "b:2"]\nevents_retention_ms = "36h"\nrules = ["x.yaml"]\n')
    settings = Settings.load({"LEADSTREAM_PARTITIONS": "16", "PATH": "/bin"}, file)
    assert settings.partitions == 16
    assert settings.brokers == ("a:1", "b:2")
    assert settings.events_retention_ms == 36 * 3_600_000
    assert settings.rules == (Path("x.yaml"),)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("RULES", "a.yaml, b.yaml", "rules", (Path("a.yaml"), Path("b.yaml"))),
        ("BROKERS", "k1:9092,k2:9092", "brokers", ("k1:9092", "k2:9092")),
        ("IDLE_MS", "250ms", "idle_ms", 250),
        ("IDLE_MS", "2s", "idle_ms", 2_000),
        ("IDLE_MS", "75", "idle_ms", 75),
        ("STEP_BYTES", "900KiB", "step_bytes", 921_600),
        ("OUTPUTS_RETENTION_MS", "2w", "outputs_retention_ms", 14 * DAY_MS),
        ("REPLAY", "true", "replay", True),
        ("DATA_DIR", "/var/lib/leadstream", "data_dir", Path("/var/lib/leadstream")),
        ("TLS_CHECK_HOSTNAME", "false", "tls_check_hostname", False),
    ],
)
def test_an_option_of_the_environment_is_text_in_its_own_unit(name: str, text: str, field: str, value: object) -> None:
    assert getattr(Settings.load({f"LEADSTREAM_{name}": text}), field) == value


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"LEADSTREAM_PARTITION": "4"}, r"LEADSTREAM_PARTITION: no such option; did you mean `partitions`\?"),
        ({"LEADSTREAM_PARTITIONS": "0"}, r"LEADSTREAM_PARTITIONS: Expected `int` >= 1, found '0'"),
        ({"LEADSTREAM_PARTITIONS": "many"}, r"LEADSTREAM_PARTITIONS: Expected `int`, got `str`, found 'many'"),
        (
            {"LEADSTREAM_IDLE_MS": "3 years"},
            r"LEADSTREAM_IDLE_MS: expected a whole number and one of ms, s, m, h, d, w",
        ),
        ({"LEADSTREAM_LOG_LEVEL": "loud"}, "LEADSTREAM_LOG_LEVEL: .*found 'loud'"),
        ({"LEADSTREAM_DATA_DIR": ""}, "LEADSTREAM_DATA_DIR: Expected a path"),
        ({"LEADSTREAM_REPLICATION_FACTOR": "1"}, "min_insync_replicas: 2 is more than the 1 copies"),
        ({"LEADSTREAM_SECURITY_PROTOCOL": "TLS"}, "LEADSTREAM_SECURITY_PROTOCOL: .*found 'TLS'"),
        ({"LEADSTREAM_SECURITY_PROTOCOL": "SASL_SSL"}, "sasl_user: security_protocol SASL_SSL needs one"),
        (
            {"LEADSTREAM_SECURITY_PROTOCOL": "SASL_SSL", "LEADSTREAM_SASL_USER": "lea"},
            "sasl_password: security_protocol SASL_SSL needs either it or sasl_password_file, and not both",
        ),
        (
            {
                "LEADSTREAM_SECURITY_PROTOCOL": "SASL_SSL",
                "LEADSTREAM_SASL_USER": "lea",
                "LEADSTREAM_SASL_PASSWORD": "x",
                "LEADSTREAM_SASL_PASSWORD_FILE": "x",
            },
            "sasl_password: .* and not both",
        ),
        ({"LEADSTREAM_SASL_PASSWORD": "x"}, "sasl_password: security_protocol PLAINTEXT does not use them"),
        ({"LEADSTREAM_TLS_CA_FILE": "ca.pem"}, "tls_ca_file: security_protocol PLAINTEXT does not use TLS"),
        (
            {"LEADSTREAM_SECURITY_PROTOCOL": "SSL", "LEADSTREAM_TLS_KEY_FILE": "key.pem"},
            "tls_cert_file, tls_key_file: one without the other",
        ),
        ({"LEADSTREAM_TLS_CA_FILE": ""}, "LEADSTREAM_TLS_CA_FILE: Expected a path"),
        (
            {"LEADSTREAM_BLOCK_CACHE_BYTES": "128MiB"},
            "write_buffer_bytes: 134217728 is more than half of block_cache_bytes, 134217728",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_where_and_what(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.load(env)


def test_what_brokers_demand_is_read_together() -> None:
    settings = Settings.load(
        {
            "LEADSTREAM_SECURITY_PROTOCOL": "SASL_SSL",
            "LEADSTREAM_SASL_USER": "lea",
            "LEADSTREAM_SASL_PASSWORD_FILE": "/run/secrets/kafka",
            "LEADSTREAM_TLS_CA_FILE": "ca.pem",
        }
    )
    assert (settings.sasl_password_file, settings.tls_ca_file) == (Path("/run/secrets/kafka"), Path("ca.pem"))
    assert (settings.sasl_mechanism, settings.tls_check_hostname) == ("SCRAM-SHA-512", True)


def test_a_file_that_is_absent_or_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        Settings.load({}, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("partitions: 4")
    with pytest.raises(SettingsError, match=r"bad\.toml: not TOML"):
        Settings.load({}, tmp_path / "bad.toml")
    (tmp_path / "unknown.toml").write_text("partitons = 4")
    with pytest.raises(SettingsError, match=r"unknown\.toml: partitons: no such option"):
        Settings.load({}, tmp_path / "unknown.toml")


def test_every_option_is_described() -> None:
    assert [name for name, _, _ in describe()] == list(Settings.__struct_fields__)
    assert all(text.endswith(".") for _, text, _ in describe())


def test_every_topic_and_every_option_is_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()
    for topic in topics.topics(Settings()).all():
        assert f"`{topic.name}`" in docs
