"""A numba type for short vectors of numbers, which stay in registers.

LLVM vectorises the loops that numba translates, but stores the target of a sum after each row that is added to it. With
the functions below a loop states which values stay in registers: `v = v + load(weights, i, 4)` adds 64 weights to 64
sums.

A value of type `Floats(parts, real)` is `parts` vectors of `WIDTH` float32 or float64 numbers. Each function below
writes LLVM instructions once for each part; see numba's low-level extension API (`numba.extending.intrinsic`) and the
LLVM language reference.
"""

import operator
from typing import Callable

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from snnb.simulation.engines.event.loop_arrays import WIDTH

_VECTOR = {types.float32: ir.VectorType(ir.FloatType(), WIDTH), types.float64: ir.VectorType(ir.DoubleType(), WIDTH)}
_BITS, _PART = ir.VectorType(ir.IntType(1), WIDTH), ir.IntType(WIDTH)


class Floats(types.Type):
    """Numba's type of `parts` vectors of `WIDTH` numbers."""

    def __init__(self, parts: int, real: types.Float) -> None:
        self.parts, self.real, self.vector = parts, real, _VECTOR[real]
        super().__init__(f"Floats({parts}, {real})")


@register_model(Floats)
class _FloatsModel(models.PrimitiveModel):
    def __init__(self, manager, floats) -> None:  # type: ignore[no-untyped-def]
        super().__init__(manager, floats, ir.ArrayType(floats.vector, floats.parts))


def _each_part(builder, floats, write):  # type: ignore[no-untyped-def]
    """Return a value of type `floats` whose parts are `write(0)`, `write(1)` …."""
    value = ir.Constant(ir.ArrayType(floats.vector, floats.parts), ir.Undefined)
    for part in range(floats.parts):
        value = builder.insert_value(value, write(part), part)
    return value


def _address(context, builder, array_type, array, index, part):  # type: ignore[no-untyped-def]
    data = context.make_array(array_type)(context, builder, array).data
    at = builder.add(index, ir.IntType(64)(part * WIDTH))
    return builder.bitcast(builder.gep(data, [at]), _VECTOR[array_type.dtype].as_pointer())


@intrinsic(prefer_literal=True)
def load(typing, array, index, parts):  # type: ignore[no-untyped-def]
    """Return array[index : index + WIDTH * parts]; `parts` is a constant, and nothing checks the bounds."""
    floats = Floats(parts.literal_value, array.dtype)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def part_at(part):  # type: ignore[no-untyped-def]
            return builder.load(_address(context, builder, array, args[0], args[1], part), align=4)

        return _each_part(builder, floats, part_at)

    return floats(array, types.int64, parts), generate


@intrinsic
def store(typing, array, index, floats):  # type: ignore[no-untyped-def]
    """Set array[index : index + WIDTH * parts] to the numbers of `floats`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        for part in range(floats.parts):
            address = _address(context, builder, array, args[0], args[1], part)
            builder.store(builder.extract_value(args[2], part), address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, floats), generate


def _elementwise(operation: Callable[..., object], instruction: str) -> None:
    """Define an operation of two values of one type as an instruction for each part."""

    @type_callable(operation)
    def of_types(context):  # type: ignore[no-untyped-def]
        return lambda a, b: a if isinstance(a, Floats) and a == b else None

    @lower_builtin(operation, Floats, Floats)
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_part(part):  # type: ignore[no-untyped-def]
            return getattr(builder, instruction)(*(builder.extract_value(value, part) for value in args))

        return _each_part(builder, signature.return_type, of_part)


_elementwise(operator.add, "fadd")
_elementwise(operator.sub, "fsub")
_elementwise(operator.mul, "fmul")
_elementwise(operator.truediv, "fdiv")


def _fma(builder, a, b, c):  # type: ignore[no-untyped-def]
    """Return a b + c, rounded once, of numbers or vectors: a processor without the instruction computes the same."""
    real, many = (a.type.element, f"v{WIDTH}") if isinstance(a.type, ir.VectorType) else (a.type, "")
    name = f"llvm.fma.{many}f{64 if isinstance(real, ir.DoubleType) else 32}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
    return builder.call(function, [a, b, c])


@intrinsic
def fused(typing, a, b, c):  # type: ignore[no-untyped-def]
    """Return the number a b + c, rounded once; `a` and `b` are converted to the type of `c`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return _fma(
            builder, *(context.cast(builder, value, value_type, c) for value, value_type in zip(args, signature.args))
        )

    return c(a, b, c), generate


