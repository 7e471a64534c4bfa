"""Degrees of neurons: synapses counted from geometry, without listing them."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.network.geometry import Geometry
from snnb.network.layers import PADDING

SOURCES = 1 << 18  # number of repeated sources in a batch, to limit the memory


class Reading(NamedTuple):
    """A projection onto a population."""

    ids: np.ndarray  # `geometry.input_volume` int64: neuron at each position of the input; -1 where there is none
    geometry: Geometry


class Degrees(NamedTuple):
    """Synapses of each source, int64, shape (sources,), and onto each target, int64, shape (targets,)."""

    out: np.ndarray
    into: np.ndarray


class _Repeated(NamedTuple):
    """Positions of sources that occur several times: both int64, shape (positions,)."""

    source: np.ndarray
    position: np.ndarray
    geometry: Geometry


def count_synapses(readings: Sequence[Reading], first: int, sources: int) -> Degrees:
    """Count the synapses onto a population; all connections of the same two neurons are one synapse.

    The outputs that a source reaches are listed only if it occurs several times, in one input or in several.

    Parameters
    ----------
    readings : sequence of Reading
        Projections onto the same population, at least one.
    first, sources : int
        Id of the first source, and number of sources; all ids are in this range.
    """
    real = [ids != PADDING for ids, _ in readings]
    found = [ids[there] - first for (ids, _), there in zip(readings, real)]
    several = np.bincount(np.concatenate(found), minlength=sources) > 1
    out, into = np.zeros(sources, np.int64), np.zeros(int(np.prod(readings[0].geometry.shape)), np.int64)
    repeated: List[_Repeated] = []
    for (_, geometry), once, source in zip(readings, real, found):
        if several.any():
            again = several[source]
            repeated.append(_Repeated(source[again], np.flatnonzero(once)[again], geometry))
            once[once], source = ~again, source[~again]
        counts = np.broadcast_to(geometry.fan_out()[:, :, np.newaxis], once.shape)[once]
        out += np.bincount(source, counts, minlength=sources).astype(np.int64)  # in float64, exact below 2**53
        into += geometry.fan_in(once).ravel()
    if not repeated:
        return Degrees(out, into)
    number = np.cumsum(several)
    for start in range(0, int(number[-1]), SOURCES):
        chosen = several & (number > start) & (number <= start + SOURCES)
        parts = [(of, chosen[of.source]) for of in repeated]
        _add([_Repeated(of.source[part], of.position[part], of.geometry) for of, part in parts], chosen, out, into)
    return Degrees(out, into)


def count_weights(geometry: Geometry, kernel: Optional[np.ndarray]) -> np.ndarray:
    """Count the weights other than 0 by which each input meets outputs: int64, shape `geometry.input_volume`.

    Parameters
    ----------
    geometry : Geometry
    kernel : ndarray, shape `geometry.kernel_shape`, or None
        Weights; none of them is 0 if None.
    """
    if kernel is None:
        return np.broadcast_to(geometry.fan_out()[:, :, np.newaxis], geometry.input_volume)
    rows, columns = (np.zeros((axis.size, axis.taps), np.int64) for axis in (geometry.rows, geometry.columns))
    np.add.at(rows, (geometry.rows.input, geometry.rows.tap), 1)
    np.add.at(columns, (geometry.columns.input, geometry.columns.tap), 1)
    counts: np.ndarray = np.einsum("it,ju,tuc->ijc", rows, columns, np.count_nonzero(kernel, axis=3), optimize=True)
    return counts


def _add(repeated: Sequence[_Repeated], chosen: np.ndarray, out: np.ndarray, into: np.ndarray) -> None:
    """Add the synapses of the chosen sources to both counts.

    A connection is a pair of source and output position if the source meets all filters, and a pair of source and
    target if it meets some. The former are the same for all sources that occur at the same pixels.
    """
    members = np.flatnonzero(chosen)
    index = np.cumsum(chosen) - 1  # of a source among the members
    dense, diagonal = ([of for of in repeated if of.geometry.pairing == kind] for kind in ("dense", "diagonal"))
    group = _groups(dense, index, members.size)
    _, representative, size = np.unique(group, return_index=True, return_counts=True)
    filters = repeated[0].geometry.filters
    outputs = into.size // filters
    pairs = [np.empty(0, np.int64)]
    for source, position, geometry in dense:
        of_group = representative[group[index[source]]] == index[source]
        which, output = _reached(position[of_group], geometry)
        pairs.append(group[index[source[of_group]]][which] * outputs + output)
    reached = np.unique(np.concatenate(pairs))  # group × outputs + output
    out[members] += (np.bincount(reached // outputs, minlength=size.size) * filters)[group]
    onto = np.bincount(reached % outputs, size[reached // outputs], minlength=outputs)
    into += np.repeat(onto.astype(np.int64), filters)
    pairs = [np.empty(0, np.int64)]
    for source, position, geometry in diagonal:
        which, output = _reached(position, geometry)
        alone = ~np.isin(group[index[source]][which] * outputs + output, reached)
        which, output = which[alone], output[alone]
        target = output * filters + position[which] % geometry.channels * geometry.multiplier
        pairs.append(np.add.outer(source[which] * into.size + target, np.arange(geometry.multiplier)).ravel())
    single = np.unique(np.concatenate(pairs))  # source × targets + target
    out += np.bincount(single // into.size, minlength=out.size)
    into += np.bincount(single % into.size, minlength=into.size)


def _groups(repeated: Sequence[_Repeated], index: np.ndarray, members: int) -> np.ndarray:
    """Return for each member the number of its group, which occurs at the same pixels of the same inputs: int64."""
    group, pixels = np.zeros(members, np.int64), 1  # pixel 0 stands for no further occurrence
    member, pixel = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for source, position, geometry in repeated:
        member.append(index[source])
        pixel.append(pixels + position // geometry.channels)
        pixels += geometry.rows.size * geometry.columns.size
    members_of, at = np.concatenate(member), np.concatenate(pixel)
    order = np.lexsort((at, members_of))
    members_of, at = members_of[order], at[order]
    rank = np.arange(at.size) - np.searchsorted(members_of, members_of)
    for turn in range(int(rank.max(initial=-1)) + 1):
        occurrence = np.zeros(members, np.int64)
        occurrence[members_of[rank == turn]] = at[rank == turn]
        group = np.unique(group * pixels + occurrence, return_inverse=True)[1]
    return group


def _reached(position: np.ndarray, geometry: Geometry) -> Tuple[np.ndarray, np.ndarray]:
    """List the output positions that flat positions of the input reach: index of the latter, and output position."""
    rows, columns = geometry.rows, geometry.columns
    row, column = np.divmod(position // geometry.channels, columns.size)
    row_starts, column_starts = rows.starts(), columns.starts()
    width = np.diff(column_starts)[column]
    number = np.diff(row_starts)[row] * width
    which = np.repeat(np.arange(position.size), number)
    i, j = np.divmod(np.arange(which.size) - (np.cumsum(number) - number)[which], width[which])
    output = rows.output[row_starts[row][which] + i] * columns.outputs
    return which, output + columns.output[column_starts[column][which] + j]
