import subprocess
import sys
import textwrap

import pytest

from snnb.architectures.custom import OwnCodeError, own_model
from snnb.core.errors import InputError, UsageError
from snnb.model_files.keras import keras

BRANCHED = """
    def branched(input_shape, num_classes, filters=3, rates=(0.1, 0.2), label="x"):
        from tensorflow.keras import Input, Model
        from tensorflow.keras.layers import Concatenate, Conv2D, Dense, Flatten

        inputs = Input(input_shape)
        both = Concatenate()([Conv2D(filters, 1)(inputs), Conv2D(filters, 3, padding="same")(inputs)])
        return Model(inputs, Dense(num_classes, activation="softmax")(Flatten()(both)))
"""


@pytest.fixture
def write(tmp_path):
    def file(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return file


def test_a_function_is_given_shape_and_classes_and_its_settings(write):
    own_values = own_model(f"{write(BRANCHED)}:branched")
    assert own_values.name == "mine_branched"
    assert dict(own_values.settings) == {"filters": 3, "rates": (0.1, 0.2)}
    assert own_values.input_shape((9, 8, 3), 5) == (9, 8, 3)
    model = own_values.build(input_shape=(9, 8, 3), num_classes=5, filters=4)
    assert (model.input_shape, model.output_shape) == ((None, 9, 8, 3), (None, 5))
    assert model.layers[1].filters == 4


@pytest.mark.parametrize(
    "start",
    [
        "own_model(__file__ + ':net')",
        "subprocess.run([sys.executable, __file__], check=True)",
    ],
    ids=["in-the-process", "in-another"],
)
def test_a_file_that_starts_snnb_when_it_is_imported_is_refused(write, start):
    path = write(
        f"""
        import subprocess
        import sys
        from snnb.architectures.custom import own_model

        def net():
            pass

        if __name__ == "__main__":
            own_model(__file__ + ":net")
        else:
            {start}
        """
    )
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    expected_text = f"{path} starts snnb when snnb imports it: call snnb under `if __name__ == '__main__':`"
    assert f"snnb.core.errors.UsageError: {expected_text}" in done.stderr.splitlines()
    assert done.stderr.count("in <module>") <= 4
    guarded_path = write("def net():\n    pass\n", "guarded.py")
    assert (
        own_model(f"{guarded_path}:net").function
        == own_model(f"{guarded_path}:net").function
        == "net"
    )


def test_a_function_without_parameters_says_itself_which_pictures_it_needs(write):
    path = write(
        """
        from tensorflow.keras import Sequential
        from tensorflow.keras.layers import Dense, Flatten

        def TinyNet():
            return Sequential([Flatten(input_shape=(4, 5, 3)), Dense(2, activation="softmax")])
        """
    )
    model = own_model(f"{path}:TinyNet")
    assert model.name == "mine_tiny_net"
    assert model.input_shape((28, 28, 1), 10) == (4, 5, 3)
    assert model.build(input_shape=(28, 28, 1), num_classes=10).output_shape == (
        None,
        2,
    )


@pytest.mark.skipif(
    sys.version_info >= (3, 9),
    reason="newer versions of TensorFlow build it; `parse` refuses it",
)
def test_a_recurrent_layer_that_tensorflow_cannot_build_is_refused(write):
    path = write(
        """
        from tensorflow.keras import Sequential, layers

        def net():
            return Sequential([layers.Reshape((8, 8), input_shape=(8, 8, 1)), layers.LSTM(5)])
        """
    )
    with pytest.raises(
        InputError, match=r"mine\.py:net: recurrent layers are not supported"
    ) as caught:
        own_model(f"{path}:net").build(input_shape=(8, 8, 1), num_classes=5)
    assert not isinstance(caught.value, OwnCodeError)


def test_a_file_may_import_those_beside_it(write):
    write("WIDTH = 6", "beside.py")
    model = own_model(
        f"{write('from beside import WIDTH' + chr(10) + 'def f(units=WIDTH): return None')}:f"
    )
    assert dict(model.settings) == {"units": 6}


@pytest.mark.parametrize(
    ("file", "function", "name"),
    [
        ("My Net-2.py", "makeIt", "my_net_2_make_it"),
        ("lenet.py", "mnist", "own_lenet_mnist"),
        ("ü.py", "ü", "own_model"),
    ],
)
def test_names_are_snake_case_and_never_those_of_the_package(
    write, file, function, name
):
    assert (
        own_model(f"{write(f'def {function}(): return None', file)}:{function}").name
        == name
    )


@pytest.mark.parametrize(
    ("text", "function", "error", "message"),
    [
        (
            "def branched(): pass",
            ":brached",
            UsageError,
            r"no function brached: did you mean branched\?",
        ),
        (
            "def one(): pass\ndef two(): pass",
            ":xyz",
            UsageError,
            "no function xyz: it has one, two",
        ),
        (
            "1 / 0  # not executed\ndef one(): pass",
            "",
            UsageError,
            "name the function .*:function; it has one",
        ),
        ("x = 3", ":x", UsageError, "no function x: it has no function"),
        (
            "def f(depth): pass",
            ":f",
            InputError,
            r"mine\.py:f has a parameter depth without a default: give it one",
        ),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_built(
    write, text, function, error, message
):
    with pytest.raises(error, match=message):
        own_model(f"{write(text)}{function}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "mine.py:f returns NoneType, not a tensorflow.keras.Model"),
        ("return k.Sequential([k.layers.Dense(3)])", "has no defined input"),
        (
            "return k.Sequential([k.layers.Dense(3, input_shape=(4,))])",
            r"inputs of shape \(4,\): make it \(height",
        ),
        (
            "return k.Sequential([k.layers.Conv2D(1, 1, batch_input_shape=(8, 4, 4, 1))])",
            "exactly 8 images",
        ),
        ("x = k.Input((4, 4, 1)); return k.Model(x, [x, x])", "1 inputs and 2 outputs"),
        ("return type('Own', (k.Model,), {})()", "subclassed model"),
    ],
)
def test_what_is_no_usable_model_is_refused_in_one_line(write, body, message):
    model = own_model(
        f"{write('from tensorflow import keras as k' + chr(10) + f'def f(): {body}')}:f"
    )
    with pytest.raises(InputError, match=message) as caught:
        model.build(input_shape=(4, 4, 1), num_classes=3)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_users_code_carries_its_traceback_and_none_of_ours(write):
    path = write(
        """
        def helper(n):
            raise ValueError(f"cannot do {n}")

        def f(num_classes):
            return helper(num_classes)
        """
    )
    with pytest.raises(
        OwnCodeError, match=r"^mine\.py:f raised ValueError: cannot do 7$"
    ) as caught:
        own_model(f"{path}:f").build(input_shape=(4, 4, 1), num_classes=7)
    lines = caught.value.traceback_text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if line.startswith("  File")] == [
        f'File "{path}", line 6, in f',
        f'File "{path}", line 3, in helper',
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "raised ZeroDivisionError"),
        ("def f(:", "raised SyntaxError"),
        ("exit(3)", "raised SystemExit"),
        ("def f(): import sys; sys.exit(0)", "raised SystemExit: 0"),
    ],
)
def test_a_file_or_function_that_raises_is_the_users_error(write, text, message):
    path = write(text)
    with pytest.raises(OwnCodeError, match=rf"mine\.py(:f)? {message}") as caught:
        own_model(f"{path}:f").build(input_shape=(4, 4, 1), num_classes=3)
    assert str(path) in caught.value.traceback_text


def test_ctrl_c_and_want_of_memory_in_a_function_are_what_they_are(write):
    for error in (KeyboardInterrupt, MemoryError):
        model = own_model(f"{write(f'def f(): raise {error.__name__}')}:f")
        with pytest.raises(error):
            model.build(input_shape=(4, 4, 1), num_classes=3)


def test_a_file_leaves_no_trace(write, capsys):
    """Neither in the module search path, nor in the output."""
    path = write("print('hello')\ndef f(): print('hello')")
    with pytest.raises(InputError):
        own_model(f"{path}:f").build(input_shape=(4, 4, 1), num_classes=3)
    assert str(path.parent) not in sys.path
    assert capsys.readouterr() == ("", "hello\nhello\n")


def test_a_missing_file_is_refused(tmp_path):
    for name in (f"{tmp_path}/gone.py:f", f"{tmp_path}/gone.h5", "~nobody9/gone.py:f"):
        with pytest.raises(InputError, match=r"gone\.\w+ does not exist"):
            own_model(name)


def test_a_trained_model_is_read_from_its_file(tmp_path):
    output = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((4, 5, 1)), keras.layers.Flatten(), output])
    path = tmp_path / "Trained Net.h5"
    model.save(str(path), save_format="h5")
    own_values = own_model(str(path))
    assert (own_values.name, own_values.function, own_values.build) == (
        "trained_net",
        None,
        None,
    )
    assert own_values.input_shape((28, 28, 1), 10) == (4, 5, 1)
