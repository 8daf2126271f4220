"""Image retrieval: exact metrics, ranked lists, nearest items, re-ranking, chance."""

from mbnet_jax.retrieval.chance import chance_level
from mbnet_jax.retrieval.histograms import Histograms, similarity_histograms
from mbnet_jax.retrieval.k_reciprocal import rerank
from mbnet_jax.retrieval.labels import RULES, Labels, Rule
from mbnet_jax.retrieval.metrics import RetrievalMetrics, retrieval_metrics
from mbnet_jax.retrieval.ranking import RankedLists, ranked_lists, top_k
from mbnet_jax.retrieval.reranking import Reranking
from mbnet_jax.retrieval.verification import Verification, verification

__all__ = [
    "RULES",
    "Histograms",
    "Labels",
    "RankedLists",
    "Reranking",
    "RetrievalMetrics",
    "Rule",
    "Verification",
    "chance_level",
    "ranked_lists",
    "rerank",
    "retrieval_metrics",
    "similarity_histograms",
    "top_k",
    "verification",
]
