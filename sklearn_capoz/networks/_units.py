"""From the labels of a run to groups of units, and where each group is made, seen and used.

Units that are tied to each other, through a sum or a shared layer, can only go together.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ._groups import Member, UnitGroup
from ._label_rules import SAMPLE
from ._labels import OUTPUTS, LabelTracer
from ._places import Place
from ._sites import Site, find_site_calls, site_of
from ._work import Work

__all__ = ["Units"]


class Units:
    """The labels of a run, joined to units and these to groups."""

    def __init__(self, tracer: LabelTracer):
        self.tracer = tracer
        ties = np.hstack([np.empty((2, 0), np.int64), *tracer.ties])
        self.unit_of = self._components(ties)
        together = [np.stack([labels[:-1], labels[1:]]) for labels in tracer.made.values()]
        self.group_of = self._components(np.hstack([ties, *together]))

    def _components(self, pairs: np.ndarray) -> np.ndarray:
        n = self.tracer.n_labels
        graph = coo_array((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(n, n))
        return connected_components(graph, directed=False)[1]

    def groups(self) -> tuple[tuple[UnitGroup, ...], dict[str, tuple[Place, ...]], dict[str, str]]:
        """Make groups of the units that can be cut, in the order in which they are made.

        Returns groups, the places of each, and why all units of a module stay, for each of these.
        """
        groups: list[UnitGroup] = []
        places: dict[str, tuple[Place, ...]] = {}
        kept: dict[str, str] = {}
        makers: dict[int, list[str]] = {}
        for name, labels in self.tracer.made.items():
            makers.setdefault(int(self.group_of[labels[0]]), []).append(name)
        for group, names in makers.items():
            own: tuple[Place, ...] = ()
            reasons = self._pinned(names)
            if not reasons:
                own, why_not = self._places(group)
                reasons = dict.fromkeys(names, why_not) if why_not else {}
            if reasons:
                kept |= reasons
                continue
            members = tuple(
                Member(place.module, place.axis, place.positions.shape[1]) for place in own
            )
            n_units = len(own[0].positions)
            groups.append(UnitGroup(names[0], n_units, self._activation(group), members))
            places[names[0]] = own
        return tuple(groups), places, kept

    def _pinned(self, names: list[str]) -> dict[str, str]:
        """Return why the units stay that some modules make as one group, or nothing.

        Of several reasons a module's own comes first; nobody looks for one where units are outputs.
        """
        made, group = self.tracer.made, self.group_of[self.tracer.made[names[0]][0]]
        pins = sorted(self.tracer.pins, key=lambda pin: pin[1] != OUTPUTS)
        pins = [(labels, why) for labels, why in pins if (self.group_of[labels] == group).any()]
        reasons = {}
        for name in names if pins else ():
            units = self.unit_of[made[name]]
            own = [why for labels, why in pins if np.isin(self.unit_of[labels], units).any()]
            reasons[name] = (own or [why for _, why in pins])[0]
        return reasons

    def _places(self, group: int) -> tuple[tuple[Place, ...], str]:
        """Return where a group's units are; or nowhere, and why none of them can go."""
        labels = np.flatnonzero(self.group_of == group)
        units, first = np.unique(self.unit_of[labels], return_index=True)
        if len(units) == 1 < len(labels):
            return (), "all of them are joined to one"
        rank = np.full(self.tracer.n_labels, -1)
        rank[units[np.argsort(first)]] = np.arange(len(units))
        found = {}
        for reading in self.tracer.readings:
            inside = self.group_of[reading.labels] == group
            if inside.any() and (reading.module, reading.axis) not in found:
                entries = np.flatnonzero(inside)
                unit = rank[self.unit_of[reading.labels[entries]]]
                if np.ptp(np.bincount(unit, minlength=len(units))):
                    return (), f"{reading.module!r} takes some of them more often than others"
                positions = entries[np.argsort(unit, kind="stable")].reshape(len(units), -1)
                found[reading.module, reading.axis] = Place(reading.module, reading.axis, positions)
        if all(axis == "out" for _, axis in found):
            return (), "no layer uses them"
        return tuple(found.values()), ""

    def sites(
        self, groups: tuple[UnitGroup, ...]
    ) -> tuple[dict[str, tuple[Site, ...]], dict[str, tuple[Site, ...]]]:
        """Find where the values of each group's units are seen.

        Returns the sites and, of groups with several, what each of their users is given.
        """
        operations, of_label = self.tracer.operations, self._group_and_unit(groups)
        in_group = [np.unique(of_label[self._labels_of(i), 0]) for i in range(len(operations))]
        is_activation = [False] * len(operations)
        for _, position in self.tracer.activated:
            is_activation[position] = True
        made: dict[int, Site | None] = {}
        found: dict[str, tuple[Site, ...]] = {}
        uses: dict[str, tuple[Site, ...]] = {}
        for number, group in enumerate(groups):
            users = {member.module for member in group.members if member.axis == "in"}
            start = [i for i, op in enumerate(operations) if op.module in users and op.has_weights]
            carries = [number in numbers for numbers in in_group]
            positions = find_site_calls(start, operations, carries, is_activation)
            # Where none of these has the same of each unit, the outputs of the first maker have.
            maker = next(i for i, op in enumerate(operations) if op.module == group.name)
            for position in (*positions, maker):
                if position not in made:
                    made[position] = self._site(position, of_label)
            own_sites = [site for i in positions if (site := made[i]) is not None]
            found[group.name] = tuple(own_sites) or (made[maker],)  # type: ignore[assignment]
            if len(own_sites) > 1:
                taken = [(operations[i].call, self.tracer.taken[i]) for i in start]
                sites = [self._site_of(call, labels, of_label) for call, labels in taken]
                uses[group.name] = tuple(site for site in sites if site and number in site.group)
        return found, uses

    def _site(self, position: int, of_label: np.ndarray) -> Site | None:
        labels, value, version = self.tracer.given[position]
        call = self.tracer.operations[position].call
        return self._site_of(call, labels, of_label, value._version != version)

    def _site_of(
        self, call: int, labels: torch.Tensor, of_label: np.ndarray, is_overwritten: bool = False
    ) -> Site | None:
        first = labels[: max(len(labels) // 2, 1)] % SAMPLE
        return site_of(call, first, of_label, is_overwritten)

    def work(self, groups: tuple[UnitGroup, ...]) -> tuple[Work, ...]:
        """List what has weights, and how often each weight is used."""
        of_label, runs = self._group_and_unit(groups), []
        for name, labels in self.tracer.work:
            numbers = of_label[labels, 0]
            per_unit = tuple(
                (group.name, int((numbers == number).sum()) // group.n_units)
                for number, group in enumerate(groups)
                if (numbers == number).any()
            )
            runs.append(Work(name, int((numbers < 0).sum()), per_unit))
        return tuple(runs)

    def _group_and_unit(self, groups: tuple[UnitGroup, ...]) -> np.ndarray:
        """Give each label the numbers of its group and of its unit there; -1 where it has none."""
        found = np.full((self.tracer.n_labels, 2), -1)
        for number, group in enumerate(groups):
            labels = self.group_of == self.group_of[self.tracer.made[group.name][0]]
            units, first = np.unique(self.unit_of[labels], return_index=True)
            rank = np.empty(len(units), dtype=int)
            rank[np.argsort(first)] = np.arange(len(units))
            found[labels, 0] = number
            found[labels, 1] = rank[np.searchsorted(units, self.unit_of[labels])]
        return found

    def _labels_of(self, position: int) -> np.ndarray:
        return np.unique(self.tracer.given[position][0].cpu().numpy() % SAMPLE)

    def _activation(self, group: int) -> str:
        for labels, position in self.tracer.activated:
            if (self.group_of[labels[labels > 0]] == group).any():
                return self.tracer.operations[position].kind
        return "identity"
