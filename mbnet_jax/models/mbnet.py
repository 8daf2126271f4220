"""The multi-feature balanced network (MBNet): three branches and their balance."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mbnet_jax.backbones import Features, drops_path, make_backbone, renormalised
from mbnet_jax.models.branches import (
    BRANCHES,
    backbone_module,
    branch_keys,
    ordered,
    owned_backbones,
    owner,
)
from mbnet_jax.models.heads import ClothesClassifier, IdentityHead
from mbnet_jax.models.modules import (
    Balance,
    ClothesSubspace,
    CrossFusion,
    FeatureAttention,
    ImageParser,
    KnowledgeTransfer,
    Locator,
    ParsingHead,
    Projection,
    Zoom,
    combine,
    masked,
    zoom_on,
)
from mbnet_jax.models.outputs import Outputs
from mbnet_jax.parsing.labels import BACKGROUND


class MBNet(nn.Module):
    """MBNet (Mei et al., Neural Networks 190, 2025, 107617), in our reading.

    Each branch takes its view, runs its backbone, refines the map with its module
    (KTM on the global branch, FAM on the clothing-unrelated one, CFM on the mask
    branch, which joins the map of the clothing-unrelated one), and pools it, and the
    backbone's class token where there is one, to an embedding. The balance weighs the
    embeddings of all branches.

    A part that is switched off has no parameters, and leaves the parameters of the
    others bit-equal. A module is used only where its branches are on. Without CFM the
    mask branch pools its own map.

    Attributes:
      num_classes: identities in the training set; 0: no classifier, as in an export.
      backbones: `config.model.backbones`: branch -> the fields of its backbone (see
        `backbones.make_backbone`). Each branch has its own parameters, unless it
        shares another's (see `branches.owner`), and its own `pooling`, if it is not "".
      num_clothes: classes of the clothes classifier, for CAL's loss; 0: none.
      branches: those that are on, of `BRANCHES`.
      pooling: a name in `heads.POOLINGS`, of branches without their own.
      ktm, fam, cfm, balance: switch the modules on.
      parser: switches on what predicts parsing maps, a head of the global branch.
      parser_image: whether that is a small network of the image (`ImageParser`), not
        the head.
      parser_masks: whether that network hides the background from its branch.
      parser_size: of that network, in `image_parser.SIZES`.
      balance_floor: the least weight of a branch (see `Balance`).
      projection: dimensions of the projection that takes the balance's place where
        there are several branches (see `Projection`); 0: none.
      fusion_width, fusion_heads: channels and attention heads of CFM.
      ktm_stage: the stage of the backbone after which KTM's gate works; 0: on the
        final map.
      ktm_residual: as in `KnowledgeTransfer`; with `ktm_zoom`, whether the view keeps
        what its gate does not pass (see `masked`).
      ktm_zoom: how much KTM enlarges clothing-unrelated parts of the global branch's
        view, in place of its gate (see `zoom_on`); 0: not at all.
      fam_stage: the same as `ktm_stage` for FAM.
      fam_spatial, fam_residual: as in `FeatureAttention`.
      clothes_rank: number of directions that vary with clothes and are projected out
        of the global branch's embedding (see `ClothesSubspace`); 0: none.
      dtype: of the computation (float32 or bfloat16). Parameters, statistics,
        gates, attentions and everything in `Outputs` are float32 in any case.
    """

    num_classes: int
    backbones: Mapping[str, Mapping[str, Any]]
    num_clothes: int = 0
    branches: tuple[str, ...] = tuple(BRANCHES)
    pooling: str = "max_avg"
    ktm: bool = True
    fam: bool = True
    cfm: bool = True
    balance: bool = True
    parser: bool = False
    parser_image: bool = False
    parser_masks: bool = False
    parser_size: str = "small"
    balance_floor: float = 0.5
    projection: int = 0
    fusion_width: int = 512
    fusion_heads: int = 8
    ktm_stage: int = 0
    ktm_residual: bool = True
    ktm_zoom: float = 0.0
    fam_stage: int = 0
    fam_spatial: str = "conv7"
    fam_residual: bool = True
    clothes_rank: int = 0
    dtype: Any = jnp.float32

    def needs_keys(self) -> bool:
        """Whether training needs `keys`: a backbone that is on drops paths."""
        owned = owned_backbones(self.branches, self.backbones)
        return any(drops_path(self.backbones[name]) for name in owned)

    def projects(self) -> bool:
        """Whether the combined embedding is a projection."""
        return self.projection > 0 and len(self.branches) > 1

    @nn.compact
    def __call__(
        self,
        views: Mapping[str, jax.Array],
        *,
        train: bool,
        keys: jax.Array | None = None,
    ) -> Outputs:
        """Runs the branches that are on.

        Args:
          views: float32 [B, H, W, C] by name, of `views.VIEWS`; those of the branches
            that are on.
          train: whether batch norm uses the batch's statistics (and updates the
            running ones, in the collection "batch_stats").
          keys: [B], a random key for each image, for drop path while training.

        Raises:
          ValueError: if a branch is unknown or its view is missing, or another
            field has an unknown value.
        """
        branches = self._checked_branches(views)
        backbones = {}
        maps, features, embeddings, logits, extra = {}, {}, {}, {}, {}
        for name in branches:
            branch, module = BRANCHES[name], backbone_module(name, self.backbones)
            config = self.backbones[owner(name, self.backbones)]
            if module not in backbones:
                backbones[module] = make_backbone(config, dtype=self.dtype, name=module)
            view, given = views[branch.view], {}
            if train and drops_path(config):
                given["keys"] = branch_keys(keys, name)
            groups = config.get("norm_images", 0)
            if branch.parses and self.parser and self.parser_image:
                view = self._parsed(view, extra, groups, train=train)
            gate, zoom = None, None
            if branch.module == "ktm" and self.ktm and self.ktm_zoom:
                view, zoom = self._enlarged(view, extra, groups, train=train)
            elif branch.module == "ktm" and self.ktm:
                gate = self._gate(extra)
                if self.ktm_stage:
                    given["after"] = {self.ktm_stage: gate}
            attend = None
            if branch.module == "fam" and self.fam:
                attend = self._attention(extra, groups, train=train)
                if self.fam_stage:
                    given["after"] = {self.fam_stage: attend}
            view = renormalised(view, config["name"])
            found = backbones[module](view, train=train, **given)
            x, token = found.map, found.token
            if gate and not self.ktm_stage:
                x = gate(x)
            if attend and not self.fam_stage:
                x = attend(x)
            if branch.parses and self.parser and not self.parser_image:
                parser = ParsingHead(
                    norm_images=groups, dtype=self.dtype, name="parsing_head"
                )
                parsed = parser(found, train=train)
                extra["parsing_logits"] = zoom.restore(parsed) if zoom else parsed
            if branch.module == "cfm" and self.cfm and branch.partner in maps:
                cfm = CrossFusion(
                    self.fusion_width,
                    self.fusion_heads,
                    groups,
                    dtype=self.dtype,
                    name="cross_fusion",
                )
                x = cfm(x, maps[branch.partner], train=train)

            maps[name] = x
            pooling = self.backbones[name].get("pooling") or self.pooling
            head = IdentityHead(self.num_classes, pooling, name=f"{name}_head")
            refine = None
            if branch.adversarial and self.clothes_rank:
                refine = self._without_clothes(extra)
            features[name], embeddings[name], logits[name] = head(
                Features(x, token), train=train, refine=refine
            )
            if branch.adversarial and self.num_clothes:
                classifier = ClothesClassifier(
                    self.num_clothes, name="clothes_classifier"
                )
                extra["clothes"], extra["adversarial"] = classifier(embeddings[name])

        in_order = list(embeddings.values())
        if self.projects():
            combined = Projection(self.projection, name="linear_projection")(in_order)
            extra["projection"] = combined
        else:
            if self.balance and len(branches) > 1:
                extra["balance"] = Balance(self.balance_floor, name="balance_weights")(
                    in_order
                )
            combined = combine(in_order, extra.get("balance"))
        return Outputs(features, embeddings, logits, combined, **extra)

    def _gate(self, extra: dict) -> Callable[[jax.Array], jax.Array]:
        """KTM as a function of a map, which leaves its outputs in `extra`."""
        # Made here: within a backbone, it would be a part of that.
        module = KnowledgeTransfer(
            residual=self.ktm_residual, dtype=self.dtype, name="knowledge_transfer"
        )

        def gate(x: jax.Array) -> jax.Array:
            x, extra["gate_logits"] = module(x)
            extra["gate"] = nn.sigmoid(extra["gate_logits"])
            return x

        return gate

    def _parsed(
        self, view: jax.Array, extra: dict, groups: int, *, train: bool
    ) -> jax.Array:
        """What `ImageParser` leaves of a view; it leaves its outputs in `extra`."""
        parser = ImageParser(
            self.parser_size, groups, dtype=self.dtype, name="image_parser"
        )
        logits, extra["part_edges"] = parser(view, train=train)
        extra["parsing_logits"] = logits
        person = 1 - nn.softmax(logits)[..., BACKGROUND, None]
        return masked(view, person) if self.parser_masks else view

    def _enlarged(
        self, view: jax.Array, extra: dict, groups: int, *, train: bool
    ) -> tuple[jax.Array, Zoom]:
        """A view as KTM enlarges it, and how; leaves its outputs in `extra`."""
        locator = Locator(groups, dtype=self.dtype, name="knowledge_zoom")
        extra["gate_logits"] = locator(view, train=train)
        extra["gate"] = nn.sigmoid(extra["gate_logits"])
        extra["zoom"] = zoom = zoom_on(extra["gate"], self.ktm_zoom)
        if not self.ktm_residual:
            view = masked(view, extra["gate"])
        return zoom.enlarge(view), zoom

    def _attention(
        self, extra: dict, groups: int, *, train: bool
    ) -> Callable[[jax.Array], jax.Array]:
        """FAM as a function of a map, which leaves its attention in `extra`."""
        module = FeatureAttention(
            spatial=self.fam_spatial,
            residual=self.fam_residual,
            norm_images=groups,
            dtype=self.dtype,
            name="feature_attention",
        )

        def attend(x: jax.Array) -> jax.Array:
            x, extra["attention"] = module(x, train=train)
            return x

        return attend

    def _without_clothes(self, extra: dict) -> Callable[[jax.Array], jax.Array]:
        """`ClothesSubspace` as a function of a neck; it leaves its outputs too."""
        module = ClothesSubspace(self.clothes_rank, name="clothes_subspace")

        def project(neck: jax.Array) -> jax.Array:
            extra["unprojected"] = neck
            neck, extra["clothes_directions"] = module(neck)
            return neck

        return project

    def _checked_branches(self, views: Mapping[str, jax.Array]) -> tuple[str, ...]:
        """The branches that are on, in the order of `BRANCHES`."""
        branches = ordered(self.branches)
        for name in branches:
            view = BRANCHES[name].view
            if view not in views:
                raise ValueError(
                    f"the branch {name!r} needs the view {view!r}; the views given "
                    f"are {sorted(views)}"
                )
            for branch in (name, owner(name, self.backbones)):
                if branch not in self.backbones:
                    raise ValueError(
                        f"the branch {branch!r} has no backbone: add "
                        f"config.model.backbones.{branch}"
                    )
        return branches
