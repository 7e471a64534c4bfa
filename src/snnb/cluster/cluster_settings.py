"""The address of a cluster as an option, and what is missing for one."""

import importlib.util
import re

from snnb.core.errors import InputError, how_to_install

ADDRESS = re.compile(r"(?:(tcp|tls|ws|wss)://)?[^\s/:]+:[0-9]{1,5}|(tcp|tls)://\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


def checked_address(address: str) -> str:
    """Return the address of a scheduler with its protocol; raise `ValueError` for what is none."""
    if not ADDRESS.fullmatch(address) or not 0 < int(address.rpartition(":")[2]) < 1 << 16:
        raise ValueError("is no address of a Dask scheduler; give one such as tcp://192.168.0.1:8786")
    return address if "://" in address else f"tcp://{address}"


def require_dask(option: str) -> None:
    """Raise `InputError` when Dask is not installed, which `option` needs."""
    if any(importlib.util.find_spec(name) is None for name in ("distributed", "cryptography")):
        raise InputError(
            f"{option} needs Dask, which is not installed: {how_to_install('cluster')}; "
            "without --workers and --scheduler this process does the work"
        )
