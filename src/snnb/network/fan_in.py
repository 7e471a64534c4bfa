"""Division of a fan-in: relay neurons that each take some sources of a neuron, in a tree.

An integrate-and-fire neuron sends no negative spikes, so the sources of a relay have weights of one sign: its input
never decreases, and only the remainder below its threshold is lost. A relay adds |w| of each source, subtracts its
threshold at a spike, starts at half of it, and has no bias; its spike is worth that threshold to the neuron, with the
sign of its sources.

A relay spikes at most once a step. Its threshold is the mean plus `SPREAD` standard deviations of its input in a step
if its sources fire independently, with the rates of a simulation, and at least its largest weight: a smaller threshold
delays spikes, a larger one rounds the sum more coarsely.
"""

from dataclasses import dataclass, replace
from typing import List, Mapping, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.network.forward import projection_current
from snnb.network.geometry import Shape
from snnb.network.layers import Concatenate, Dense, configured
from snnb.network.network import DROPPED, Network, Population, Projection, Reindexed, Volume

SPREAD = 4.0
LARGEST_THRESHOLD = 1 << 23  # of an integer network: float32 holds ratios of integers below it


@dataclass(frozen=True, eq=False)
class _Term:
    """A projection onto a population that is split."""

    projection: Projection
    shape: Shape  # of the volume that it reads
    rates: np.ndarray  # `geometry.input_volume` float64: spikes or current in a step, times the spike amplitude
    worth: float  # spike amplitude
    sources: int  # largest number of sources of spikes of a neuron
    divisible: bool
    relayed: bool = False  # whether it reads relays


def split_fan_in(
    network: Network, names: Sequence[str], limit: int, rates: Mapping[str, np.ndarray], *, constant: bool
) -> Network:
    """Return the network in which no neuron of some populations has more than `limit` sources of spikes.

    Its relays are populations `NAME_relay0`, `NAME_relay1` … before the population `NAME`. A weight of 0 is not a
    synapse. `rates` has the spikes (or current) of each neuron in a time step, by name of the input or population;
    `constant` says whether the input is a constant current, which sends no spikes.

    Raise `InputError` if projections without a kernel that all channels share, such as poolings, have too many sources,
    the limit is 1, or thresholds of an integer network would be too large.
    """
    counted = [network.input, *network.populations]
    flat = np.concatenate([np.asarray(rates[volume.name], np.float64).ravel() for volume in counted])
    volumes: List[Volume] = [volume for volume in network.volumes if isinstance(volume, Reindexed)]
    split = {}
    for volume, ids in network.ids():
        if isinstance(volume, Population) and volume.name in names:
            read = [np.where(of < 0, 0.0, flat[of]) for of in ids]
            terms = [_term(network, p, r, constant) for p, r in zip(volume.projections, read)]
            split[volume.name] = _split(volume, terms, limit)
    volumes = [one for volume in network.volumes for one in split.get(volume.name, [volume])]
    return replace(network, volumes=tuple(volumes), zeros=DROPPED)


def _term(network: Network, projection: Projection, rates: np.ndarray, constant: bool) -> _Term:
    source, geometry = network.volume(projection.input), projection.geometry
    senders = network.senders(source) if isinstance(source, Reindexed) else {source.name}
    worth = network.pixel if network.input.name in senders else 1.0
    silent = constant and senders == {network.input.name}
    kernel = None if projection.kernel is None else projection.weights()
    dense = geometry.pairing == "dense" and kernel is not None
    if silent:
        sources = 0
    elif kernel is None:
        sources = int(geometry.taps().max())
    else:
        sources = int(np.count_nonzero(kernel, axis=(0, 1, 2) if dense else (0, 1)).max())
    return _Term(projection, source.shape, rates * worth, worth, sources, dense and not silent)


def _split(population: Population, terms: List[_Term], limit: int) -> List[Volume]:
    """Return the relays, volumes that join them, and the population."""
    relays: List[Volume] = []
    while sum(term.sources for term in terms) > limit:
        largest = max(terms, key=lambda term: term.sources * term.divisible)
        if largest.divisible:
            number = sum(isinstance(volume, Population) for volume in relays)
            added, left = _relayed(population, largest, limit, number)
        if not largest.divisible or (largest.relayed and left.sources == largest.sources):
            fixed = sum(term.sources for term in terms if not term.divisible)
            raise InputError(
                f"layer {population.name}: a core takes {limit:,} axons, too few to split its fan-in: its neurons have "
                f"up to {fixed:,} sources by layers that relays cannot take (poolings, depthwise convolutions), and "
                "need two or more relays"
            )
        relays += added
        terms = [left if term is largest else term for term in terms]
    return [*relays, replace(population, projections=tuple(term.projection for term in terms))]


