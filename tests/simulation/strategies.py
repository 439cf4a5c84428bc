"""All tricks of Byzantine members, in the order in which the seeds go through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from tests.simulation.byzantine import (
    BadProposer,
    Censor,
    Dies,
    Equivocator,
    FarAhead,
    Garbler,
    HugeView,
    LyingNewView,
    OtherAttempt,
    Replayer,
    SelectiveVoter,
    Silent,
    SilentPrimary,
    StaleFinal,
    Strategy,
    TwoFacedViewChange,
    Withholder,
)
from tests.simulation.forgers import (
    Bodiless,
    CertificateForger,
    Junk,
    LastWords,
    LyingServer,
    OtherEpoch,
    PreparedForger,
    ProofForger,
    ShortPrepared,
    Slow,
    StalePrepared,
    Twin,
    TwoViews,
    WrongDigest,
)
from tests.simulation.proposers import MisleadsOne, ProposesTwice
from tests.simulation.snapshots import SnapshotForger, SnapshotQuitter, WrongSnapshot

Maker = Callable[[Random, int], Strategy]
Makers = Sequence[Maker]

SNAPSHOT_LIARS: tuple[Maker, ...] = (SnapshotForger, WrongSnapshot, SnapshotQuitter)
STRATEGIES: tuple[Maker, ...] = (
    SilentPrimary,
    Slow,
    Equivocator,
    WrongDigest,
    Withholder,
    OtherEpoch,
    HugeView,
    StalePrepared,
    Replayer,
    PreparedForger,
    Garbler,
    CertificateForger,
    TwoFacedViewChange,
    ProofForger,
    LyingNewView,
    LyingServer,
    StaleFinal,
    TwoViews,
    OtherAttempt,
    Bodiless,
    SelectiveVoter,
    Junk,
    LastWords,
    ShortPrepared,
    BadProposer,
    Twin,
    FarAhead,
    Censor,
    ProposesTwice,
    MisleadsOne,
    Silent,
    Dies,
    *SNAPSHOT_LIARS,
)
