"""A numba type for short vectors of numbers, which stay in registers.

LLVM vectorises the loops that numba translates, but stores the target of a sum after
each row that is added to it. With the functions below a loop states which values stay
in registers:

    sums = load(currents, neuron, 4)
    for row in rows:
        sums = sums + load(weights, row * 64, 4)
    store(currents, neuron, sums)

adds rows of 64 weights to 64 sums, and stores the sums once.

A value of the type `Vectors(count, real)` is `count` vectors of `VECTOR_SIZE` numbers,
float32 or float64. Each function below writes LLVM instructions once for each vector;
see numba's low-level extension API (`numba.extending.intrinsic`) and the LLVM language
reference. Numba calls the function itself with the types of the arguments, and the
function `generate` inside it with their LLVM values. No function checks indices.
"""

import operator
from typing import Callable

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_model,
    type_callable,
)

from snnb.simulation.engines.event.loop_arrays import VECTOR_SIZE, WORD_SIZE

_BIT = ir.IntType(1)
_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)
_LLVM_VECTOR = {
    types.float32: ir.VectorType(ir.FloatType(), VECTOR_SIZE),
    types.float64: ir.VectorType(ir.DoubleType(), VECTOR_SIZE),
}
_VECTOR_BITS = ir.VectorType(_BIT, VECTOR_SIZE)  # a bit for each number of a vector
_PACKED_BITS = ir.IntType(VECTOR_SIZE)  # the same bits as one integer
_WORD_BITS = ir.VectorType(_BIT, WORD_SIZE)
_WORD_COUNTS = ir.VectorType(_INT32, WORD_SIZE)


class Vectors(types.Type):
    """Numba's type of `count` vectors of `VECTOR_SIZE` numbers of the type `real`."""

    def __init__(self, count: int, real: types.Float) -> None:
        self.count = count
        self.real = real
        self.llvm_vector = _LLVM_VECTOR[real]
        super().__init__(f"Vectors({count}, {real})")


@register_model(Vectors)
class _VectorsModel(models.PrimitiveModel):
    """Numba's model of the type `Vectors`: in LLVM, an array of vectors."""

    def __init__(self, manager, vectors) -> None:  # type: ignore[no-untyped-def]
        llvm_type = ir.ArrayType(vectors.llvm_vector, vectors.count)
        super().__init__(manager, vectors, llvm_type)


def _join(builder, llvm_vectors):  # type: ignore[no-untyped-def]
    """Return a value of type `Vectors` that consists of a list of LLVM vectors."""
    llvm_type = ir.ArrayType(llvm_vectors[0].type, len(llvm_vectors))
    value = ir.Constant(llvm_type, ir.Undefined)
    for i, vector in enumerate(llvm_vectors):
        value = builder.insert_value(value, vector, i)
    return value


def _split(builder, value):  # type: ignore[no-untyped-def]
    """Return the list of the LLVM vectors of a value of type `Vectors`."""
    return [builder.extract_value(value, i) for i in range(value.type.count)]


def _data(context, builder, array_type, array):  # type: ignore[no-untyped-def]
    """Return the address of the first number of an array."""
    return context.make_array(array_type)(context, builder, array).data


def _addresses(context, builder, array_type, array, index, count):  # type: ignore
    """Return the addresses of `count` consecutive vectors from array[index] on."""
    data = _data(context, builder, array_type, array)
    pointer = _LLVM_VECTOR[array_type.dtype].as_pointer()
    addresses = []
    for i in range(count):
        vector_index = builder.add(index, _INT64(i * VECTOR_SIZE))
        addresses.append(builder.bitcast(builder.gep(data, [vector_index]), pointer))
    return addresses


@intrinsic(prefer_literal=True)
def load(typing, array, index, count):  # type: ignore[no-untyped-def]
    """Return array[index : index + VECTOR_SIZE * count]; `count` is a constant."""
    vectors = Vectors(count.literal_value, array.dtype)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        addresses = _addresses(context, builder, array, args[0], args[1], vectors.count)
        return _join(builder, [builder.load(a, align=4) for a in addresses])

    return vectors(array, types.int64, count), generate


