"""Names of hosts as they are compared."""

import functools


def ascii_host(host: str) -> str:
    """Return a host's name in lower case, as browsers tell it: `магазин.укр` is `xn--80aairftm.xn--j1amh`."""
    return host.lower() if host.isascii() else _encoded(host)


@functools.lru_cache(maxsize=1_024)
def _encoded(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:  # no name that can be registered
        return host.lower()
