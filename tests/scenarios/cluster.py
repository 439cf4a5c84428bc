"""A cluster of pure cores for scenario scripts: messages wait in a queue until the script lets them go.

Commands (one a line; ``key=value`` filters take comma-separated values):

``cluster N [window= block=]``       N fresh replicas; heights in flight (1), ids a block holds (100)
``poison R... index=``               executing the id at this index breaks R's engine
``diverge R... as=NAME``               R's build leads to another header; ``as=`` alone: to the right one again
``order R... [attempt= reason=]``    operators of R hand in an order to reopen the height above the final one
``work R names...``                  bodies wait at replica R
``deliver [kind= from= to= height=]``  let waiting messages arrive, and those that follow from them, until quiet
``drop [kind= from= to=]``           lose waiting messages
``waiting``                          what waits, counted
``timeout R...`` / ``resend R...``   a timer ends
``clock +MS``                        time passes on all clocks
``restart R...``                     a new core over the same log; what it had not sent is lost
``catch-up R``                       R executes and commits the certified blocks it lacks
``forge R view=V``                   R (a liar) sends a VIEW-CHANGE for view V with nothing prepared
``status``                           where everybody stands
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import assert_never

from chain_core.codec.block import decode_header
from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Finalised, Started, Timer
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.crypto.hashing import sm3
from chain_core.types.block import Batch, HeaderVote, Phase, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.reopening import SignedStatement
from tests.unit.consensus.bench import PARAMETERS, Bench, digest_of, reopen_order, view_change

KINDS = (
    "pre-prepare",
    "prepare",
    "commit",
    "proof",
    "header",
    "statement",
    "view-change",
    "new-view",
    "notice",
    "heartbeat",
)


def kind_of(message: Message) -> str:
    match message:
        case PrePrepare():
            return "pre-prepare"
        case SignedVote():
            return "commit" if message.vote.phase is Phase.COMMIT else "prepare"
        case CommitProof():
            return "proof"
        case HeaderVote():
            return "header"
        case SignedStatement():
            return "statement"
        case SignedViewChange():
            return "view-change"
        case SignedNewView():
            return "new-view"
        case FinalityNotice():
            return "notice"
        case Heartbeat():
            return "heartbeat"
        case _:
            assert_never(message)


def height_of(message: Message) -> int:
    """0 for what is of no height."""
    match message:
        case PrePrepare(vote=vote):
            return vote.vote.height
        case SignedVote():
            return message.vote.height
        case HeaderVote():
            return message.header.height
        case SignedStatement():
            return message.statement.height
        case _:
            return 0


class Cluster:
    """Runs one script; each command answers with the lines that belong below it."""

    def __init__(self) -> None:
        self.benches: list[Bench] = []
        self.queue: list[tuple[int, int, Message]] = []
        self.names: dict[bytes, str] = {}
        self.blocks: dict[int, Finalised] = {}
        self.lines: list[str] = []

    def run(self, command: str) -> list[str]:
        self.lines = []
        verb, *words = command.split()
        filters = {key: value.split(",") for key, _, value in (w.partition("=") for w in words if "=" in w)}
        plain = [w for w in words if "=" not in w]
        getattr(self, "do_" + verb.replace("-", "_"))(plain, filters)
        return self.lines or ["nothing"]

    # -- commands

    def do_cluster(self, words: list[str], filters: dict[str, list[str]]) -> None:
        window, block = (int(filters.get(key, [default])[0]) for key, default in (("window", "1"), ("block", "100")))
        parameters = replace(PARAMETERS, window_heights=window, max_block_transactions=block)
        self.benches = [Bench(i, int(words[0]), parameters=parameters) for i in range(int(words[0]))]
        for index, bench in enumerate(self.benches):
            self._did(index, bench.do(Started()))
        self.queue.clear()
        q = self.benches[0].core.state.config.validators.q
        self.lines = [f"{len(self.benches)} replicas, quorum {q}"]

    def do_work(self, words: list[str], _: dict[str, list[str]]) -> None:
        index, names = int(words[0]), words[1:]
        self.names.update({sm3(name.encode()): name for name in names})
        self._did(index, self.benches[index].work(*names))

    def do_deliver(self, _: list[str], filters: dict[str, list[str]]) -> None:
        while chosen := [entry for entry in self.queue if self._passes(entry, filters)]:
            self.queue = [entry for entry in self.queue if not self._passes(entry, filters)]
            for _, to, message in chosen:
                self._did(to, self.benches[to].hear(message))

    def do_drop(self, _: list[str], filters: dict[str, list[str]]) -> None:
        lost = [entry for entry in self.queue if self._passes(entry, filters)]
        self.queue = [entry for entry in self.queue if not self._passes(entry, filters)]
        self.lines.append(f"{len(lost)} messages lost")

    def do_waiting(self, _: list[str], filters: dict[str, list[str]]) -> None:
        counted = Counter(
            kind_of(message) for entry in self.queue if self._passes(entry, filters) for message in [entry[2]]
        )
        self.lines.extend(f"{counted[kind]} {kind}" for kind in KINDS if counted[kind])

    def do_timeout(self, words: list[str], _: dict[str, list[str]]) -> None:
        for index in map(int, words):
            self._did(index, self.benches[index].fire(Timer.ORDER))

    def do_resend(self, words: list[str], _: dict[str, list[str]]) -> None:
        for index in map(int, words):
            self._did(index, self.benches[index].fire(Timer.RESEND))

    def do_poison(self, words: list[str], filters: dict[str, list[str]]) -> None:
        for index in map(int, words):
            self.benches[index].poison = set(map(int, filters["index"]))
        self.lines.append(f"index {filters['index'][0]} breaks the engine of {', '.join(words)}")

    def do_diverge(self, words: list[str], filters: dict[str, list[str]]) -> None:
        for index in map(int, words):
            self.benches[index].salt = filters["as"][0].encode()
        self.lines.append(f"build {filters['as'][0] or 'as released'}: {', '.join(words)}")

    def do_order(self, words: list[str], filters: dict[str, list[str]]) -> None:
        attempt, reason = int(filters.get("attempt", ["0"])[0]), filters.get("reason", ["faulty"])[0]
        for index in map(int, words):
            order = reopen_order(self.benches[index].core.state.slot.height, attempt, reason)
            self._did(index, self.benches[index].ordered(order))

    def do_clock(self, words: list[str], _: dict[str, list[str]]) -> None:
        for bench in self.benches:
            bench.now_ms += int(words[0])
        self.lines.append(f"{words[0]} ms")

    def do_restart(self, words: list[str], _: dict[str, list[str]]) -> None:
        for index in map(int, words):
            before = self.benches[index]
            bench = self.benches[index] = before.restart()
            bench.now_ms, bench.salt = before.now_ms, before.salt
            self.lines.append(f"{index} restarts")
            self._did(index, bench.do(Started()))

    def do_catch_up(self, words: list[str], _: dict[str, list[str]]) -> None:
        index = int(words[0])
        bench = self.benches[index]
        while (block := self.blocks.get(bench.core.state.slot.height)) is not None:
            self.lines.append(f"{index} commits the certified block of h{bench.core.state.slot.height}")
            self._did(index, bench.do(block))

    def do_forge(self, words: list[str], filters: dict[str, list[str]]) -> None:
        liar = int(words[0])
        message = view_change(liar, int(filters["view"][0]))
        self.queue.extend((liar, to, message) for to in range(len(self.benches)) if to != liar)
        self.lines.append(f"{liar} sends a VIEW-CHANGE for v{filters['view'][0]}")

    def do_status(self, _: list[str], __: dict[str, list[str]]) -> None:
        for index, bench in enumerate(self.benches):
            state = bench.core.state
            asks = " (asked for)" if state.view_changing else ""
            ordered = " ordered" if state.slot.committed else ""
            ordered += f", attempt {state.slot.attempt}" if state.slot.attempt else ""
            ordered += ", halted" if state.halted else ""
            self.lines.append(f"{index}: final h{state.final_height}, view {state.view}{asks}{ordered}")

    # -- inside

    def _passes(self, entry: tuple[int, int, Message], filters: dict[str, list[str]]) -> bool:
        sender, to, message = entry
        found = {"kind": kind_of(message), "from": str(sender), "to": str(to), "height": str(height_of(message))}
        return all(found[key] in values for key, values in filters.items())

    def _did(self, index: int, effects: list[fx.Effect]) -> None:
        bench = self.benches[index]
        self.lines.extend(f"{index} {line}" for line in map(self._line, effects) if line)
        for effect in effects:
            if isinstance(effect, fx.Finalise):
                from chain_core.codec.block import encode_certificate

                height = decode_header(effect.header_bytes).height
                self.blocks[height] = Finalised(effect.header_bytes, encode_certificate(effect.certificate))
        for to, message in bench.posted:
            receivers = range(len(self.benches)) if to is None else (to,)
            self.queue.extend((index, receiver, message) for receiver in receivers if receiver != index)
        bench.posted.clear()

    def _line(self, effect: fx.Effect) -> str:
        match effect:
            case fx.CastPrePrepare(vote, batch):
                return f"proposes {self._batch(batch)} at h{vote.height} v{vote.view}"
            case fx.CastPrepare(vote, accepted):
                return f"PREPARE {self._batch(accepted.batch)} h{vote.height} v{vote.view}"
            case fx.CastCommit(vote, prepared):
                signers = [prepared.pre_prepare.vote.signer, *(p.vote.signer for p in prepared.prepares)]
                return f"COMMIT {self._batch(prepared.batch)} h{vote.height} v{vote.view}, prepared by {signers}"
            case fx.CastStatement() | fx.StoreReopening() | fx.Resume():
                return self._reopening_line(effect)
            case fx.Execute() | fx.CastSkip() | fx.CastHeaderVote():
                return self._execution_line(effect)
            case fx.Finalise(header, certificate):
                signers = [i for i, _ in certificate.signatures]
                return f"FINAL h{decode_header(header).height}, certified by {signers}"
            case fx.CastViewChange(message):
                shown = "".join(
                    f", shows {self._batch(p.batch)} prepared in v{p.pre_prepare.vote.view}" for p in message.prepared
                )
                return f"VIEW-CHANGE to v{message.new_view}{shown}"
            case fx.CastNewView(message, re_proposals):
                again = "".join(f", re-proposes {self._batch(batch)}" for _, batch in re_proposals)
                return f"NEW-VIEW v{message.view} from {[m.message.signer for m in message.view_changes]}{again}"
            case fx.StoreNewView(message):
                return f"enters v{message.message.view}"
            case fx.FetchBlocks(start, end, sources):
                return f"fetches h{start}..h{end} from {list(sources)}"
            case fx.ReleaseBatch(batch):
                return f"releases {self._batch(batch)}"
            case fx.SetTimer(timer, after_ms) if timer is Timer.ORDER:
                return f"waits {after_ms} ms"
            case fx.Alarm(code, _) | fx.Halt(code, _):
                return code
            case _:
                return ""

    def _reopening_line(self, effect: fx.CastStatement | fx.StoreReopening | fx.Resume) -> str:
        match effect:
            case fx.CastStatement(order):
                return f"STATEMENT on h{order.order.height}, attempt {order.order.attempt}"
            case fx.StoreReopening(made):
                return f"keeps the statements of {[one.statement.signer for one in made.statements]}"
            case fx.Resume(height):
                return f"goes on with h{height}"
            case _:
                assert_never(effect)

    def _execution_line(self, effect: fx.Execute | fx.CastSkip | fx.CastHeaderVote) -> str:
        match effect:
            case fx.Execute(batch, _, attempt, skipped):
                without = f" without {list(skipped)}" if skipped else ""
                again = f", attempt {attempt}{without}" if attempt else ""
                return f"executes {self._batch(batch)} at h{batch.height}{again}"
            case fx.CastSkip(vote):
                return f"SKIP index {vote.view} of h{vote.height}, attempt {vote.attempt}"
            case fx.CastHeaderVote(header):
                decoded = decode_header(header)
                at = f", attempt {decoded.attempt}" if decoded.attempt else ""
                return f"signs the header of h{decoded.height}{at}"
            case _:
                assert_never(effect)

    def _batch(self, batch: Batch) -> str:
        if not batch.envelope_ids:
            return "{}"
        names = ",".join(self.names.get(i, i.hex()[:6]) for i in batch.envelope_ids)
        assert digest_of(batch)
        return "{" + names + "}"
