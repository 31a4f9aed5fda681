"""The numbers behind the metrics: lanes add to them once a step, a scrape makes Prometheus' families of them."""

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from app.engine.metrics import Labels, Metric, Stage

Reading = tuple[Metric, Labels, float]
"""A gauge as it is now."""


class Histogram:
    """How often a value was how large."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, `times` times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    @property
    def sum(self) -> float:
        """Of all values."""
        return self._sum

    def cumulated(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many values were not above it), as Prometheus wants them."""
        total = 0
        told: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            told.append((bound, total))
        return told


class Metrics(Collector):
    """The numbers of one engine.

    They are plain: a lane adds to them on the event loop, a few times a step and never per event, and a scrape makes
    Prometheus' families of them. The library's own counters take a lock and a label look-up each time.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """What programs counted, under their names."""
        self._counters: defaultdict[Metric, float] = defaultdict(float)
        self._histograms: dict[tuple[Metric, Labels], Histogram] = {}

    def add(self, metric: Metric, by: float = 1) -> None:
        """Add to a counter without labels."""
        self._counters[metric] += by

    def counted(self, counts: Mapping[str, int]) -> None:
        """Add what a step of a program counted; a name that no metric is fed from is kept, and not shown."""
        self.counts.update(counts)

    def histogram(self, metric: Metric, labels: Labels = ()) -> Histogram:
        """Return the histogram under these label values, the same one each time."""
        found = self._histograms.get((metric, labels))
        if found is None:
            found = self._histograms[metric, labels] = Histogram(metric.value.buckets)
        return found

    def collect(self) -> Iterator[Family]:
        """Yield every counter and histogram, also those that are still 0."""
        for metric in Metric:
            spec = metric.value
            if spec.kind == "counter":
                family = CounterMetricFamily(spec.name, spec.help, labels=spec.labels)
                for labels, value in self._counter(metric):
                    family.add_metric(labels, value)
                yield family
            elif spec.kind == "histogram":
                shown = HistogramMetricFamily(spec.name, spec.help, labels=spec.labels)
                if not spec.labels:
                    self.histogram(metric)
                for (of, labels), histogram in sorted(self._histograms.items(), key=lambda item: item[0][1]):
                    if of is metric:
                        shown.add_metric(labels, histogram.cumulated(), histogram.sum)
                yield shown

    def _counter(self, metric: Metric) -> Iterator[tuple[Labels, float]]:
        spec = metric.value
        if not spec.labels:
            yield (), self.counts[spec.count] if spec.count else self._counters[metric]
            return
        start = f"{spec.count}."
        for name, value in sorted(self.counts.items()):
            if name.startswith(start):
                yield tuple(name.removeprefix(start).rsplit(".", len(spec.labels) - 1)), value


def gauge_families(readings: Iterable[Reading]) -> Iterator[Family]:
    """Yield every gauge, with the readings that there are."""
    known = list(readings)
    for metric in Metric:
        spec = metric.value
        if spec.kind == "gauge":
            family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
            for of, labels, value in known:
                if of is metric:
                    family.add_metric(labels, value)
            yield family


class Meter:
    """What one lane tells of its work; it also shows whether the lane moves at all."""

    def __init__(self, metrics: Metrics | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Tell `metrics`, or nobody. `clock` is in seconds."""
        self.metrics = metrics if metrics is not None else Metrics()
        self.recovered_rows = 0
        self.beat_at = clock()
        """When the lane last came around, by `clock`."""
        self._clock = clock
        self._step_records = self.metrics.histogram(Metric.STEP_RECORDS)
        self._latency = self.metrics.histogram(Metric.LATENCY)
        self._due_lag = self.metrics.histogram(Metric.DUE_LAG)
        self._recovery = self.metrics.histogram(Metric.RECOVERY_SECONDS)

    def beat(self) -> None:
        """Note that the lane came around: it finished a step, rested, or read on in its changelog."""
        self.beat_at = self._clock()

    def timed(self, stage: Stage) -> "Timed":
        """Return a context that adds its duration to the stage's."""
        return Timed(self.metrics.histogram(Metric.STEP_SECONDS, (stage,)))

    def stepped(self, fresh: int, read: int) -> None:
        """Note a step over `fresh` new records of `read`; the others were applied before."""
        if fresh:
            self._step_records.observe(fresh)
        if read > fresh:
            self.metrics.add(Metric.REPEATS, read - fresh)

    def arrived(self, first_ms: int, last_ms: int, records: int, now_ms: int) -> None:
        """Note that what follows from a chunk is acknowledged; all times UTC ms."""
        self._latency.observe(max(0, now_ms - first_ms) / 1_000, (records + 1) // 2)
        if records > 1:
            self._latency.observe(max(0, now_ms - last_ms) / 1_000, records // 2)

    def fired(self, due: Iterable[int], now_ms: int) -> None:
        """Note that what had become due at these times (UTC ms) is done and acknowledged."""
        for at in due:
            self._due_lag.observe(max(0, now_ms - at) / 1_000)

    def recovering(self, rows: int) -> None:
        """Note changelog records that were read."""
        self.recovered_rows += rows
        self.metrics.add(Metric.RECOVERED_ROWS, rows)
        self.beat()

    def recovered(self, seconds: float, resent: int) -> None:
        """Note the end of a take-over, after which so many records of the outbox were sent again."""
        self._recovery.observe(seconds)
        self.metrics.add(Metric.RESENT, resent)
        self.beat()


class Timed:
    """Measures the wall time of a block."""

    __slots__ = ("_histogram", "_started")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._histogram.observe(time.perf_counter() - self._started)