@intrinsic
def store(typing, array, index, vectors):  # type: ignore[no-untyped-def]
    """Set array[index : index + VECTOR_SIZE * count] to the numbers of `vectors`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        addresses = _addresses(context, builder, array, args[0], args[1], vectors.count)
        for address, vector in zip(addresses, _split(builder, args[2])):
            builder.store(vector, address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, vectors), generate


def _define_operation(operation: Callable[..., object], instruction: str) -> None:
    """Define an operator of two `Vectors` of the same type by an LLVM instruction."""

    @type_callable(operation)
    def type_operation(context):  # type: ignore[no-untyped-def]
        return lambda a, b: a if isinstance(a, Vectors) and a == b else None

    @lower_builtin(operation, Vectors, Vectors)
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pairs = zip(_split(builder, args[0]), _split(builder, args[1]))
        write = getattr(builder, instruction)
        return _join(builder, [write(a, b) for a, b in pairs])


_define_operation(operator.add, "fadd")
_define_operation(operator.sub, "fsub")
_define_operation(operator.mul, "fmul")
_define_operation(operator.truediv, "fdiv")


def _call(builder, operation, numbers):  # type: ignore[no-untyped-def]
    """Return what LLVM's intrinsic `operation` makes of numbers, or of vectors.

    They have one type. A processor without the instruction computes the same, by a
    function.
    """
    llvm_type = numbers[0].type
    is_vector = isinstance(llvm_type, ir.VectorType)
    real = llvm_type.element if is_vector else llvm_type
    vector_name = f"v{VECTOR_SIZE}" if is_vector else ""
    real_name = "f64" if isinstance(real, ir.DoubleType) else "f32"
    name = f"llvm.{operation}.{vector_name}{real_name}"
    function_type = ir.FunctionType(llvm_type, [llvm_type] * len(numbers))
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, numbers)


def _repeat(builder, number, llvm_vector):  # type: ignore[no-untyped-def]
    """Return an LLVM vector with one LLVM number in all places."""
    no_elements = ir.Constant(llvm_vector, ir.Undefined)
    first_element = builder.insert_element(no_elements, number, _INT32(0))
    zero_indices = ir.Constant(ir.VectorType(_INT32, VECTOR_SIZE), None)
    return builder.shuffle_vector(first_element, no_elements, zero_indices)


@intrinsic
def multiply_add(typing, a, b, c):  # type: ignore[no-untyped-def]
    """Return a × b + c of three numbers, rounded once, of the type of `c`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        factor = context.cast(builder, args[0], a, c)
        other_factor = context.cast(builder, args[1], b, c)
        return _call(builder, "fma", [factor, other_factor, args[2]])

    return c(a, b, c), generate


@intrinsic
def add_scaled(typing, sums, vectors, factor):  # type: ignore[no-untyped-def]
    """Return `sums` plus `vectors` times the number `factor`, each rounded once."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        number = context.cast(builder, args[2], factor, vectors.real)
        factors = _repeat(builder, number, vectors.llvm_vector)
        pairs = zip(_split(builder, args[0]), _split(builder, args[1]))
        results = []
        for vector_sums, vector in pairs:
            results.append(_call(builder, "fma", [vector, factors, vector_sums]))
        return _join(builder, results)

    return vectors(vectors, vectors, factor), generate


@intrinsic
def round_down(typing, vectors):  # type: ignore[no-untyped-def]
    """Return the largest whole numbers that are not above the numbers of `vectors`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        split_vectors = _split(builder, args[0])
        return _join(builder, [_call(builder, "floor", [v]) for v in split_vectors])

    return vectors(vectors), generate


