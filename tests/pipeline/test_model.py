"""What is given as --model and --dataset: mistakes are named before anything is prepared."""

import pytest

from snnb.cli.main import main


@pytest.mark.parametrize("model", ["net.png", "folder/lenet"])
def test_a_file_that_is_no_model_is_named_with_what_is_accepted(tmp_path, capsys, model):
    assert main(["run", "--model", model, "--dataset", "digits", "--run-dir", str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    accepted = "give FILE.py:FUNCTION, or a .h5, .hdf5, .keras, .onnx file"
    assert line == f"snnb: --model {model} is not a model file; {accepted}"


@pytest.mark.parametrize(("exists", "code", "message"), [(False, 3, "does not exist."), (True, 2, "give --shape")])
def test_a_folder_of_pictures_is_looked_for_before_a_shape_is_asked_for(tmp_path, capsys, exists, code, message):
    (tmp_path / "net.py").write_text("def net(input_shape, num_classes):\n    return None\n")
    for part in ("train", "test") if exists else ():
        (tmp_path / "pictures" / part).mkdir(parents=True)
    command = ["prepare", "--model", f"{tmp_path}/net.py:net", "--dataset", f"folder:{tmp_path}/pictures"]
    assert main([*command, "--run-dir", str(tmp_path / "run")]) == code
    assert message in capsys.readouterr().err.splitlines()[-1]
