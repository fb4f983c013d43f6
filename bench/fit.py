# SPDX-License-Identifier: MIT
"""Least squares: what a request costs, as a sum of what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fit:
    """A plane through measured values.

    Parameters:
        values: the constant, then one coefficient for each column.
        errors: their standard errors; not a number where there are no more rows than values.
        explained: the part of the variance that the plane explains (R squared).
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]
    explained: float

    def at(self, *columns: float) -> float:
        """Return the plane's value."""
        return self.values[0] + sum(
            value * column for value, column in zip(self.values[1:], columns, strict=True)
        )


def plane(rows: Sequence[Sequence[float]], measured: Sequence[float]) -> Fit:
    """Return the plane through *measured*, with a constant and a coefficient for each column."""
    matrix = np.array([(1.0, *row) for row in rows])
    found = np.array(measured)
    values, _, rank, _ = np.linalg.lstsq(matrix, found, rcond=None)
    if rank < matrix.shape[1]:
        raise ValueError("the columns depend on each other: vary one at a time")
    rest = found - matrix @ values
    freedom = len(found) - len(values)
    variance = rest @ rest / freedom if freedom else np.nan
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    about = found - found.mean()
    explained = 1 - rest @ rest / (about @ about)
    return Fit(tuple(map(float, values)), tuple(map(float, errors)), float(explained))
