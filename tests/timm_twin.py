"""timm's transformers, of any size, with the weights of `timm_weights`.

Run as a program, it writes the features that tests compare with.
"""

import sys

import numpy as np
import timm_weights as reference
import torch


def import_timm():
    """timm; PyPI's torchvision, which it imports, lacks operators of a CPU's PyTorch.

    Raises:
      ImportError: if it is not installed.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        operators = torch.library.Library("torchvision", "DEF")
        operators.define("nms(Tensor a, Tensor b, float c) -> Tensor")
        operators.define("qnms(Tensor a, Tensor b, float c) -> Tensor")
        import_timm.operators = operators  # they last as long as it
    import timm

    return timm


def small(name: str, size: tuple[int, int]):
    """timm's network of `reference.small_kind`, with timm's own initial weights."""
    timm = import_timm()
    options = {
        "embed_dim": reference.WIDTH,
        "depth": reference.BLOCKS,
        "num_heads": reference.HEADS,
        "mlp_ratio": reference.SMALL[name] / reference.WIDTH,
        "num_classes": 3,
        "img_size": size,
    }
    return timm.create_model(name, pretrained=False, **options).eval()


def randomise(net, seed: int) -> dict[str, np.ndarray]:
    """Gives every parameter random values; returns the network's arrays."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.named_parameters():
            noise = torch.randn(value.shape, generator=random)
            if name.endswith(("token", "pos_embed")) or name.startswith("patch_embed"):
                value.copy_(noise / 100)
            elif value.ndim > 1:
                value.copy_(noise / value.shape[1] ** 0.5)
            else:
                value.copy_(noise / 5 + (0 if name.endswith("bias") else 1))
    return {name: value.numpy() for name, value in net.state_dict().items()}


def load(net, weights) -> None:
    """Loads a file's arrays, as timm does: the position embedding is resampled."""
    from timm.models import eva, vision_transformer

    ours = eva if isinstance(net, eva.Eva) else vision_transformer
    arrays = {k: torch.from_numpy(np.asarray(v)) for k, v in weights.items()}
    missing, surplus = net.load_state_dict(
        ours.checkpoint_filter_fn(arrays, net), strict=False
    )
    assert all(name.startswith("head.") for name in missing) and not surplus


def tokens(net, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class tokens [B, d] and cells [B, n, d] of images [B, H, W, c]."""
    with torch.inference_mode():
        out = net.forward_features(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    return out[:, 0], out[:, net.num_prefix_tokens :]


if __name__ == "__main__":
    timm, found = import_timm(), {}
    for name in reference.SMALL:
        for h, w in reference.sizes(name):
            net = small(name, (h, w))
            load(net, reference.generate(name))
            token, cells = tokens(net, reference.image((h, w)))
            own = np.stack([token[0], cells[0, 1], cells[0, -2]])
            found[f"{name}_{h}x{w}"] = own
            print(name, f"{h}x{w}", f"largest {abs(own).max():.1f} std {own.std():.2f}")
    found["versions"] = np.array(
        [f"timm {timm.__version__}", f"torch {torch.__version__}"]
    )
    np.savez_compressed(reference.FEATURES, **found)
