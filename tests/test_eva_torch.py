"""The networks in PyTorch that training steps are compared with."""

import numpy as np
import pytest
import timm_weights as reference

torch = pytest.importorskip("torch", reason="needs PyTorch")


@pytest.mark.parametrize(
    "name", ["eva02_tiny_patch14_224", "eva02_base_patch16_clip_224"]
)
def test_features_equal_those_of_timm(name):
    from benchmarks.eva_torch import SIZES, Eva

    small = {"width": reference.WIDTH, "depth": reference.BLOCKS}
    size = SIZES[name]._replace(heads=reference.HEADS, **small)
    (height, width), _ = reference.sizes(name)
    net = Eva(size, height, width).eval()
    weights = reference.generate(name).items()
    arrays = {k: torch.from_numpy(v) for k, v in weights if not k.startswith("fc_norm")}
    net.load_state_dict(arrays)  # strict: all names are timm's
    image = torch.from_numpy(reference.image((height, width))).permute(0, 3, 1, 2)
    with torch.inference_mode():
        tokens = net.tokens(image)[0].numpy()
        cells = net(image)[0].flatten(1).T.numpy()
    assert (cells == tokens[1:]).all()
    with np.load(reference.FEATURES) as features:
        expected = features[f"{name}_{height}x{width}"]
    np.testing.assert_allclose(tokens[[0, 2, -2]], expected, rtol=0, atol=1e-5)