@intrinsic
def add_scaled(typing, sums, floats, factor):  # type: ignore[no-untyped-def]
    """Return `sums` plus the numbers of `floats` multiplied by the number `factor`, each rounded once."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        undefined = ir.Constant(floats.vector, ir.Undefined)
        number = context.cast(builder, args[2], factor, floats.real)
        first = builder.insert_element(undefined, number, ir.IntType(32)(0))
        factors = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None))

        def of_part(part):  # type: ignore[no-untyped-def]
            before, numbers = (builder.extract_value(value, part) for value in args[:2])
            return _fma(builder, numbers, factors, before)

        return _each_part(builder, floats, of_part)

    return floats(floats, floats, factor), generate


@intrinsic
def where(typing, bits, a, b):  # type: ignore[no-untyped-def]
    """Return for each i the i-th number of `a` if bit i is set in the uint64 `bits`, else that of `b`."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def of_part(part):  # type: ignore[no-untyped-def]
            chosen = builder.trunc(builder.lshr(args[0], args[0].type(part * WIDTH)), _PART)
            one, other = (builder.extract_value(value, part) for value in args[1:])
            return builder.select(builder.bitcast(chosen, _BITS), one, other)

        return _each_part(builder, a, of_part)

    return a(types.uint64, a, b), generate


@intrinsic
def reached(typing, values, thresholds):  # type: ignore[no-untyped-def]
    """Return a uint64 whose bit i is set if the i-th value is at least its threshold."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        bits = ir.IntType(64)(0)
        for part in range(values.parts):
            value, threshold = (builder.extract_value(arg, part) for arg in args)
            fires = builder.fcmp_ordered(">=", value, threshold)
            of_part = builder.zext(builder.bitcast(fires, _PART), bits.type)
            bits = builder.or_(bits, builder.shl(of_part, bits.type(part * WIDTH)))
        return bits

    return types.uint64(values, values), generate


@intrinsic
def add_bits(typing, counts, index, bits):  # type: ignore[no-untyped-def]
    """Add 1 to counts[index + i], int32, for each bit i that is set in a uint64."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(counts)(context, builder, args[0]).data
        ints = ir.VectorType(ir.IntType(32), 64)
        address = builder.bitcast(builder.gep(data, [args[1]]), ints.as_pointer())
        minus_ones = builder.sext(builder.bitcast(args[2], ir.VectorType(ir.IntType(1), 64)), ints)
        builder.store(builder.sub(builder.load(address, align=4), minus_ones), address, align=4)
        return context.get_dummy_value()

    return types.void(counts, types.int64, types.uint64), generate


@intrinsic
def element(typing, array, index):  # type: ignore[no-untyped-def]
    """Return array[index], of int32 as int64; numba would test each time whether the index is negative."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        value = builder.load(builder.gep(context.make_array(array)(context, builder, args[0]).data, [args[1]]))
        return builder.sext(value, ir.IntType(64)) if array.dtype == types.int32 else value

    return (types.int64 if array.dtype == types.int32 else array.dtype)(array, types.int64), generate


@intrinsic
def lowest_bit(typing, word):  # type: ignore[no-untyped-def]
    """Return the index of the lowest bit that is set in a uint64, 64 if there is none."""
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.cttz(args[0], ir.IntType(1)(0))


@intrinsic
def bits_set(typing, word):  # type: ignore[no-untyped-def]
    """Return how many bits of a uint64 are set."""
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])
