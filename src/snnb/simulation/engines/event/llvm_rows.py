"""What adds weights to currents, written in LLVM's own language; see `llvm`."""

from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnb.simulation.engines.event.llvm import BIT, FLOAT, INDEX, INT, WHOLE, data_of, vector_at
from snnb.simulation.engines.event.types import GROUP, PARTS, WIDTH, WIDTHS


@contextmanager
def _each(builder, begin, end):  # type: ignore[no-untyped-def]
    """Write a loop whose body LLVM does not repeat: what is left over would need a second loop, as hard to foresee."""
    before, body, after = builder.block, builder.append_basic_block("each"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed("<", begin, end), body, after)
    builder.position_at_end(body)
    index = builder.phi(INDEX)
    index.add_incoming(begin, before)
    yield index
    following = builder.add(index, INDEX(1))
    index.add_incoming(following, builder.block)
    branch = builder.cbranch(builder.icmp_signed("<", following, end), body, after)
    hint = builder.module.add_metadata(["llvm.loop.unroll.disable"])
    name = builder.module.add_metadata([INT(len(builder.module.metadata)), hint])
    name.operands = (name, hint)  # LLVM knows a loop by a node that begins with itself
    branch.set_metadata("llvm.loop", name)
    builder.position_at_end(after)


def _add_rows(builder, place, parts, loops):  # type: ignore[no-untyped-def]
    """Write what adds rows of `parts` vectors to those at `place`.

    `loops` is given what adds the row at an address, and writes the loops around it.
    """
    vector = ir.VectorType(FLOAT, WIDTH)  # longer ones LLVM divides well where their length is a power of two

    def at(address, part):  # type: ignore[no-untyped-def]
        return builder.bitcast(builder.gep(address, [INDEX(part * WIDTH)]), vector.as_pointer())

    sums = [cgutils.alloca_once(builder, vector) for _ in range(parts)]
    for part in range(parts):
        builder.store(builder.load(at(place, part), align=4), sums[part])

    def add(address):  # type: ignore[no-untyped-def]
        for part in range(parts):
            read = builder.load(at(address, part), align=4)
            builder.store(builder.fadd(builder.load(sums[part]), read), sums[part])

    loops(add)
    for part in range(parts):
        builder.store(builder.load(sums[part]), at(place, part), align=4)


def _switch(builder, value, numbers, write):  # type: ignore[no-untyped-def]
    """Write for each of the numbers what is done where `value` is that number."""
    after = builder.append_basic_block("after")
    switch = builder.switch(value, after)
    for number in numbers:
        block = builder.append_basic_block(f"case_{number}")
        switch.add_case(INDEX(number), block)
        builder.position_at_end(block)
        write(number)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic
def add_run(typing, target, at, weights, first, stride, lists, begin, end, parts):  # type: ignore[no-untyped-def]
    """Add some rows of weights to a part of the currents.

        for i in lists[begin:end]:
            target[at : at + 16 * parts] += weights[first + i * stride :][: 16 * parts]

    Each number of the target is a sum in the order of the list. LLVM would vectorise the inner loop only, and so load
    and store the target once for each row. What is written here keeps the sums in registers.

    Parameters
    ----------
    target, weights : array of float32, flat
    at, first, stride : int
    lists : array of int32
    begin, end : int
    parts : int
        From 1 to `PARTS`.
    """
    signature = types.void(target, WHOLE, weights, WHOLE, WHOLE, lists, WHOLE, WHOLE, WHOLE)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        _, at, _, first, stride, _, begin, end, parts = args
        target, weights, lists = data_of(context, builder, signature, args, 0, 2, 5)
        place, origin = builder.gep(target, [at]), builder.gep(weights, [first])

        def rows(add):  # type: ignore[no-untyped-def]
            with _each(builder, begin, end) as index:
                row = builder.sext(builder.load(builder.gep(lists, [index])), INDEX)
                add(builder.gep(origin, [builder.mul(row, stride)]))

        _switch(builder, parts, range(1, PARTS + 1), lambda number: _add_rows(builder, place, number, rows))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_ranges(typing, target, at, weights, origin, lists, begins, firsts, stops, shifts, begin, end, width):  # type: ignore[no-untyped-def]
    """Add the rows of weights that some ranges of units name to a part of the currents.

        for k in range(begin, end):
            for i in lists[begins[firsts[k]] : begins[stops[k]]]:
                target[at : at + width] += weights[origin + (i + shifts[k]) * width :][:width]

    Each number of the target is a sum in that order; the sums stay in registers.

    Parameters
    ----------
    target, weights : array of float32, flat
    at, origin : int
    lists, begins, firsts, stops, shifts : array of int32
    begin, end : int
    width : {16, 32, 64}
    """
    signature = types.void(target, WHOLE, weights, WHOLE, lists, begins, firsts, stops, shifts, WHOLE, WHOLE, WHOLE)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        at, origin, begin, end, width = (args[i] for i in (1, 3, 9, 10, 11))
        target, weights, lists, begins, firsts, stops, shifts = data_of(
            context, builder, signature, args, 0, 2, 4, 5, 6, 7, 8
        )
        weights = builder.gep(weights, [origin])

        def number(array, index):  # type: ignore[no-untyped-def]
            return builder.sext(builder.load(builder.gep(array, [index])), INDEX)

        def write(width):  # type: ignore[no-untyped-def]
            def rows(add):  # type: ignore[no-untyped-def]
                with cgutils.for_range(builder, end, start=begin) as loop:
                    first = builder.gep(weights, [builder.mul(number(shifts, loop.index), INDEX(width))])
                    one, two = (number(begins, number(units, loop.index)) for units in (firsts, stops))
                    with _each(builder, one, two) as index:
                        add(builder.gep(first, [builder.mul(number(lists, index), INDEX(width))]))

            _add_rows(builder, builder.gep(target, [at]), width // WIDTH, rows)

        _switch(builder, width, WIDTHS, write)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_where(typing, spikes, target, at, weights, first, parts):  # type: ignore[no-untyped-def]
    """Add weights to the currents where bits are set.

        for i in range(16 * parts):
            if spikes >> i & 1:
                target[at + i] += weights[first + i]

    All these numbers are read and written: there must be room behind both.

    Parameters
    ----------
    spikes : uint64
    target, weights : array of float32, flat
    at, first : int
    parts : int
        1, 2 or 4.
    """
    signature = types.void(types.uint64, target, WHOLE, weights, WHOLE, WHOLE)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        spikes, _, at, _, first, parts = args
        target, weights = data_of(context, builder, signature, args, 1, 3)

        def write(number):  # type: ignore[no-untyped-def]
            length = number * WIDTH
            vector, integer = ir.VectorType(FLOAT, length), ir.IntType(length)
            place = vector_at(builder, target, at, vector)
            before, read = (
                builder.load(place, align=4),
                builder.load(vector_at(builder, weights, first, vector), align=4),
            )
            lowest = builder.trunc(spikes, integer) if length < GROUP else spikes
            chosen = builder.bitcast(lowest, ir.VectorType(BIT, length))
            builder.store(builder.select(chosen, builder.fadd(before, read), before), place, align=4)

        _switch(builder, parts, (1, 2, 4), write)
        return context.get_dummy_value()

    return signature, generate
