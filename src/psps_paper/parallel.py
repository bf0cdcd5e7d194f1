"""Where long searches and large batches run: in this process, in several of them, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# Inside workers; each of them works alone again.
_SHARED: ContextVar[bool] = ContextVar("shared", default=False)


@contextmanager
def workers(jobs: int | None = None, cluster: str | None = None) -> Iterator[None]:
    """Run every :func:`each` inside the block in several processes, or on a cluster.

    Parameters
    ----------
    jobs : int, optional
        Processes on this machine, each with one thread; by default one a processor.
    cluster : str, optional
        Address of a Dask scheduler, such as "tcp://10.0.0.1:8786"; needs the extra ``cluster`` (dask[distributed]). Its
        workers need this package too. ``jobs`` is then not used.

    Raises
    ------
    ValueError
        ``jobs`` below 1, no joblib (extra ``files``), or a cluster that cannot be reached or without the extra.

    Examples
    --------
    >>> with workers(jobs=1):
    ...     each(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs: {jobs} given; expected at least 1")
    try:
        import joblib
    except ImportError as error:
        raise ValueError("several processes need joblib; install psps-paper with the extra [files]") from error
    if cluster is None:
        with (
            _shared(),
            joblib.parallel_config(backend="loky", n_jobs=jobs or joblib.cpu_count(), inner_max_num_threads=1),
        ):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"cluster {cluster!r}: needs dask; install psps-paper with the extra [cluster]") from error
    try:
        client = Client(cluster, timeout="10s")
    except (OSError, ValueError) as error:
        raise ValueError(f"cluster {cluster!r}: no Dask scheduler answers there ({error})") from error
    with client, _shared(), joblib.parallel_config(backend="dask"):
        yield


@contextmanager
def _shared() -> Iterator[None]:
    before = _SHARED.set(True)
    try:
        yield
    finally:
        _SHARED.reset(before)


def count() -> int:
    """How many do the work at a time: 1 outside :func:`workers`."""
    if not _SHARED.get():
        return 1
    import joblib

    return joblib.effective_n_jobs(joblib.Parallel().n_jobs)


def each(function: Callable[..., Any], arguments: Iterable[tuple]) -> list:
    """Results of a function for each tuple of arguments, in their order; one after the other outside :func:`workers`.

    The function and what it takes and gives must be picklable where other processes or a cluster do the work.
    """
    if not _SHARED.get():
        return [function(*given) for given in arguments]
    import joblib

    return list(joblib.Parallel()(joblib.delayed(function)(*given) for given in arguments))
