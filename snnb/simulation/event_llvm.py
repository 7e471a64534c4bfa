"""Into machine code: numba's options, and what LLVM does not find in a loop by itself."""

from pathlib import Path
from typing import Any, Callable

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnb.simulation.event_types import GROUP

# The compiled functions call each other across these files.
_FILES = sorted(Path(__file__).parent.glob("event_*.py"))
_STAMPS = tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in _FILES)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile, and keep the result on disk where there is a place for it; a read-only installation may have none.

    Numba takes what it kept for fresh while the function's own file is the same. It contains the functions that it
    calls, so all their files must be.
    """
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        kept: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
    kept._cache._cache_file._source_stamp = _STAMPS
    return kept


@intrinsic
def add_rows(typing, target, at, weights, shift, events, begin, end, length):  # type: ignore[no-untyped-def]
    """target[at:at + length] += weights[shift + events[e] * length:][:length] for e in range(begin, end), in order.

    Up to 64 sums at a time stay in registers while the rows go by. LLVM does not find that by itself: it vectorises
    the inner loop only, and would load and store the sums for each row.
    """
    whole = types.int64
    signature = types.void(target, whole, weights, whole, events, whole, whole, whole)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        index = ir.IntType(64)
        _, at, _, shift, _, begin, end, length = args
        target, weights, events = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 2, 4)
        )
        done = cgutils.alloca_once_value(builder, index(0))

        def add_next(width):  # type: ignore[no-untyped-def]
            vector = ir.VectorType(ir.FloatType(), width)
            sums, offset = cgutils.alloca_once(builder, vector), builder.load(done)

            def vector_at(array, at):  # type: ignore[no-untyped-def]
                return builder.bitcast(builder.gep(array, [at]), vector.as_pointer())

            place = vector_at(target, builder.add(at, offset))
            builder.store(builder.load(place, align=4), sums)
            first = builder.add(shift, offset)
            with cgutils.for_range(builder, end, start=begin) as event:
                neuron = builder.sext(builder.load(builder.gep(events, [event.index])), index)
                row = vector_at(weights, builder.add(first, builder.mul(neuron, length)))
                builder.store(builder.fadd(builder.load(sums), builder.load(row, align=4)), sums)
            builder.store(builder.load(sums), place, align=4)
            builder.store(builder.add(offset, index(width)), done)

        with cgutils.for_range(builder, builder.lshr(length, index(6))):
            add_next(64)
        with builder.if_then(builder.icmp_signed("<", builder.load(done), length)):
            for width in (32, 16, 8, 4, 2, 1):
                with builder.if_then(cgutils.is_not_null(builder, builder.and_(length, index(width)))):
                    add_next(width)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def bits(typing, spikes, first):  # type: ignore[no-untyped-def]
    """As bits of a uint64, lowest first, which of the 64 uint8 from `first` on are not 0."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), GROUP)
        start = builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])
        loaded = builder.load(builder.bitcast(start, vector.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", loaded, ir.Constant(vector, None)), ir.IntType(64))

    return types.uint64(spikes, types.int64), generate


@intrinsic
def lowest(typing, word):  # type: ignore[no-untyped-def]
    """Number of the lowest bit of a uint64 that is set; there must be one."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate
