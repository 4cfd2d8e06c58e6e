"""One block of a box: a table of series and their cells; the unit of export, with its own sender id and sequence.

A header (``header.py``), a table (``table.py``) that grows upwards, and slots that grow downwards from the end of the
block. A slot is three doubles: what the cell stands at, and two generations. Generation ``sequence % 2`` holds what the
export with that sequence brought the cell to, the other one what the one before did; their difference is what the
export carries. So one store of eight bytes prepares an export and one acknowledges it, and a repeat is the same export,
whoever repeats it. Cells that are never exported are one double.

A process that dies is read after its death: every store it made is there, in the order of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from telemetry.box import table
from telemetry.box.exemplars import Exemplars
from telemetry.box.header import LENGTH, WORD, DamagedError, Header, Role, Wrote
from telemetry.box.identity import Entry, Identity, Kind, ReadEntry
from telemetry.steps import complete


class Moved(NamedTuple):
    """A series and a number for each of its cells: by how much an export moves it, or what it stands at."""

    entry: Entry
    amounts: list[float]


class Segment:
    """A block over a buffer: one that its own process has mapped, or a copy of what a dead process left.

    Args:
        buffer: Writable bytes, a multiple of eight.
        wrote: Told which bytes changed, where that does not reach the file by itself.

    Attributes:
        header: Whose exports these are and how far they are.
        entries: The series, in the order of their cells.
        page: What series without cells stand at, and since when in Unix seconds, if the block is a page.
        exemplars: The exemplars of the box, in the block that has them.
        process: What was read of its process.
        table: Bytes of the table that were read.
    """

    def __init__(self, buffer: Any, wrote: Wrote = lambda start, end: None) -> None:
        self._bytes = memoryview(buffer)
        self.header = Header(self._bytes, wrote)
        self._wrote = wrote
        self._views: list[memoryview[float]] = []
        self._metrics: dict[Identity, int] = {}
        self._keys: dict[tuple[str, ...], int] = {}
        self._named = 0
        self._used = 0
        self._end = 0
        self.entries: list[Entry] = []
        self.page: list[tuple[Entry, float, float]] = []
        self.exemplars: Exemplars | None = None
        self.process: Mapping[str, Any] | None = None
        self.table = 0

    def __len__(self) -> int:
        """Bytes of the block."""
        return len(self._bytes)

    # --- making and reading -------------------------------------------------------------------------------------------

    def make(self, role: Role, process: Mapping[str, Any] | None = None, *, has_exemplars: bool = False) -> None:
        """Make a new block; it is valid only after the last store.

        Args:
            role: What its cells are for.
            process: What is to be known of the process after its death, in the first block of a file.
            has_exemplars: Whether it is for the exemplars of the box.

        Raises:
            ValueError: If there is no room for ``process``.
        """
        self.header.make(role, has_exemplars=has_exemplars)
        self._divide()
        if process is not None:
            end = self._write([[table.PROCESS, process]])
            if end is None:
                raise ValueError("what the process says of itself is too long")
            self._end = end
        self.header.validate()

    def read(self, known: Segment | None = None) -> None:
        """Read a block that somebody else wrote.

        Args:
            known: What was read of the same block before, while its process counts on.

        Raises:
            DamagedError: If it says something that was never written.
            OtherVersionError: If another version of this code wrote it.
        """
        self.header.check()
        self._divide()
        if known is not None and self._is_as(known):
            self.entries, self.process, self.table = known.entries, known.process, known.table
            self._used, self._end = sum(entry.identity.cells for entry in self.entries), self.table
            return
        try:
            self._read_table()
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise DamagedError(f"its table cannot be read: {error!r}") from error
        self._named = len(self.entries)  # nobody waits for the zeros of a dead process

    def _is_as(self, known: Segment) -> bool:
        """Whether nothing was added to the table since it was read."""
        same = self.header.sender == known.header.sender and self.header.table == known.table
        return same and self.header.role is not Role.PAGE

    def _divide(self) -> None:
        """Lay a view over each of the numbers of a slot; the first slot is the last one of the block."""
        doubles: memoryview[float] = self._bytes[LENGTH:].cast("d")
        each = self._numbers
        last = len(doubles) // each * each - 1
        self._views = [doubles[last - place :: -each] for place in range(each)]
        self._given_out: memoryview[float] = self._views[0][:]
        self._views.append(doubles)
        if self.header.has_exemplars:
            self.exemplars = Exemplars(self._bytes[LENGTH:])

    @property
    def _numbers(self) -> int:
        return 3 if self.header.role is Role.TOTALS else 1

    def _read_table(self) -> None:
        metrics: list[Identity] = []
        keys: list[tuple[str, ...]] = []
        self.table = self._end = self.header.table
        for first, *rest in table.decoded(bytes(self._bytes[LENGTH : LENGTH + self.table])):
            match first:
                case table.PROCESS:
                    self.process = rest[0]
                case table.STANDS:
                    metric, names, values, value, at = rest
                    entry = ReadEntry(metrics[metric], keys[names], table.values_of(values))
                    self.page.append((entry, float(value), float(at)))
                case table.METRIC:
                    metrics.append(table.metric_of(*rest))
                case table.KEYS:
                    keys.append(tuple(map(str, rest[0])))
                case _:
                    self._take(ReadEntry(metrics[first], keys[rest[0]], table.values_of(rest[2]), rest[1]))
        self._metrics = {metric: number for number, metric in enumerate(metrics)}
        self._keys = {names: number for number, names in enumerate(keys)}

    def _take(self, entry: ReadEntry) -> None:
        if entry.slot != self._used or len(entry.keys) != len(entry.values):
            raise ValueError("a series out of place")
        self._used += entry.identity.cells
        if self._used > len(self._views[0]):
            raise ValueError("a series outside of the block")
        self.entries.append(entry)

    def check_values(self) -> None:
        """Whether cells stand at what they can have stood at; the process must be dead.

        Raises:
            DamagedError: If they do not.
        """
        now, new, old = map(self._values, self._in_order())
        for a, b, c in zip(now, new, old, strict=True):
            if not (isfinite(a) and 0 <= b <= a) or not (self.header.is_acknowledged or 0 <= c <= b):
                raise DamagedError("cells stand at what they never stood at")

    # --- series -------------------------------------------------------------------------------------------------------

    @property
    def cells(self) -> memoryview[float]:
        """What the cells stand at, by slot: for who counts, until ``revoke``."""
        return self._given_out

    def add(self, entry: Entry) -> bool:
        """Give a new series its cells; whether there is room for it. Callers take turns, and may ask twice in a row."""
        if self._has_just_added(entry):
            return True
        metric, keys = entry.identity, entry.keys
        lines: list[list[Any]] = []
        if metric not in self._metrics:
            lines.append(table.line_of(metric))
        if keys not in self._keys:
            lines.append([table.KEYS, keys])
        numbers = self._metrics.get(metric, len(self._metrics)), self._keys.get(keys, len(self._keys))
        slot = self._used
        lines.append([*numbers, slot, entry.values])
        end = self._write(lines, metric.cells)
        if end is None:
            return False
        complete([lambda: self._added(entry, numbers, slot, end)])
        return True

    def _added(self, entry: Entry, numbers: tuple[int, int], slot: int, end: int) -> None:
        """The table has a series more; doing this a second time changes nothing."""
        self._end = end
        self._metrics.setdefault(entry.identity, numbers[0])
        self._keys.setdefault(entry.keys, numbers[1])
        entry.slot = slot
        self._used = slot + entry.identity.cells
        if not self._has_just_added(entry):
            self.entries.append(entry)

    def _has_just_added(self, entry: Entry) -> bool:
        return bool(self.entries) and self.entries[-1] is entry

    def _write(self, lines: Iterable[list[Any]], cells: int = 0) -> int | None:
        """Write lines behind the table, where it does not meet the cells; they count from the last store on.

        Returns:
            The new end of the table, to be kept: what is written before that replaces them. ``None`` for no room.
        """
        text = b"".join(map(table.encoded, lines))
        start = LENGTH + self._end
        end = start + len(text)
        if end > self._first_byte_of_cells(self._used + cells):
            return None
        self._bytes[start:end] = text
        self._wrote(start, end)
        self.header.table = end - LENGTH
        return end - LENGTH

    def _first_byte_of_cells(self, used: int) -> int:
        return len(self._bytes) - WORD * self._numbers * (used + 1)

    def standing(self) -> Iterator[Moved]:
        """Every series with what its cells stand at."""
        values = self._values(self._views[0])
        for entry in self.entries:
            yield Moved(entry, values[entry.slot : entry.slot + entry.identity.cells])

    def put(self, entry: Entry, values: Iterable[float]) -> None:
        """Let the cells of a series stand at ``values``."""
        for offset, value in enumerate(values):
            self._views[0][entry.slot + offset] = value
        self._wrote_cells()

    def _values(self, view: memoryview[float]) -> list[float]:
        values: list[Any] = view[: self._used].tolist()
        return values

    def _wrote_cells(self) -> None:
        self._wrote(self._first_byte_of_cells(self._used), len(self._bytes))

    def publish(self, standing: Iterable[tuple[Entry, float, float]]) -> bool:
        """Let a page say what series without cells stand at; whether there is room for it."""
        self._metrics, self._keys = {}, {}
        text = b"".join(map(table.encoded, self._page_lines(standing)))
        if len(text) > len(self._bytes) - LENGTH:
            return False
        self.header.table = 0  # who reads meanwhile finds a wrong checksum, or nothing
        self._bytes[LENGTH : LENGTH + len(text)] = text
        self.header.table = len(text)
        return True

    def _page_lines(self, standing: Iterable[tuple[Entry, float, float]]) -> Iterator[list[Any]]:
        for entry, value, at in standing:
            metric, keys = entry.identity, entry.keys
            if metric not in self._metrics:
                self._metrics[metric] = len(self._metrics)
                yield table.line_of(metric)
            if keys not in self._keys:
                self._keys[keys] = len(self._keys)
                yield [table.KEYS, keys]
            yield [table.STANDS, self._metrics[metric], self._keys[keys], entry.values, value, at]

    # --- exports ------------------------------------------------------------------------------------------------------

    def _in_order(self) -> tuple[memoryview[float], memoryview[float], memoryview[float]]:
        """What cells stand at, the generation of the last export, the one before it."""
        newer = 1 + self.header.sequence % 2
        return self._views[0], self._views[newer], self._views[3 - newer]

    def prepare(self, route: bytes, *, announce: bool = False) -> bool:
        """Fix what the next export carries. One that is not acknowledged stays as it is.

        Args:
            route: By which name it goes to a collector.
            announce: Name every counter, also those that did not move.

        Returns:
            Whether there is anything to send.
        """
        if not self.header.is_acknowledged:
            return True
        current, sent, spare = self._in_order()
        used, covers = self._used, len(self.entries)
        if not (self._differs(current, sent) or self._named < covers or (announce and covers)):
            return False
        spare[:used] = current[:used]
        self._wrote_cells()
        self.header.prepare(route, covers, 0 if announce else self._named)
        return True

    def _differs(self, one: memoryview[float], other: memoryview[float]) -> bool:
        return one[: self._used].tobytes() != other[: self._used].tobytes()

    def carried(self) -> list[Entry]:
        """The series of the prepared export: what moved, and counters that no export has named before."""
        _, new, old = map(self._values, self._in_order())
        unnamed = self.header.unnamed
        carried: list[Entry] = []
        for index, entry in enumerate(self.entries[: self.header.covers]):
            slot, metric = entry.slot, entry.identity
            if metric.kind is Kind.SUM:
                if index >= unnamed or new[slot] != old[slot]:
                    carried.append(entry)
            elif new[slot : slot + metric.cells] != old[slot : slot + metric.cells]:
                carried.append(entry)
        return carried

    def moved(self, entries: Iterable[Entry]) -> Iterator[Moved]:
        """Series with what the prepared export moves each of their cells by."""
        _, new, old = map(self._values, self._in_order())
        for entry in entries:
            slot, cells = entry.slot, entry.identity.cells
            if cells == 1:
                yield Moved(entry, [new[slot] - old[slot]])
            else:
                end = slot + cells
                yield Moved(entry, [b - a for a, b in zip(old[slot:end], new[slot:end], strict=True)])

    def withhold(self, entries: Iterable[Entry]) -> None:
        """Take series out of the prepared export, which the collector is known not to have; the next one has them."""
        _, new, old = self._in_order()
        for entry in entries:
            end = entry.slot + entry.identity.cells
            new[entry.slot : end] = old[entry.slot : end]
        self._wrote_cells()
        self.header.name_nothing()

    def acknowledge(self) -> None:
        """The collector has the export that was prepared."""
        self.header.acknowledge()
        self._named = max(self._named, self.header.covers)

    def undelivered(self) -> Iterator[Moved]:
        """What was counted and is not acknowledged."""
        current, last, before = map(self._values, self._in_order())
        sent = last if self.header.is_acknowledged else before
        for entry in self.entries:
            cells = range(entry.slot, entry.slot + entry.identity.cells)
            amounts = [current[cell] - sent[cell] for cell in cells]
            if any(amounts):
                yield Moved(entry, amounts)

    def is_delivered(self) -> bool:
        """Whether the collector has everything that was counted here."""
        current, sent, _ = self._in_order()
        return self.header.is_acknowledged and not self._differs(current, sent)

    # --- the end ------------------------------------------------------------------------------------------------------

    def revoke(self) -> None:
        """Let nobody count here any more: whoever tries gets a ``ValueError``, and nothing else happens."""
        self._given_out.release()

    def forget(self) -> None:
        """Let go of the buffer."""
        self._given_out.release()
        if self.exemplars is not None:
            self.exemplars.release()
        for view in self._views:
            view.release()
        self.header.release()
        self._bytes.release()
