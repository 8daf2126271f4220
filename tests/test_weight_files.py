"""Files of weights: each kind holds the same arrays; errors name what is wrong."""

import re
import sys

import numpy as np
import pytest
from hub_client import fake_hub
from safetensors.numpy import save_file

from mbnet_jax.backbones.weights.files import read_weights

WEIGHTS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn1.num_batches_tracked": np.array(7),
}


def write_pth(path):
    torch = pytest.importorskip("torch")
    torch.save({k: torch.from_numpy(v) for k, v in WEIGHTS.items()}, path)


def write_wrapped(path):
    torch = pytest.importorskip("torch")
    weights = {k: torch.from_numpy(v) for k, v in WEIGHTS.items()}
    torch.save({"module": weights}, path)


WRITERS = {
    ".safetensors": lambda path: save_file(WEIGHTS, path),
    ".npz": lambda path: np.savez(path, **WEIGHTS),
    ".pth": write_pth,
    ".pt": write_wrapped,
    ".bin": write_pth,
}


def assert_equal_weights(read):
    assert read.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype


@pytest.mark.parametrize("ending", WRITERS)
def test_each_kind_of_file_holds_the_same(ending, tmp_path):
    path = tmp_path / f"weights{ending}"
    WRITERS[ending](path)
    assert_equal_weights(read_weights(str(path)))


def test_a_pth_of_parameters_is_read(tmp_path):
    # torchvision's oldest files hold parameters with gradients, not tensors.
    torch = pytest.importorskip("torch")
    value = torch.nn.Parameter(torch.ones(3))
    torch.save({"bn1.weight": value}, tmp_path / "old.pth")
    read = read_weights(str(tmp_path / "old.pth"))
    np.testing.assert_array_equal(read["bn1.weight"], np.ones(3))


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", b"PK\x03\x04cut"])
@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (".safetensors", "is not a safetensors file"),
        (".npz", "is not an npz file of plain arrays"),
        (".pth", r"does not hold weights alone, .*state_dict.*"),
    ],
)
def test_a_broken_file_is_named(ending, kind, content, tmp_path):
    if ending == ".pth":
        pytest.importorskip("torch")
    path = tmp_path / f"weights{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} {kind} \(\S"):
        read_weights(str(path))


def test_a_pth_with_more_than_weights_is_rejected(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "checkpoint.pth"
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(1)}}, path)
    with pytest.raises(ValueError, match=r"weights alone, .*: 'epoch' is a int"):
        read_weights(str(path))


def test_a_pth_that_would_run_code_is_rejected(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "module.pth"
    torch.save(torch.nn.Linear(1, 1), path)  # a pickled module, not its weights
    with pytest.raises(ValueError, match=r"weights alone, .*state_dict.*: Unpickl"):
        read_weights(str(path))


def test_without_pytorch_the_error_of_a_pth_is_how_to_convert_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "resnet50-11ad3fa6.pth"
    path.touch()
    with pytest.raises(ValueError, match="needs PyTorch") as error:
        read_weights(str(path))
    # The command in the message works.
    (command,) = re.findall(r'python -c "(.*)"$', str(error.value))
    monkeypatch.undo()
    pytest.importorskip("torch")
    write_pth(path)
    monkeypatch.chdir(tmp_path)
    exec(command, {})
    assert_equal_weights(read_weights("resnet50-11ad3fa6.npz"))


def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none\.npz"):
        read_weights(str(tmp_path / "none.npz"))
    (tmp_path / "weights.h5").touch()
    with pytest.raises(
        ValueError, match=r"ends in '\.h5'; .* end in \.safetensors, \.npz"
    ):
        read_weights(str(tmp_path / "weights.h5"))
    with pytest.raises(
        ValueError, match=r"'resnet50' is neither a file .* nor a .* hub"
    ):
        read_weights("resnet50")


def test_a_hub_id_is_downloaded(tmp_path, monkeypatch):
    def download(repository, file, local_files_only):
        assert (repository, file) == ("timm/resnet50.tv_in1k", "model.safetensors")
        save_file(WEIGHTS, tmp_path / file)
        return str(tmp_path / file)

    fake_hub(monkeypatch, download)
    assert_equal_weights(read_weights("timm/resnet50.tv_in1k"))


def test_a_repository_of_both_towers_has_another_file(tmp_path, monkeypatch):
    class RemoteEntryNotFoundError(OSError):
        pass

    def metadata(url, timeout):
        if url.endswith("/model.safetensors"):
            raise RemoteEntryNotFoundError("404: no such file.")

    def download(repository, file, local_files_only):
        if local_files_only:
            raise OSError("not in the cache")
        save_file(WEIGHTS, tmp_path / file)
        return str(tmp_path / file)

    fake_hub(monkeypatch, download)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", metadata)
    assert_equal_weights(read_weights("timm/both.towers"))
    assert [path.name for path in tmp_path.iterdir()] == ["open_clip_model.safetensors"]

    def neither(url, timeout):
        raise RemoteEntryNotFoundError("404: no such file.")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", neither)
    message = (
        r"cannot download model\.safetensors or open_clip_model\.safetensors of "
        r"'timm/both\.towers' .* hub: 404: no such file\. Without"
    )
    with pytest.raises(ValueError, match=message):
        read_weights("timm/both.towers")


def test_a_failed_download_names_the_alternative(monkeypatch):
    def download(repository, file, local_files_only):
        raise OSError("No network.\nDetails.")

    fake_hub(monkeypatch, download)
    message = (
        r"'timm/a' from the .* hub: No network\. Without .* give the path of a file"
    )
    with pytest.raises(ValueError, match=message):
        read_weights("timm/a")


def test_without_an_answer_the_hub_is_asked_once_and_the_cache_serves(
    tmp_path, monkeypatch
):
    asked = []

    def download(repository, file, local_files_only):
        asked.append(local_files_only)
        if len(asked) > 1:
            raise OSError("not in the cache")
        save_file(WEIGHTS, tmp_path / file)
        return str(tmp_path / file)

    fake_hub(monkeypatch, download, answers=False)
    assert_equal_weights(read_weights("timm/resnet50.tv_in1k"))
    with pytest.raises(ValueError, match=r"hub: Name not known\. Without network, "):
        read_weights("timm/resnet50.tv_in1k")
    assert asked == [True] * 3  # the second time, for both names


def test_a_misspelt_path_is_not_asked_for(tmp_path, monkeypatch):
    fake_hub(monkeypatch, pytest.fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet50").touch()
    message = r"no such file: weights/resnet5 \(did you mean weights/resnet50\?\)"
    with pytest.raises(FileNotFoundError, match=message):
        read_weights("weights/resnet5")
    with pytest.raises(FileNotFoundError, match=r"no such file: runs/w$"):
        read_weights("runs/w")


def test_the_real_hub_client_offline_names_the_alternative(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"cannot download .* give the path of a file"):
        read_weights("timm/resnet50.tv_in1k")


def test_a_hub_id_without_the_client_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ValueError, match="pip install huggingface_hub; or give the path"
    ):
        read_weights("timm/resnet50.tv_in1k")


def test_a_pth_of_one_tensor_is_rejected(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(3), tmp_path / "mean.pth")
    with pytest.raises(ValueError, match=r"weights alone, .*: it holds a Tensor"):
        read_weights(str(tmp_path / "mean.pth"))
