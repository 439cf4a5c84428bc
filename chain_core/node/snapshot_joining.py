"""Getting a snapshot from several peers at once (docs/spec/snapshot.md section 3).

Every answer belongs to one open question; what does not verify ends the dealings with its sender, by name. What
verifies is stored at once, so that a killed node goes on where it was.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.snapshot import PAGE_BUCKETS, Manifest, check_manifest, decode_manifest
from chain_core.codec.validator_set import hash_of_encoded_set
from chain_core.crypto.providers import provider
from chain_core.execution.epochs import set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.ledger.snapshot_import import Range, SnapshotImport
from chain_core.ledger.snapshot_view import PART_BYTES
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import SnapshotKind, SnapshotPart, SnapshotRequest
from chain_core.node.ports import Transport
from chain_core.node.snapshot_headers import Verify, check_headers
from chain_core.types.errors import InvalidProof, MalformedBytes

PATIENCE_MS = 3_000
OFFERS_MS = 2_000
REST_MS = 10_000
"""How long a silent peer is left alone, and how long nobody is asked for a snapshot when none was to be had."""
LEAST_BYTES_PER_MS = 32
"""Who gives less than was asked for, and that more slowly, counts as silent: a part holds 128 KiB, patience is 3 s."""
HEADERS_AT_ONCE = 500
BUCKETS_AT_ONCE = 1_024
PEER_LIES = "SNAPSHOT_PEER_LIES"
Alarm = Callable[[str, dict[str, str | int]], None]


@dataclass(frozen=True, slots=True)
class _Open:
    """A question to a peer; ``work`` goes back when it is not answered."""

    request: SnapshotRequest
    asked_at_ms: int
    work: Range | None = None


class SnapshotJoiner:
    """``begin`` it; it is ``active`` until ``on_ready`` is called or nobody has a snapshot."""

    def __init__(self, store: LedgerStore, transport: Transport, alarm: Alarm) -> None:
        self._store, self._transport, self._alarm = store, transport, alarm
        self.on_ready: Callable[[int], None] = lambda height: None
        self.verify: Verify = lambda items: provider().sm2_verify_many(items)
        self.active = self.ready = False
        self.liars: set[int] = set()
        self.peers: tuple[int, ...] = ()
        self.f = 0
        """How many of the validators may be Byzantine."""
        self._import: SnapshotImport | None = None
        self._offers: dict[int, Manifest | None] = {}
        self._offers_until_ms = 0
        self._rest_until_ms = 0
        self._silent_until_ms: dict[int, int] = {}
        self._spent_ms: Counter[int] = Counter()
        """How long each peer was waited for: the next question goes to the one that has cost the least."""
        self._sources: set[int] = set()
        self._open: dict[int, _Open] = {}
        self._todo: deque[Range] = deque()
        self._pages: deque[tuple[int, int]] = deque()
        self._checked = False
        self._lacking: int | None = None
        """Buckets that are not here; None until all pages are, which say so."""

    @property
    def progress(self) -> str:
        """In words, for the status; empty when there is nothing to say."""
        if self._import is None or not (self.active or self.ready):
            return ""
        manifest = self._import.manifest
        if manifest is None or self._offers_until_ms:
            return f"joining by snapshot: asking {len(self._honest())} peers what they have"
        what = f"joining by snapshot of height {manifest.height}"
        if self.ready:
            return f"{what}: all of it is here, the ledger is built from it"
        if not self._checked:
            done = f"headers {self._import.headers.count - 1} of {manifest.height}"
        elif self._lacking is None:
            done = "pages {} of {}".format(*self._import.pages)
        else:
            buckets = sum(manifest.bucket_counts)
            done = f"buckets {buckets - self._lacking} of {buckets}"
        return f"{what}: {done}, from {len(self._sources)} peers"

    def begin(self, now_ms: int) -> None:
        """Ask all peers what they have; nothing when this goes on already or just failed."""
        if self.active or self.ready or 0 < self._rest_until_ms - now_ms <= REST_MS:
            return
        self.active = True
        if self._import is None:
            self._import = self._store.snapshot_import()
        if self._import.manifest is not None and self._import.manifest.height <= self._store.final_height:
            self._import.abandon()
            self._import = self._store.snapshot_import()
        self._ask_for_offers(now_ms)

    def tick(self, now_ms: int) -> None:
        """The re-sending period: questions without an answer go to others."""
        if not self.active:
            return
        for peer, question in list(self._open.items()):
            if not 0 <= now_ms - question.asked_at_ms < PATIENCE_MS:
                self._take_back(peer)
                self._spend(peer, PATIENCE_MS)
                self._silent_until_ms[peer] = now_ms + REST_MS
        if self._offers_until_ms:
            over = not 0 < self._offers_until_ms - now_ms <= OFFERS_MS  # a clock may be set back
            if over or len(self._offers) >= len(self._honest()):
                self._choose(now_ms)
            return
        self._ask(now_ms)

    def on_part(self, peer: int, part: SnapshotPart, now_ms: int) -> None:
        """An answer. Raises what the disk raises."""
        question = self._open.get(peer)
        if not self.active or question is None or peer in self.liars:
            return
        request = question.request
        if (part.height, part.kind, part.tree, part.start) != (
            request.height,
            request.kind,
            request.tree,
            request.start,
        ):
            return
        del self._open[peer]
        try:
            self._take(peer, question, part)
            self._judge(peer, question, part, now_ms)
        except (InvalidProof, MalformedBytes) as lie:
            self._give_back(question)
            self._lies(peer, f"{lie.what} ({lie.where})")
        if self._offers_until_ms:
            if len(self._offers) >= len(self._honest()):
                self._choose(now_ms)
            return
        self._ask(now_ms)

    # ---- offers

    def _honest(self) -> list[int]:
        return [peer for peer in self.peers if peer not in self.liars]

    def _ask_for_offers(self, now_ms: int) -> None:
        self._offers.clear()
        self._open.clear()
        self._sources.clear()
        self._todo.clear()
        self._pages.clear()
        self._checked, self._lacking = False, None
        self._offers_until_ms = now_ms + OFFERS_MS
        for peer in self._honest():
            self._send(peer, SnapshotRequest(0, SnapshotKind.MANIFEST), now_ms)

    def _choose(self, now_ms: int) -> None:
        incoming = self._incoming()
        least = self._store.final_height + 1
        good = {peer: made for peer, made in self._offers.items() if made and made.height >= least}
        awake = [made for peer, made in good.items() if self._awake(peer, now_ms)]
        if not awake:  # better a source that was silent than none
            self._silent_until_ms.clear()
        offered = awake or list(good.values())
        self._offers_until_ms = 0
        self._open.clear()
        if not offered:
            self.active = False
            self._rest_until_ms = now_ms + REST_MS
            return
        counts, vouched = Counter(offered), self._vouched()
        chosen = max(counts, key=lambda made: (made.height <= vouched, counts[made], made.height))
        incoming.aim_at(chosen)
        self._sources = {peer for peer, manifest in self._offers.items() if manifest == chosen}
        for peer in self._honest():
            if peer not in self._sources:  # perhaps it has that view, too, beside a later one
                self._send(peer, SnapshotRequest(chosen.height, SnapshotKind.MANIFEST), now_ms)
        self._ask(now_ms)

    def _vouched(self) -> int:
        """The (f+1)th highest offer: a correct peer's, or below one. What is above it may be made up."""
        heights = sorted((made.height for made in self._offers.values() if made), reverse=True)
        return heights[min(self.f, len(heights) - 1)]

    # ---- questions

    def _ask(self, now_ms: int) -> None:
        """Give every source that is free something to do."""
        incoming = self._incoming()
        if not self._open and not any(self._awake(peer, now_ms) for peer in self._sources):
            self._ask_for_offers(now_ms)
            return
        if not self._checked and not self._check_headers(incoming):
            return
        if self._checked and not self._open and self._refill(incoming) == 0:
            incoming.finish()
            self.active, self.ready = False, True
            self.on_ready(self._aim().height)
            return
        free = sorted(self._sources - self._open.keys(), key=lambda peer: (self._spent_ms[peer], peer))
        for peer in [peer for peer in free if self._awake(peer, now_ms)]:
            work = self._next_work(incoming)
            if work is None:
                return
            request, part = work
            self._send(peer, request, now_ms, part)

    def _awake(self, peer: int, now_ms: int) -> bool:
        return not 0 < self._silent_until_ms.get(peer, 0) - now_ms <= REST_MS  # a clock may be set back

    def _spend(self, peer: int, waited_ms: int) -> None:
        self._spent_ms[peer] += min(max(1, waited_ms), PATIENCE_MS)

    def _judge(self, peer: int, question: _Open, part: SnapshotPart, now_ms: int) -> None:
        """A source that drips would hold up the join for as long as it likes, an answer at a time."""
        waited_ms = now_ms - question.asked_at_ms
        self._spend(peer, waited_ms)
        lacking = 0 < len(part.parts) < question.request.count
        if lacking and sum(map(len, part.parts)) < LEAST_BYTES_PER_MS * waited_ms:
            self._silent_until_ms[peer] = now_ms + REST_MS

    def _check_headers(self, incoming: SnapshotImport) -> bool:
        """Whether to go on; once all headers are here, the manifest is checked against its own."""
        manifest = self._aim()
        if incoming.headers.count <= manifest.height:
            return True
        lie = ""
        if incoming.header(manifest.height) != manifest.header:
            lie = "the manifest's header is not the chain's"
        else:
            try:
                check_manifest(manifest, decode_header(manifest.header))
            except InvalidProof as refusal:
                lie = refusal.what
        if not lie:
            self._checked = True
            return True
        for peer in list(self._sources):
            self._lies(peer, lie)
        return False

    def _refill(self, incoming: SnapshotImport) -> int:
        """What is left to ask for, looked up again when all that was known has been asked for."""
        if not self._pages and not self._todo:
            self._pages.extend(incoming.missing_pages())
            if not self._pages:
                self._todo.extend(incoming.missing_buckets(BUCKETS_AT_ONCE))
                self._lacking = sum(stop - start for _, start, stop in self._todo)
        return len(self._pages) + len(self._todo)

    def _next_work(self, incoming: SnapshotImport) -> tuple[SnapshotRequest, Range | None] | None:
        height = self._aim().height
        if not self._checked:
            if any(question.request.kind is SnapshotKind.HEADERS for question in self._open.values()):
                return None
            start = incoming.headers.count
            count = min(HEADERS_AT_ONCE, height + 1 - start)
            return SnapshotRequest(height, SnapshotKind.HEADERS, 0, start, count), None
        if not self._pages and not self._todo and not self._open:
            self._refill(incoming)
        if self._pages:
            tree, number = self._pages.popleft()
            work = (tree, number * PAGE_BUCKETS, number * PAGE_BUCKETS)
            return SnapshotRequest(height, SnapshotKind.PAGE, tree, number), work
        if self._todo:
            tree, start, stop = self._todo.popleft()
            return SnapshotRequest(height, SnapshotKind.BUCKETS, tree, start, stop - start), (tree, start, stop)
        return None

    def _send(self, peer: int, request: SnapshotRequest, now_ms: int, work: Range | None = None) -> None:
        self._open[peer] = _Open(request, now_ms, work)
        self._transport.send(peer, request)

    def _take_back(self, peer: int) -> None:
        self._give_back(self._open.pop(peer))

    def _give_back(self, question: _Open) -> None:
        if question.work is None:
            return
        tree, start, stop = question.work
        if question.request.kind is SnapshotKind.PAGE:
            self._pages.appendleft((tree, question.request.start))
        elif start < stop:
            self._todo.appendleft((tree, start, stop))

    # ---- answers

    def _take(self, peer: int, question: _Open, part: SnapshotPart) -> None:
        incoming = self._incoming()
        if part.kind is SnapshotKind.MANIFEST:
            self._take_manifest(peer, part)
            return
        if not part.parts:
            if part.kind is SnapshotKind.HEADERS:  # a view may be dropped, headers stay for ever
                raise InvalidProof("no headers up to the height that it offered", where=f"height {part.start}")
            self._give_back(question)
            self._sources.discard(peer)
            return
        if part.kind is SnapshotKind.HEADERS:
            if len(part.parts) < question.request.count and sum(map(len, part.parts)) <= PART_BYTES:
                raise InvalidProof("fewer headers than a part holds", where=f"height {part.start}")
            self._take_headers(incoming, part)
        elif part.kind is SnapshotKind.PAGE:
            incoming.add_page(part.tree, part.start, part.parts[0])
        else:
            _, start, stop = question.work or (0, part.start, part.start)
            if len(part.parts) > stop - start:
                raise InvalidProof("more buckets than were asked for", where=f"bucket {start}")
            incoming.add_buckets(part.tree, part.start, part.parts)
            self._lacking = max(0, (self._lacking or 0) - len(part.parts))
            if start + len(part.parts) < stop:
                self._todo.appendleft((part.tree, start + len(part.parts), stop))

    def _take_manifest(self, peer: int, part: SnapshotPart) -> None:
        offered = decode_manifest(part.parts[0]) if part.parts else None
        if self._offers_until_ms:
            self._offers[peer] = offered
        elif offered is not None and offered == self._incoming().manifest:
            self._sources.add(peer)

    def _take_headers(self, incoming: SnapshotImport, part: SnapshotPart) -> None:
        if part.start != incoming.headers.count or len(part.parts) > HEADERS_AT_ONCE:
            raise InvalidProof("other headers than were asked for", where=f"height {part.start}")
        if part.start + len(part.parts) > self._aim().height + 1:
            raise InvalidProof("headers above the snapshot", where=f"height {part.start}")
        sets = {hash_of_encoded_set(encoded): encoded for encoded in part.validator_sets}

        def known(set_hash: bytes) -> bytes | None:
            stored = incoming.validator_set(set_hash)
            return stored or self._store.get(state_key(GOVERNANCE, set_key(set_hash)))

        previous = incoming.header(part.start - 1) or b""
        certified = check_headers(previous, part.parts, sets, known, self._store.genesis_hash, self.verify)
        named = {decode_header(raw).next_validator_set_hash for raw, _ in certified}
        incoming.add_headers(certified, {digest: sets[digest] for digest in named if digest in sets})

    def _lies(self, peer: int, what: str) -> None:
        self.liars.add(peer)
        self._sources.discard(peer)
        self._offers.pop(peer, None)
        self._alarm(PEER_LIES, {"peer": peer, "what": what})

    def _aim(self) -> Manifest:
        manifest = self._incoming().manifest
        if manifest is None:
            raise ValueError("no snapshot was chosen")
        return manifest

    def _incoming(self) -> SnapshotImport:
        if self._import is None:
            raise ValueError("no snapshot was begun")
        return self._import
