"""Records of arrays with one row a series: cut into chunks, put together again, summed by weekday and by pool.

S is the number of series, C that of a chunk, T the days of history, H the days ahead.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Part = TypeVar("Part", bound="DataclassInstance")
Result = TypeVar("Result")
Numbers = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]
Places = tuple[Counts, Counts]
"""Rows and columns (N,) of some cells, ascending by row."""

WEEK = 7
SEVERAL = 2
CORES = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)
"""More threads than that wait for memory, not for a core."""
UNKNOWN = -1  # in whole-number fields of a series that has no projection; the others hold NaN


def by_chunk(work: Callable[[slice], Result], series: int, size: int) -> list[Result]:
    """What some work gives for the rows of each chunk, in their order: on all cores where there are several chunks.

    Arrays of that size are worked on without Python's global lock, so that threads are enough; which of them does what
    changes no bit. An error is raised when the chunks that were begun are done.
    """
    return list(chunk_by_chunk(work, series, size))


def chunk_by_chunk(work: Callable[[slice], Result], series: int, size: int) -> Iterator[Result]:
    """The same one after the other, each as soon as it and those before it are done, while the next ones are made."""
    # One empty chunk for no series at all, so that every array still gets its shape.
    rows = [slice(start, min(start + size, series)) for start in range(0, max(series, 1), size)]
    if len(rows) < SEVERAL or CORES < SEVERAL:
        yield from map(work, rows)
        return
    with ThreadPoolExecutor(min(CORES, len(rows)), thread_name_prefix="projection") as cores:
        coming = deque(cores.submit(work, each) for each in rows)
        try:
            while coming:
                yield coming.popleft().result()
        finally:
            for each in coming:
                each.cancel()


def stack(kind: type[Part], parts: Iterable[Part]) -> Part:
    """One record of the whole from records of its chunks, field by field; what is no array is the same in all."""
    found = list(parts)
    values = {field.name: [getattr(part, field.name) for part in found] for field in fields(kind)}
    return kind(**{n: np.concatenate(v) if isinstance(v[0], np.ndarray) else v[0] for n, v in values.items()})


def rows_of(record: Part, rows: slice | NDArray[Any]) -> Part:
    """The same record for some of its series, and the records within it."""
    return type(record)(**{field.name: _rows_of(getattr(record, field.name), rows) for field in fields(record)})


def _rows_of(value: Any, rows: slice | NDArray[Any]) -> Any:
    if value is None:
        return None
    return value[rows] if isinstance(value, np.ndarray) else rows_of(value, rows)


def expect_shape(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}")


def by_weekday(values: NDArray[Any], first_weekday: int) -> Numbers:
    """Sums by weekday, (C,7), of values (C,D) whose first column is that weekday."""
    sums = np.zeros((values.shape[0], WEEK))
    for day in range(WEEK):
        sums[:, (first_weekday + day) % WEEK] = values[:, day::WEEK].sum(axis=1)
    return sums


def by_pool(values: NDArray[Any], pools: Counts, number: int | None = None) -> Numbers:
    """Sums by pool (P,...) of values (S,...), where series s belongs to pool pools[s] of `number`."""
    sums = np.zeros((int(pools.max(initial=0)) + 1 if number is None else number, *values.shape[1:]))
    np.add.at(sums, pools, values)
    return sums


def running(values: NDArray[Any]) -> NDArray[Any]:
    """(C,D+1) sums of the columns before each column; of whole numbers and of flags in whole numbers, which takes an
    eighth of the time."""
    kind = np.float64 if values.dtype == np.float64 else np.int64
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=kind)
    np.cumsum(values, axis=1, dtype=kind, out=sums[:, 1:])
    return sums


def ratio(top: NDArray[Any], bottom: NDArray[Any], otherwise: float) -> Numbers:
    """top / bottom, and `otherwise` where the bottom is not above zero."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=np.float64), bottom)
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom > 0)


def where_known(known: Flags, values: NDArray[Any]) -> NDArray[Any]:
    """The values where there is a projection; elsewhere NaN, -1 or False after their kind."""
    rows = known.reshape(-1, *(1,) * (values.ndim - 1))
    if values.dtype == np.bool_:
        return rows & values
    return np.where(rows, values, np.nan if values.dtype == np.float64 else UNKNOWN)
