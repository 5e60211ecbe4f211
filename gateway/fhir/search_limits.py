"""How much one search may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """
    count_default  matches on a page where the client does not say
    count_max      matches on a page at most; a higher _count is lowered to this
    chain_depth    hops to other resources within one parameter (chains and _has together)
    pairs_max      parameters in one search
    values_max     values of one parameter between commas
    clauses_max    clauses that one parameter may grow to: a chain without a type has one for each it may mean
    """

    count_default: int = 20
    count_max: int = 1000
    chain_depth: int = 4
    pairs_max: int = 100
    values_max: int = 500
    clauses_max: int = 200