def _relayed(population: Population, term: _Term, limit: int, number: int) -> Tuple[List[Volume], _Term]:
    """Return relays that take the sources of a projection, numbered from `number`, and the projection from them."""
    filters = population.shape[-1]
    weights = term.projection.weights().reshape(-1, filters)
    entry, channel = np.nonzero(weights)
    key = _groups(weights, limit, term.relayed)[entry, channel] * filters + channel
    volumes: List[Volume] = []
    rates, onto, signs = [], [], []
    for group in np.unique(key // (2 * filters)):  # of the same sources, or of relays
        mine = key // (2 * filters) == group
        keys, relay = np.unique(key[mine], return_inverse=True)
        sums = np.zeros((len(weights), keys.size), np.float32)
        sums[entry[mine], relay] = np.abs(weights[entry[mine], channel[mine]])
        relays, mean, threshold = _relays(population, term, sums, f"{population.name}_relay{number + group}")
        volumes.append(relays)
        rates.append(np.minimum(mean / threshold, 1))
        onto.append(keys % filters)
        signs.append(np.where(keys // filters % 2, -threshold, threshold))
    read, worth = volumes[0], np.concatenate(signs)
    if len(volumes) > 1:
        names, join = tuple(volume.name for volume in volumes), configured(Concatenate, {"axis": -1}, population.name)
        shape = join.shape([volume.shape for volume in volumes])
        read = Reindexed(f"{population.name}_relays{number}", shape, join, names)
        volumes.append(read)
    kernel = np.zeros((worth.size, filters), np.float32)
    kernel[np.arange(worth.size), np.concatenate(onto)] = worth
    layer = configured(Dense, {"units": filters}, population.name)
    geometry = layer.geometry(read.shape)
    of_relays = np.concatenate(rates, axis=-1).reshape(geometry.input_volume)
    sources = int(np.count_nonzero(kernel, axis=0).max())
    projection = Projection(read.name, layer, geometry, kernel, bias=term.projection.bias)
    return volumes, _Term(projection, read.shape, of_relays, 1.0, sources, True, relayed=True)


def _relays(
    population: Population, term: _Term, sums: np.ndarray, name: str
) -> Tuple[Population, np.ndarray, np.ndarray]:
    """Return relays, their mean input in a step, and their thresholds.

    `sums` are their weights: float32, shape (sources, relays of a position).
    """
    projection, relays = term.projection, sums.shape[-1]
    count = "units" if isinstance(projection.layer, Dense) else "filters"
    layer = projection.layer.model_copy(update={count: relays, "activation": "relu"})
    geometry = layer.geometry(term.shape)
    sums = sums.reshape(geometry.kernel_shape)

    def onto_relays(weights: np.ndarray) -> Projection:
        kernel = layer.oriented(weights).reshape(layer.kernel_shape(geometry))
        return Projection(projection.input, layer, geometry, kernel, projection.delay)

    mean = projection_current(onto_relays(sums), term.rates[np.newaxis])[0]
    variance = projection_current(onto_relays(sums**2), (term.rates * (term.worth - term.rates))[np.newaxis])[0]
    largest = (mean + SPREAD * np.sqrt(variance)).max(axis=(0, 1))  # see above
    threshold = np.maximum(largest, sums.max(axis=(0, 1, 2))).astype(np.float32)
    integer = population.threshold is not None
    if integer:
        if threshold.max() >= LARGEST_THRESHOLD:
            raise InputError(
                f"layer {population.name}: relays of this integer network need a threshold of {threshold.max():,.0f}, "
                f"and at most {LARGEST_THRESHOLD:,} is exact: parse with fewer --weight-bits"
            )
        threshold = np.ceil(threshold)
    relay_population = Population(
        name,
        geometry.shape,
        layer.kind,
        (onto_relays(sums if integer else sums / threshold),),
        np.zeros(relays, np.float32),
        "relu",
        initial_potential=np.floor(threshold / 2) if integer else np.full(relays, 0.5, np.float32),
        threshold=threshold if integer else None,
    )
    return relay_population, mean, threshold


def _groups(weights: np.ndarray, limit: int, relayed: bool) -> np.ndarray:
    """Return the number of the group of each weight, odd for negative weights: int64, shape (sources, filters).

    All filters have the same groups of sources, divided by sign: so the relays of a group share the axons of a core.
    Relays of each filter are other neurons, so these are divided by sign first, which takes fewer groups.
    """
    if relayed:
        group = np.where(weights < 0, _ranges(weights < 0, limit), _ranges(weights > 0, limit))
    else:
        group = _ranges(weights.any(axis=1, keepdims=True), limit)
    return 2 * group + (weights < 0)


def _ranges(members: np.ndarray, limit: int) -> np.ndarray:
    """Divide the members (bool, shape (sources, filters)) of each column into ranges of at most `limit`, balanced."""
    number = members.sum(axis=0)
    return (members.cumsum(axis=0) - 1) * -(-number // limit) // np.maximum(number, 1)
