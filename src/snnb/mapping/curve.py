"""The generalised Hilbert curve of Jakub Červený (github.com/jakubcerveny/gilbert): a path through a rectangle.

A rectangle is divided recursively into two or three rectangles. On a square whose side is a power of two, the curve is
Hilbert's. On a rectangle whose longer side is odd and whose shorter side is even, one step is diagonal.
"""

import numpy as np

from snnb.core.compiled import compiled


def hilbert_curve(width: int, height: int) -> np.ndarray:
    """Return the positions of a rectangle in the order of the curve.

    Returns
    -------
    (width × height, 2) int32 array; x and y
    """
    places = np.empty((width * height, 2), np.int32)
    _walk(width, height, places)
    return places


@compiled
def _sign(value: int) -> int:
    return 1 if value > 0 else -1 if value < 0 else 0


@compiled
def _walk(width: int, height: int, places: np.ndarray) -> None:
    """Fill `places`. A rectangle on the stack is a corner and two sides, each a vector along an axis."""
    stack = np.empty((200, 6), np.int64)
    stack[0] = (0, 0, width, 0, 0, height) if width >= height else (0, 0, 0, height, width, 0)
    depth, done = 1, 0
    while depth:
        depth -= 1
        x, y, ax, ay, bx, by = stack[depth]
        along, across = abs(ax + ay), abs(bx + by)
        dax, day, dbx, dby = _sign(ax), _sign(ay), _sign(bx), _sign(by)
        if across == 1 or along == 1:
            dx, dy = (dax, day) if across == 1 else (dbx, dby)
            for _ in range(max(along, across)):
                places[done] = x, y
                done, x, y = done + 1, x + dx, y + dy
            continue
        ax2, ay2, bx2, by2 = ax // 2, ay // 2, bx // 2, by // 2
        if 2 * along > 3 * across:
            if abs(ax2 + ay2) % 2 and along > 2:
                ax2, ay2 = ax2 + dax, ay2 + day
            stack[depth] = (x + ax2, y + ay2, ax - ax2, ay - ay2, bx, by)
            stack[depth + 1] = (x, y, ax2, ay2, bx, by)
            depth += 2
            continue
        if abs(bx2 + by2) % 2 and across > 2:
            bx2, by2 = bx2 + dbx, by2 + dby
        end_x, end_y = x + (ax - dax) + (bx2 - dbx), y + (ay - day) + (by2 - dby)
        stack[depth] = (end_x, end_y, -bx2, -by2, -(ax - ax2), -(ay - ay2))
        stack[depth + 1] = (x + bx2, y + by2, ax, ay, bx - bx2, by - by2)
        stack[depth + 2] = (x, y, bx2, by2, ax2, ay2)
        depth += 3
