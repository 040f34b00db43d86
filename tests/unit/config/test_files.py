"""Configuration files: mistakes are reported with the file and the line."""

import pytest

from dicom_preprocessing.cli.check_config import main
from dicom_preprocessing.config.files import check_config_file
from dicom_preprocessing.errors import ConfigError


@pytest.fixture
def message(tmp_path):
    """What is said of a file with this content."""

    def message(content):
        path = tmp_path / "my.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ConfigError) as caught:
            check_config_file(path)
        return str(caught.value).removeprefix(f"{tmp_path}/")

    return message


def test_good_file_is_read(tmp_path):
    (tmp_path / "my.yaml").write_text("# mine\nsize: [64, 32]\ncrop_max: true\n")
    config, warnings = check_config_file(tmp_path / "my.yaml")
    assert (config.size, len(warnings)) == ((64, 32), 1)


@pytest.mark.parametrize(
    ("content", "begin"),
    [
        (
            "crop: true\nsize: [1, 2\npadding: zero\n",
            "my.yaml, line 3, column 8: is not valid YAML: ",
        ),
        ("crop: true\n\tsize: [1, 2]\n", "my.yaml, line 2, column 1: is not valid YAML: "),
        ("crop: 'true\n", "my.yaml, line 2, column 1: is not valid YAML: "),
        ("crop: *a\n", "my.yaml, line 1, column 7: is not valid YAML: "),
        ("a: !!python/object:os.system {}\n", "my.yaml, line 1, column 4: is not valid YAML: "),
        ("", "my.yaml: is empty. Write keys"),
        ("# only this\n", "my.yaml: is empty. Write keys"),
        ("- size\n- crop\n", "my.yaml: is not a mapping. Write keys"),
        ("size\n", "my.yaml: is not a mapping. Write keys"),
        (
            "\n\nsiez: [1, 2]\n",
            "my.yaml, line 3: config key 'siez' is unknown, did you mean 'size'?",
        ),
        ("crop: true\nsize: 0\n", "my.yaml, line 2: config key 'size': found 0, allowed: "),
        (
            "size: [1, 2]\ncrop: true\nsize: [3, 4]\n",
            "my.yaml, line 3: config key 'size' is given twice, first in line 1.",
        ),
        (b"crop: true\nsource: /\xff\n", "my.yaml, line 2: is not text in UTF-8"),
        (b"\ncrop: \0\n", "my.yaml, line 2: is not valid YAML: character 0x00 is "),
    ],
)
def test_mistake_is_reported_with_its_line(message, content, begin):
    assert message(content).startswith(begin)


def test_each_mistake_has_its_line(message):
    lines = message("crop: 7\n\nsize: x\n").splitlines()
    assert [line.split(":")[0] for line in lines if "config key" in line][1].endswith("line 3")
    assert lines[0].startswith("my.yaml, line 1: config key 'crop'")


def test_missing_file_and_folder_are_named(tmp_path, capsys):
    assert main([str(tmp_path / "no.yaml"), str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/no.yaml: No such file or directory\nerror: {tmp_path}: Is a directory\n"
    )


def test_warnings_name_the_file(tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("crop_max: true\n")
    assert main([str(tmp_path / "my.yaml")]) == 0
    assert capsys.readouterr().err.startswith(f"{tmp_path}/my.yaml: warning: ")
