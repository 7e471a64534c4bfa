"""Three operations written in LLVM's own language, because numba and LLVM do not find them in a loop.

Numba compiles a Python function in two steps: it translates the function into LLVM's intermediate representation (IR),
a typed assembly language, and LLVM makes optimised machine code of that. Ordinary code needs no knowledge of this. An
*intrinsic* (`numba.extending.intrinsic`) is a function for which we write the IR ourselves; compiled functions call it
like any other.

An intrinsic is a Python function that runs once, when its caller is compiled. Its first argument is numba's typing
context, the others are the *types* of the arguments in the call. It returns the signature (result type and argument
types) and a function `generate`, which writes the IR: `builder.add(a, b)` does not add, it writes an instruction that
will add, and returns a handle for its result. So a Python `if` or `for` in `generate` chooses which instructions are
written, while `cgutils.for_range` and `builder.if_then` write loops and branches that run later. Some words:

- `ir.VectorType(float, 16)`: 16 numbers in one value, which one instruction adds; longer ones take several registers.
- `gep` (get element pointer): the address of an array's element. `bitcast`: the same bits as another type, such as an
  address of one number as the address of a vector. `load` and `store`: read and write at an address.
- `alloca`: a local variable. LLVM keeps it in a register where it can.

See the LLVM language reference (https://llvm.org/docs/LangRef.html), llvmlite's `ir.IRBuilder` and numba's
"Low-level extension API".
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnb.simulation.engines.event.types import GROUP


@intrinsic
def add_rows(typing, target, at, weights, shift, events, begin, end, length):  # type: ignore[no-untyped-def]
    """Add rows of weights, of the neurons that spiked, to a part of the currents.

        for e in range(begin, end):
            target[at : at + length] += weights[shift + events[e] * length :][:length]

    Each number of the target is a sum in the order of the events. LLVM would vectorise the inner loop only, and so load
    and store the target once for each row. What is written here goes through all rows with up to 64 sums in registers,
    then loads the next 64:

        for offset in 0, 64, 128 ... and what remains in parts of 32, 16, 8, 4, 2, 1:
            sums = target[at + offset : at + offset + width]
            for e in range(begin, end):
                sums += weights[shift + offset + events[e] * length :][:width]
            target[at + offset : at + offset + width] = sums

    Parameters
    ----------
    target : array of float32
    at : int
    weights : array of float32, flat
    shift : int
    events : array of int32
    begin, end, length : int
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
def nonzero_bits(typing, spikes, first):  # type: ignore[no-untyped-def]
    """Tell in the bits of one number which of 64 neurons spike: most of them do not, and need not be looked at.

        sum((spikes[first + i] != 0) << i for i in range(64))

    LLVM would test one byte after the other. What is written here compares a vector of 64 bytes with zero, and takes
    the 64 results of one bit each as one number: on a processor with AVX2 a few instructions.

    Parameters
    ----------
    spikes : array of uint8
    first : int

    Returns
    -------
    uint64
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        vector = ir.VectorType(ir.IntType(8), GROUP)
        start = builder.gep(context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]])
        loaded = builder.load(builder.bitcast(start, vector.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", loaded, ir.Constant(vector, None)), ir.IntType(64))

    return types.uint64(spikes, types.int64), generate


@intrinsic
def lowest_bit(typing, word):  # type: ignore[no-untyped-def]
    """Return the number of the lowest bit that is set, of which there must be one.

        i = 0
        while not word >> i & 1:
            i += 1

    Processors have an instruction for it, which LLVM calls `cttz`: count trailing zeros.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), generate
