"""Operations written in LLVM's own language, because numba and LLVM do not find them in a loop.

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
- `select`: for each number of a vector, one of two, as a bit says.

See the LLVM language reference (https://llvm.org/docs/LangRef.html), llvmlite's `ir.IRBuilder` and numba's
"Low-level extension API".
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from snnb.simulation.engines.event.types import GROUP

INDEX, FLOAT, INT, BIT = ir.IntType(64), ir.FloatType(), ir.IntType(32), ir.IntType(1)
WHOLE = types.int64
FLOATS, INTS = ir.VectorType(FLOAT, GROUP), ir.VectorType(INT, GROUP)
BITS = ir.VectorType(BIT, GROUP)


def data_of(context, builder, signature, args, *which):  # type: ignore[no-untyped-def]
    """Return the addresses of the first elements of the arguments of these numbers, which are arrays."""
    return [context.make_array(signature.args[i])(context, builder, args[i]).data for i in which]


def vector_at(builder, array, index, vector):  # type: ignore[no-untyped-def]
    """Return the address of an array's element as that of a vector."""
    return builder.bitcast(builder.gep(array, [index]), vector.as_pointer())


@intrinsic
def element(typing, array, index):  # type: ignore[no-untyped-def]
    """Return an element of an array; the index must not be negative, which numba would test each time.

    Parameters
    ----------
    array : array of int32, int64 or uint64
    index : int

    Returns
    -------
    int64 or uint64
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        [array] = data_of(context, builder, signature, args, 0)
        found = builder.load(builder.gep(array, [args[1]]))
        return builder.sext(found, INDEX) if found.type == INT else found

    return (types.int64 if array.dtype == types.int32 else array.dtype)(array, WHOLE), generate


@intrinsic
def integrate(typing, potential, at, currents, start, stride, bits, word, words, steps, threshold, to_zero):  # type: ignore[no-untyped-def]
    """Do some steps of 64 neurons: add the current, spike at the threshold, reset.

        for step in range(steps):
            m = potential[at : at + 64] + currents[start + step * stride :][:64]
            spikes = m >= threshold
            bits[word + step * words] = sum(spikes[i] << i for i in range(64))
            potential[at : at + 64] = where(spikes, 0 if to_zero else m - threshold, m)

    The potentials stay in registers meanwhile. LLVM would make one bit after the other.

    Parameters
    ----------
    potential, currents : array of float32, flat
    at, start, stride : int
    bits : array of uint64, flat
    word, words, steps : int
    threshold : float32
    to_zero : bool
    """
    signature = types.void(
        potential, WHOLE, currents, WHOLE, WHOLE, bits, WHOLE, WHOLE, WHOLE, types.float32, types.boolean
    )

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        _, at, _, start, stride, _, word, words, steps, threshold, to_zero = args
        potential, currents, bits = data_of(context, builder, signature, args, 0, 2, 5)
        undefined, zeros = ir.Constant(FLOATS, ir.Undefined), ir.Constant(INTS, None)
        thresholds = builder.shuffle_vector(builder.insert_element(undefined, threshold, INT(0)), undefined, zeros)
        place, held = vector_at(builder, potential, at, FLOATS), cgutils.alloca_once(builder, FLOATS)
        builder.store(builder.load(place, align=4), held)
        with cgutils.for_range(builder, steps) as loop:
            read = vector_at(builder, currents, builder.add(start, builder.mul(loop.index, stride)), FLOATS)
            m = builder.fadd(builder.load(held), builder.load(read, align=4))
            fires = builder.fcmp_ordered(">=", m, thresholds)
            after = builder.select(to_zero, ir.Constant(FLOATS, None), builder.fsub(m, thresholds))
            builder.store(builder.select(fires, after, m), held)
            to = builder.gep(bits, [builder.add(word, builder.mul(loop.index, words))])
            builder.store(builder.bitcast(fires, INDEX), to)
        builder.store(builder.load(held), place, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def count_each(typing, counts, at, bits, word, words, steps):  # type: ignore[no-untyped-def]
    """Count how often each of 64 neurons spikes in some steps.

        for step in range(steps):
            counts[at : at + 64] += [bits[word + step * words] >> i & 1 for i in range(64)]

    Parameters
    ----------
    counts : array of int32, flat
    at : int
    bits : array of uint64, flat
    word, words, steps : int
    """
    signature = types.void(counts, WHOLE, bits, WHOLE, WHOLE, WHOLE)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        _, at, _, word, words, steps = args
        counts, bits = data_of(context, builder, signature, args, 0, 2)
        place, held = vector_at(builder, counts, at, INTS), cgutils.alloca_once(builder, INTS)
        builder.store(builder.load(place, align=4), held)
        with cgutils.for_range(builder, steps) as loop:
            read = builder.load(builder.gep(bits, [builder.add(word, builder.mul(loop.index, words))]))
            spikes = builder.sext(builder.bitcast(read, BITS), INTS)  # -1 where there is one
            builder.store(builder.sub(builder.load(held), spikes), held)
        builder.store(builder.load(held), place, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def copy(typing, target, at, source):  # type: ignore[no-untyped-def]
    """Copy an array into a part of another one; numba would do so number by number.

        target[at : at + source.size] = source

    Parameters
    ----------
    target, source : array of float32, flat
    at : int
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        target, source = data_of(context, builder, signature, args, 0, 2)
        number = context.make_array(signature.args[2])(context, builder, args[2]).nitems
        cgutils.raw_memcpy(builder, builder.gep(target, [args[1]]), source, number, 4)
        return context.get_dummy_value()

    return types.void(target, WHOLE, source), generate


@intrinsic
def divide(typing, target, at, divisors):  # type: ignore[no-untyped-def]
    """Divide a part of an array by another one, 64 numbers at a time.

        target[at : at + divisors.size] /= divisors

    Parameters
    ----------
    target : array of float32, flat
    at : int
    divisors : array of float32
        Filled up to a multiple of 64.
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        target, divisors = data_of(context, builder, signature, args, 0, 2)
        number = context.make_array(signature.args[2])(context, builder, args[2]).nitems
        with cgutils.for_range_slice(builder, INDEX(0), number, INDEX(GROUP)) as (done, _):
            place = vector_at(builder, target, builder.add(args[1], done), FLOATS)
            by = builder.load(vector_at(builder, divisors, done, FLOATS), align=4)
            builder.store(builder.fdiv(builder.load(place, align=4), by), place, align=4)
        return context.get_dummy_value()

    return types.void(target, WHOLE, divisors), generate


@intrinsic
def lowest_bit(typing, word):  # type: ignore[no-untyped-def]
    """Return the number of the lowest bit that is set, 64 if there is none.

    Processors have an instruction for it, which LLVM calls `cttz`: count trailing zeros.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], BIT(0))

    return types.int64(types.uint64), generate


@intrinsic
def bits_set(typing, word):  # type: ignore[no-untyped-def]
    """Return how many bits are set; an instruction of processors, which LLVM calls `ctpop`: population count.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate
