"""What is wrong with a document: every fault at once, in words of snnb, never in those of pydantic."""

import json

import pytest
import yaml
from pydantic import ValidationError

from snnb.chips.hardware import CoreMemory, Hardware, LayerHardware
from snnb.chips.read_hardware import DESCRIPTIONS
from snnb.core.errors import InputError
from snnb.io.faults import MOST_FAULTS, faults_in_words
from snnb.io.text import Document, read_document
from snnb.rundir.manifest import manifest_type
from snnb.stages.all import KINDS
from snnb.version import __version__
from tests.end_to_end.conftest import RECORDED

BAD = (
    None,
    True,
    "x",
    "",
    -1,
    0,
    2.5,
    10**30,
    float("nan"),
    [],
    [1],
    [None] * 3,
    {},
    {"a": 1},
    {1: 2},
)
DOCUMENTS = {
    "loihi": (Hardware, DESCRIPTIONS / "loihi.yaml"),
    "speck2f": (LayerHardware, DESCRIPTIONS / "speck2f.yaml"),
    "manifest": (manifest_type(KINDS), RECORDED / "manifest.yaml"),
}


def change_values(data):
    """Yield the data with one value replaced by each bad one, without a key, and with a key more, and where."""
    places = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(places):
        for bad in BAD:
            yield (
                (key,),
                {**data, key: bad}
                if isinstance(data, dict)
                else [*data[:key], bad, *data[key + 1 :]],
            )
        if isinstance(data, dict):
            yield (key,), {name: item for name, item in data.items() if name != key}
            yield (f"{key}x",), {**data, f"{key}x": value}
        for place, inner in (
            change_values(value) if isinstance(value, (dict, list)) else ()
        ):
            yield (
                (key, *place),
                {**data, key: inner}
                if isinstance(data, dict)
                else [*data[:key], inner, *data[key + 1 :]],
            )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_wrong_value_is_described_at_its_place(name):
    kind, path = DOCUMENTS[name]
    description_count = 0
    for place, data in change_values(yaml.safe_load(path.read_text())):
        try:
            kind.model_validate(data)
        except ValidationError as error:
            text = faults_in_words(error, kind, data)
            own_messages = [
                wrong["msg"]
                for wrong in error.errors()
                if wrong["type"] != "value_error"
            ]
            assert not [message for message in own_messages if message in text], (
                place,
                text,
            )
            assert "\n" not in text
            if own_messages:
                assert any(
                    line.startswith(".".join(map(str, place)))
                    for line in text.split("; ")
                ), (place, text)
            description_count += 1
    assert description_count > 100


def test_all_faults_are_listed_up_to_a_number():
    data = {f"key{number}": 1 for number in range(MOST_FAULTS + 5)}
    with pytest.raises(ValidationError) as error_info:
        Document.model_validate(data)
    lines = faults_in_words(error_info.value, Document, data, "unknown").split("; ")
    assert lines == [
        *(f"key{number}: unknown" for number in range(MOST_FAULTS)),
        "and 5 more",
    ]


def test_a_document_of_json_is_described_in_the_same_words(tmp_path):
    path = tmp_path / "core.json"
    path.write_text(json.dumps({"kernel": "many", "neurons": 1, "colour": 1}))
    with pytest.raises(InputError) as error_info:
        read_document(CoreMemory, path)
    faults = f'kernel: "many" is not an integer; biases: missing; colour: unknown to snnb {__version__}'
    assert (
        str(error_info.value) == f"{path}: {faults}, use the snnb that wrote the file"
    )
    path.write_text('{"kernel":')
    with pytest.raises(InputError, match=r"core\.json: not valid JSON"):
        read_document(CoreMemory, path)
