"""The multi-feature balanced network (MBNet): three branches and their balance."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from mbnet_jax.backbones.resnet import ResNet
from mbnet_jax.models.balance import Balance, combine
from mbnet_jax.models.cfm import CrossFusion
from mbnet_jax.models.fam import FeatureAttention
from mbnet_jax.models.heads import ClothesClassifier, IdentityHead
from mbnet_jax.models.ktm import KnowledgeTransfer

BRANCHES = ("global", "clothing_unrelated", "mask")

# Which entry of the views each branch reads.
VIEW_OF_BRANCH = {
    "global": "global",
    "clothing_unrelated": "clothing_unrelated",
    "mask": "silhouette",
}


@struct.dataclass
class Outputs:
    """What MBNet returns, float32. Dictionaries have one entry for each branch on;
    jit sorts their keys, so take the order of branches from `BRANCHES`.

    Attributes:
      features: branch -> [B, d], before the BNNeck (for the triplet loss).
      embeddings: branch -> [B, d], after it, of length 1 (for retrieval).
      logits: branch -> [B, num_classes].
      combined: [B, sum of d], of length 1: the embeddings, each times its balance
        weight. Gradients pass to the balance alone.
      balance: [B, branches], in the order of `BRANCHES`, with mean 1;
        None without balance or with a single branch.
      gate: [B, h, w, 1] in [0, 1], KTM's gate; None without KTM.
      gate_logits: [B, h, w, 1], whose sigmoid the gate is; None without KTM.
      attention: [B, h, w, 1] in [0, 1], FAM's spatial attention; None without FAM.
      clothes: [B, num_clothes], cosines of the global embedding with the clothes
        classifier's classes. Gradients pass to the classifier alone; None without it.
      adversarial: the same values, whose gradients pass to the embedding alone.
    """

    features: dict[str, jax.Array]
    embeddings: dict[str, jax.Array]
    logits: dict[str, jax.Array]
    combined: jax.Array
    balance: jax.Array | None = None
    gate: jax.Array | None = None
    gate_logits: jax.Array | None = None
    attention: jax.Array | None = None
    clothes: jax.Array | None = None
    adversarial: jax.Array | None = None


class MBNet(nn.Module):
    """MBNet (Mei et al., Neural Networks 190, 2025, 107617), in our reading.

    A part that is switched off has no parameters, and leaves the parameters of the
    others as they were, bit by bit. A module is used only where its branches are
    on: KTM with "global", FAM with "clothing_unrelated", CFM with both
    "clothing_unrelated" and "mask", the balance with two branches or more, the clothes
    classifier with "global". Without CFM the mask branch pools its own map.

    Attributes:
      num_classes: identities in the training set.
      num_clothes: classes of the clothes classifier, for CAL's loss; 0: there is none.
      branches: those that are on, of `BRANCHES`.
      backbone, width, stem: ResNet of the two colour branches (see `ResNet`); each
        branch has its own parameters.
      mask_backbone, mask_width, mask_stem: ResNet of the mask branch.
      last_stride: stride of the last stage of every ResNet, 1 or 2.
      pooling: "max_avg", "gem" or "avg" (see `heads.POOLINGS`).
      ktm, fam, cfm, balance: switch the modules on.
      balance_floor: the least weight of a branch (see `Balance`).
      fusion_width, fusion_heads: channels and attention heads of CFM.
      dtype: of the computation (float32 or bfloat16). Parameters, statistics,
        gates, attentions and everything in `Outputs` are float32 in any case.
    """

    num_classes: int
    num_clothes: int = 0
    branches: tuple[str, ...] = BRANCHES
    backbone: str = "resnet50"
    width: int = 64
    stem: str = "imagenet"
    mask_backbone: str = "resnet18"
    mask_width: int = 64
    mask_stem: str = "imagenet"
    last_stride: int = 1
    pooling: str = "max_avg"
    ktm: bool = True
    fam: bool = True
    cfm: bool = True
    balance: bool = True
    balance_floor: float = 0.5
    fusion_width: int = 512
    fusion_heads: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, views: Mapping[str, jax.Array], *, train: bool) -> Outputs:
        """Runs the branches that are on.

        Args:
          views: float32 "global" [B, H, W, 3], "clothing_unrelated" [B, H', W', 3]
            and "silhouette" [B, H'', W'', 1] in [0, 1]; those of the branches on.
          train: whether batch norm uses the batch's statistics (and updates the
            running ones, in the collection "batch_stats").

        Raises:
          ValueError: if a branch is unknown or its view is missing, or another
            field has no known value.
        """
        branches = self._checked_branches(views)
        heads = {}
        gate_logits = attention = map_unrelated = None
        clothes = adversarial = None

        if "global" in branches:
            x = self._backbone("global")(views["global"], train=train)
            if self.ktm:
                module = KnowledgeTransfer(dtype=self.dtype, name="knowledge_transfer")
                x, gate_logits = module(x)
            heads["global"] = self._head("global")(x, train=train)
            if self.num_clothes:
                module = ClothesClassifier(self.num_clothes, name="clothes_classifier")
                clothes, adversarial = module(heads["global"][1])

        if "clothing_unrelated" in branches:
            x = self._backbone("clothing_unrelated")(
                views["clothing_unrelated"], train=train
            )
            if self.fam:
                module = FeatureAttention(dtype=self.dtype, name="feature_attention")
                x, attention = module(x, train=train)
            map_unrelated = x
            heads["clothing_unrelated"] = self._head("clothing_unrelated")(
                x, train=train
            )

        if "mask" in branches:
            x = self._backbone("mask")(views["silhouette"], train=train)
            if self.cfm and map_unrelated is not None:
                x = CrossFusion(
                    width=self.fusion_width,
                    heads=self.fusion_heads,
                    dtype=self.dtype,
                    name="cross_fusion",
                )(x, map_unrelated, train=train)
            heads["mask"] = self._head("mask")(x, train=train)

        features, embeddings, logits = (
            {branch: heads[branch][i] for branch in branches} for i in range(3)
        )
        ordered = [embeddings[branch] for branch in branches]
        weights = None
        if self.balance and len(branches) > 1:
            weights = Balance(self.balance_floor, name="balance_weights")(ordered)
        return Outputs(
            features=features,
            embeddings=embeddings,
            logits=logits,
            combined=combine(ordered, weights),
            balance=weights,
            gate=None if gate_logits is None else nn.sigmoid(gate_logits),
            gate_logits=gate_logits,
            attention=attention,
            clothes=clothes,
            adversarial=adversarial,
        )

    def _checked_branches(self, views: Mapping[str, jax.Array]) -> tuple[str, ...]:
        """The branches that are on, in the order of `BRANCHES`."""
        unknown = [branch for branch in self.branches if branch not in BRANCHES]
        if unknown or not self.branches:
            raise ValueError(
                f"branches are {tuple(self.branches)}; name one or more of {BRANCHES}"
            )
        branches = tuple(b for b in BRANCHES if b in self.branches)
        for branch in branches:
            if VIEW_OF_BRANCH[branch] not in views:
                raise ValueError(
                    f"the branch {branch!r} needs the view "
                    f"{VIEW_OF_BRANCH[branch]!r}; there are {sorted(views)}"
                )
        return branches

    def _backbone(self, branch: str) -> ResNet:
        mask = branch == "mask"
        return ResNet(
            depth=self.mask_backbone if mask else self.backbone,
            width=self.mask_width if mask else self.width,
            stem=self.mask_stem if mask else self.stem,
            last_stride=self.last_stride,
            dtype=self.dtype,
            name=f"{branch}_backbone",
        )

    def _head(self, branch: str) -> IdentityHead:
        return IdentityHead(
            num_classes=self.num_classes, pooling=self.pooling, name=f"{branch}_head"
        )
