"""The search over plans: which resections clear the lesions, and what each leaves."""

from flr_volumetry.planning.search import search_plans
from flr_volumetry.planning.values import PlanOption, Price, SearchResult, SearchSettings

__all__ = ["PlanOption", "Price", "SearchResult", "SearchSettings", "search_plans"]
