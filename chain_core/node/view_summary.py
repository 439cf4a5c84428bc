"""One log line when a view is left, one when the next one begins: who voted what, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chain_core.codec.block import decode_header
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.messages import PrePrepare
from chain_core.types.block import HeaderVote, SignedNewView, SignedVote

Tell = Callable[[str, Mapping[str, str | int]], None]
"""(event, facts) for the log."""

VIEW_LEFT = "VIEW_LEFT"
VIEW_BEGUN = "VIEW_BEGUN"
_KEPT_HEIGHTS = 256


class ViewSummary:
    """A watcher of the core. It keeps who voted at the heights in flight: at most three kinds of n names a height."""

    def __init__(self, names: Sequence[str], monotonic: Callable[[], float], tell: Tell) -> None:
        self._names, self._monotonic, self._tell = names, monotonic, tell
        self._since = monotonic()
        self._view = 0
        self._voted: dict[int, dict[str, set[int]]] = {}

    def stepped(self, event: inp.Input, now_ms: int, effects: Sequence[fx.Effect] | None) -> None:
        """One step of the core."""
        match event:
            case inp.MessageReceived(message):
                self._count(message.value)
            case inp.OwnVote(vote):
                self._count(vote)
            case inp.OwnPrePrepare(proposal):
                self._count(proposal)
            case inp.OwnHeaderVote(header_vote):
                self._count(header_vote)
            case inp.OwnNewView(message):
                self._begun(message)
            case inp.Finalised(header_bytes=header):
                final = decode_header(header).height
                self._voted = {height: votes for height, votes in self._voted.items() if height > final}
        for effect in effects or ():
            match effect:
                case fx.CastViewChange(message=change):
                    self._leave(change.new_view, decode_header(change.final_header).height)
                case fx.StoreNewView(message=new_view):
                    self._begun(new_view)

    def _count(self, message: object) -> None:
        match message:
            case SignedVote(vote=vote):
                self._add(vote.height, vote.phase.name.lower(), vote.signer)
            case PrePrepare(vote=signed):
                self._add(signed.vote.height, "pre_prepare", signed.vote.signer)
            case HeaderVote():
                self._add(message.header.height, "header", message.signer)

    def _add(self, height: int, kind: str, signer: int) -> None:
        votes = self._voted.get(height)
        if votes is None:
            if len(self._voted) >= _KEPT_HEIGHTS:
                del self._voted[max(self._voted)]  # what lies furthest ahead says least
            votes = self._voted[height] = {}
        votes.setdefault(kind, set()).add(signer)

    def _leave(self, asked: int, final: int) -> None:
        now = self._monotonic()
        facts: dict[str, str | int] = {
            "view": self._view,
            "asked": asked,
            "primary": self._names[self._view % len(self._names)],
            "after_ms": int(1_000 * (now - self._since)),
            "final_height": final,
            "votes": self._votes(final) or "none",
        }
        self._tell(VIEW_LEFT, facts)
        self._view, self._since = asked, now

    def _begun(self, message: SignedNewView) -> None:
        now = self._monotonic()
        inner = message.message
        facts: dict[str, str | int] = {
            "view": inner.view,
            "primary": self._names[inner.signer],
            "after_ms": int(1_000 * (now - self._since)),
            "asked": "; ".join(
                f"{self._names[change.message.signer]} final {decode_header(change.message.final_header).height}"
                + "".join(f" prepared {p.batch.height}" for p in change.message.prepared)
                for change in inner.view_changes
            ),
            "re_proposed": ", ".join(str(vote.vote.height) for vote in inner.pre_prepares) or "nothing",
        }
        self._tell(VIEW_BEGUN, facts)
        self._view, self._since = inner.view, now

    def _votes(self, final: int) -> str:
        """``height 12: prepare a b, commit a; height 13: ...``, in all views together."""
        shown = []
        for height in sorted(at for at in self._voted if at > final)[:8]:
            kinds = [
                f"{kind} {' '.join(self._names[i] for i in sorted(signers) if i < len(self._names))}"
                for kind, signers in self._voted[height].items()
            ]
            shown.append(f"height {height}: {', '.join(kinds)}")
        return "; ".join(shown)
