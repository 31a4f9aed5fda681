"""Leadstream's engine beside stock Faust, Quix Streams and Kafka Streams, each doing the same job on Apache Kafka.

**The job.** Records of one topic of four partitions are messages of the Segment spec as JSON; a record's key is its
lead. Of each: its kind (`event` of a `track`, else `type`) and its `timestamp` (RFC 3339). A lead has a score that
fades by one half-life of seven days, and a count per kind. At an event of time *t* and kind *k*, worth
`POINTS.get(k, 0)` (`tests.bench.peers.job`):

- if *t* is not before the lead's time: the score fades from that time to *t*, which becomes the lead's time;
- otherwise the points fade from *t* to the lead's time, which stays;
- the points are added to the score, one to the count of *k*; if the score was below `THRESHOLD` before they were added
  and is not below it after, a record goes out: `{lead, at, score, counts}`, `at` being the lead's time.

Leads are kept in a RocksDB store with a changelog, at least once: after a crash no event is lost.
`tests.bench.peers.oracle` computes all of that in another way; every contender must have sent exactly the crossings
that it finds, and its changelog must end in the same state of every lead.
"""
