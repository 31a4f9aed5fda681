"""How clients of Kafka connect: the options that all of them share, and why a broker does not take them."""

import asyncio
import ssl
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from app.settings import Settings, SettingsError

PLAIN_PORT: Final = 9_092


class BrokerError(RuntimeError):
    """No broker takes this client; says why, as far as the broker tells, and what to look at."""


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client takes: addresses, time-out, TLS and login.

    Raises:
        SettingsError: a file of the settings cannot be read or used.
    """
    return {
        "bootstrap_servers": list(settings.brokers),
        "request_timeout_ms": settings.request_timeout_ms,
        **_security(settings),
    }


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return how TLS is done; None without it.

    Raises:
        SettingsError: a certificate or key cannot be read or used.
    """
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
    except OSError as error:
        raise SettingsError(f"tls_ca_file: {settings.tls_ca_file}: {error.strerror or error}") from error
    context.check_hostname = settings.tls_check_hostname
    if settings.tls_cert_file is not None:
        try:
            # Without this password OpenSSL would ask for that of an encrypted key on the terminal, and wait.
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password="")
        except OSError as error:
            files = f"{settings.tls_cert_file}, {settings.tls_key_file}"
            raise SettingsError(f"tls_cert_file, tls_key_file: {files}: {error.strerror or error}") from error
    return context


def password(settings: Settings) -> str:
    """Return the password to log in with.

    Raises:
        SettingsError: its file cannot be read.
    """
    file = settings.sasl_password_file
    if file is None:
        return settings.sasl_password
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"sasl_password_file: {file}: {getattr(error, 'strerror', None) or error}") from error


def _security(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "security_protocol": settings.security_protocol,
        "ssl_context": tls_context(settings),
    }
    if settings.security_protocol.startswith("SASL_"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_user
        options["sasl_plain_password"] = password(settings)
    return options


async def reach(settings: Settings) -> None:
    """Ask one broker something, and return when it answered.

    aiokafka's clients log why a broker does not take them, say only that none does, and some try for ever.

    Raises:
        BrokerError: none of the brokers answers.
        SettingsError: a file of the settings cannot be read or used.
    """
    security = _security(settings)
    why: list[str] = []
    for address in settings.brokers:
        try:
            await _ask(settings, address, security)
        except (KafkaError, OSError, EOFError, TimeoutError) as error:
            why.append(f"{address}: {_reason(settings, error)}")
        else:
            return
    raise BrokerError(f"no Kafka broker answers at {'; '.join(why)}")


async def _ask(settings: Settings, address: str, security: dict[str, Any]) -> None:
    host, _, port = address.rpartition(":")
    timeout_ms = settings.request_timeout_ms
    async with asyncio.timeout(timeout_ms / 1000):
        connection = await create_conn(
            (host or port).strip("[]"), int(port) if host else PLAIN_PORT, request_timeout_ms=timeout_ms, **security
        )
        try:
            await connection.send(MetadataRequest([]))
        finally:
            connection.close()


def _reason(settings: Settings, error: BaseException) -> str:
    who = f"user {settings.sasl_user} with {settings.sasl_mechanism}"
    match error:
        case SaslAuthenticationFailed():
            return f"it refuses {who}; correct sasl_user and its password ({_said(error)})"
        case UnsupportedSaslMechanismError():
            return f"it does not take sasl_mechanism {settings.sasl_mechanism} ({_said(error)})"
        case IllegalSaslStateError():
            return f"it wants no login there; security_protocol {settings.security_protocol} is not this port's"
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted: {error.verify_message}; correct tls_ca_file, or, if only the name "
                "differs, the address or tls_check_hostname"
            )
        case ssl.SSLError():
            return f"no TLS with it: {error.reason or error}; is security_protocol right, and tls_cert_file?"
        case TimeoutError():
            return f"no answer within {settings.request_timeout_ms / 1000:g} s"
        case ConnectionRefusedError():
            return "nothing listens there"
        case OSError() if not isinstance(error, ConnectionError):
            return error.strerror or str(error)
    return (
        f"it closes the connection; is security_protocol {settings.security_protocol} what it wants on this port, and "
        f"a client certificate (tls_cert_file) there where it must be? ({_said(error)})"
    )


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