def _apply_with_number(vectors, number_type, operate):  # type: ignore[no-untyped-def]
    """Return the signature and the code of a function of `Vectors` and a number.

    `operate(builder, vector, numbers)` returns its result for one LLVM vector, given an
    LLVM vector with the number in all places.
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        number = context.cast(builder, args[1], number_type, vectors.real)
        numbers = _repeat(builder, number, vectors.llvm_vector)
        split_vectors = _split(builder, args[0])
        return _join(builder, [operate(builder, v, numbers) for v in split_vectors])

    return vectors(vectors, number_type), generate


def _truncate(builder, vector, fractions):  # type: ignore[no-untyped-def]
    whole = _call(builder, "trunc", [builder.fmul(vector, fractions)])
    return builder.fdiv(whole, fractions)


@intrinsic
def truncate(typing, vectors, fraction):  # type: ignore[no-untyped-def]
    """Return `vectors` rounded towards 0 to multiples of 1 / `fraction`, a power of 2."""
    return _apply_with_number(vectors, fraction, _truncate)


def _wrap_once(builder, vector, limits):  # type: ignore[no-untyped-def]
    range_lengths = builder.fadd(limits, limits)
    is_above = builder.fcmp_ordered(">", vector, limits)
    is_below = builder.fcmp_ordered("<=", vector, builder.fneg(limits))
    decreased = builder.fsub(vector, range_lengths)
    increased = builder.fadd(vector, range_lengths)
    wrapped = builder.select(is_below, increased, vector)
    return builder.select(is_above, decreased, wrapped)


@intrinsic
def wrap_once(typing, vectors, limit):  # type: ignore[no-untyped-def]
    """Return `vectors`, less 2 `limit` above `limit`, and plus it up to -`limit`."""
    return _apply_with_number(vectors, limit, _wrap_once)


def _wrap(builder, vector, limits):  # type: ignore[no-untyped-def]
    range_lengths = builder.fadd(limits, limits)
    ratios = builder.fdiv(builder.fadd(vector, limits), range_lengths)
    turns = _call(builder, "floor", [ratios])
    return builder.fsub(vector, builder.fmul(turns, range_lengths))


@intrinsic
def wrap(typing, vectors, limit):  # type: ignore[no-untyped-def]
    """Return the numbers from -`limit` to before `limit` that `vectors` are congruent to.

    The modulus is 2 `limit`, a power of 2.
    """
    return _apply_with_number(vectors, limit, _wrap)


def _clip(builder, vector, limits):  # type: ignore[no-untyped-def]
    lower_limits = builder.fneg(limits)
    is_above = builder.fcmp_ordered(">", vector, limits)
    is_below = builder.fcmp_ordered("<", vector, lower_limits)
    upper = builder.select(is_above, limits, vector)
    return builder.select(is_below, lower_limits, upper)


@intrinsic
def clip(typing, vectors, limit):  # type: ignore[no-untyped-def]
    """Return the nearest numbers to those of `vectors` from -`limit` to `limit`."""
    return _apply_with_number(vectors, limit, _clip)


@intrinsic
def select(typing, bits, a, b):  # type: ignore[no-untyped-def]
    """Return the numbers of `a` where the bit of the uint64 `bits` is 1, else of `b`.

    Bit i belongs to the i-th number of both.
    """

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pairs = zip(_split(builder, args[1]), _split(builder, args[2]))
        results = []
        for i, (vector_a, vector_b) in enumerate(pairs):
            vector_bits = builder.lshr(args[0], _INT64(i * VECTOR_SIZE))
            packed_bits = builder.trunc(vector_bits, _PACKED_BITS)
            condition = builder.bitcast(packed_bits, _VECTOR_BITS)
            results.append(builder.select(condition, vector_a, vector_b))
        return _join(builder, results)

    return a(types.uint64, a, b), generate


@intrinsic
def find_reached(typing, values, thresholds):  # type: ignore[no-untyped-def]
    """Return a uint64 whose bit i is 1 if the i-th value is at least its threshold."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pairs = zip(_split(builder, args[0]), _split(builder, args[1]))
        word = _INT64(0)
        for i, (vector, threshold) in enumerate(pairs):
            is_reached = builder.fcmp_ordered(">=", vector, threshold)
            packed_bits = builder.bitcast(is_reached, _PACKED_BITS)
            bits = builder.shl(
                builder.zext(packed_bits, _INT64),
                _INT64(i * VECTOR_SIZE),
            )
            word = builder.or_(word, bits)
        return word

    return types.uint64(values, values), generate


@intrinsic
def increment(typing, counts, index, word):  # type: ignore[no-untyped-def]
    """Add 1 to counts[index + i], int32, for each bit i that is 1 in a uint64."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = _data(context, builder, counts, args[0])
        pointer = _WORD_COUNTS.as_pointer()
        address = builder.bitcast(builder.gep(data, [args[1]]), pointer)
        old_counts = builder.load(address, align=4)
        bits = builder.bitcast(args[2], _WORD_BITS)
        minus_ones = builder.sext(bits, _WORD_COUNTS)
        builder.store(builder.sub(old_counts, minus_ones), address, align=4)
        return context.get_dummy_value()

    return types.void(counts, types.int64, types.uint64), generate


@intrinsic
def element(typing, array, index):  # type: ignore[no-untyped-def]
    """Return array[index], an int32 as int64.

    Numba's own `array[index]` tests each time whether the index is negative.
    """
    is_int32 = array.dtype == types.int32
    element_type = types.int64 if is_int32 else array.dtype

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = _data(context, builder, array, args[0])
        value = builder.load(builder.gep(data, [args[1]]))
        return builder.sext(value, _INT64) if is_int32 else value

    return element_type(array, types.int64), generate


@intrinsic
def lowest_bit(typing, word):  # type: ignore[no-untyped-def]
    """Return the index of the lowest bit that is 1 in a uint64; 64 if there is none."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], _BIT(0))

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(typing, word):  # type: ignore[no-untyped-def]
    """Return the number of bits that are 1 in a uint64."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate
