"""Dask tells of itself in its logs: they stay off the terminal, since what concerns a person becomes an error."""

import logging
import warnings
from contextlib import contextmanager
from typing import Iterator

CHATTY = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio", "bokeh")
NOTHING = logging.CRITICAL + 1


@contextmanager
def quiet() -> Iterator[None]:
    """Let the loggers of Dask say nothing in the block, unless debug messages are wanted (`--verbose`).

    After an error or an interruption they go on saying nothing.
    """
    import distributed  # noqa: F401 - which sets the levels of its loggers

    if logging.getLogger().isEnabledFor(logging.DEBUG):
        yield
        return
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in CHATTY}
    try:
        for logger in loggers:
            logger.setLevel(NOTHING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BaseException:
        loggers.clear()  # threads of Dask that are still there tell of the connections that were closed
        raise
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)
