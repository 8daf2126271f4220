"""What benchmarks compute: published peaks, FLOPs, what the loader is asked for."""

import io

import cv2
import jax
import numpy as np
import pytest
from PIL import Image

from benchmarks import readme_picture
from benchmarks.devices import counted_flops, published_peak
from benchmarks.loader import HOSTS
from benchmarks.unlocked import unlocked


@pytest.mark.parametrize(
    ("kind", "dtype", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989),
        ("NVIDIA H100 PCIe", "bfloat16", 756),
        ("TPU v5 lite", "bfloat16", 197),  # v5e; the name of v5p is a prefix of it
        ("TPU v5", "bfloat16", 459),
        ("TPU v6 lite", "float32", 918),
        ("NVIDIA H200", "bfloat16", 989),
        ("NVIDIA H200 NVL", "bfloat16", 835),
        ("NVIDIA L4", "float32", 60),
    ],
)
def test_published_peaks(kind, dtype, tera):
    assert published_peak(kind, dtype) == tera * 1e12


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("NVIDIA L40S", "float32"),
        ("NVIDIA H100 NVL", "bfloat16"),
        ("Tesla V100-PCIE-16GB", "float32"),
        ("Tesla T4", "bfloat16"),
        ("cpu", "float32"),
    ],
)
def test_unknown_devices_have_no_peak(kind, dtype):
    assert published_peak(kind, dtype) is None


def test_a_hosts_demand_is_its_steps_roofline():
    demands = {host.name: dict(host.demands()) for host in HOSTS}
    # 64 images in 36.7 ms of traffic, or in 5.1 ms of arithmetic.
    v5e = demands["v5e-8"]
    assert v5e["memory, bytes accessed"] == pytest.approx(64 / 36.7e-3, rel=0.01)
    assert v5e["memory, bytes of HBM"] == pytest.approx(64 / 7.93e-3, rel=0.01)
    assert v5e["compute, the peak"] == pytest.approx(64 / 5.1e-3, rel=0.01)
    assert demands["H100"]["compute, 40 % of the peak"] == pytest.approx(3150, rel=0.01)


def test_time_in_which_other_threads_may_run_is_listed_while_it_is_asked_for():
    image, plain = np.zeros((8, 8), np.uint8), cv2.resize
    with unlocked() as spent:
        assert cv2.resize(image, (4, 4)).shape == (4, 4)
        assert len(spent) == 1 and 0 < spent[0] < 1
    assert cv2.resize is plain


def test_flops_are_those_of_convolutions_and_products():
    def function(x, kernel, y):
        numbers = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=numbers
        )
        return x.reshape(-1, 4) @ y

    arguments = [np.ones(s, np.float32) for s in ((2, 6, 6, 3), (3, 3, 3, 4), (4, 5))]
    positions = 2 * 4 * 4
    convolved, multiplied = positions * 27 * 4, positions * 4 * 5
    expected = 2 * (convolved + multiplied)
    assert counted_flops(function, *arguments) == pytest.approx(expected, rel=1e-3)


def test_flops_of_loops_are_those_of_all_their_runs():
    def function(x, w):
        return jax.lax.scan(lambda x, w: (x @ w, None), x, w)[0]

    arguments = [np.ones(shape, np.float32) for shape in ((8, 64), (6, 64, 64))]
    expected = 6 * 2 * 8 * 64 * 64
    assert counted_flops(function, *arguments) == pytest.approx(expected, rel=1e-2)


def test_a_readme_picture_is_small(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (300, 2 * readme_picture.WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "lists.png")
    data = readme_picture.small_jpeg(tmp_path / "lists.png")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG" and picture.width <= readme_picture.WIDTH
        ratio = picture.height / picture.width
        assert ratio == pytest.approx(300 / noise.shape[1], 0.05)
    assert len(data) < 250_000
