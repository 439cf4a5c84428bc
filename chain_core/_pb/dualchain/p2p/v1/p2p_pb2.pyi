from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkMessage(_message.Message):
    __slots__ = ("hello", "frames")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    frames: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., frames: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("genesis_hash", "ledger", "protocol_version", "node")
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    genesis_hash: bytes
    ledger: int
    protocol_version: int
    node: str
    def __init__(self, genesis_hash: _Optional[bytes] = ..., ledger: _Optional[int] = ..., protocol_version: _Optional[int] = ..., node: _Optional[str] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("pre_prepare", "vote", "header_vote", "view_change", "new_view", "finality_notice", "heartbeat", "envelopes", "want_envelopes", "want_blocks", "blocks", "commit_proof", "statement", "snapshot_request", "snapshot_part", "pruned", "want_votes", "held_votes", "keep_bodies", "bodies_kept")
    PRE_PREPARE_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    HEADER_VOTE_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    NEW_VIEW_FIELD_NUMBER: _ClassVar[int]
    FINALITY_NOTICE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    WANT_ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    WANT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_PROOF_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_PART_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    WANT_VOTES_FIELD_NUMBER: _ClassVar[int]
    HELD_VOTES_FIELD_NUMBER: _ClassVar[int]
    KEEP_BODIES_FIELD_NUMBER: _ClassVar[int]
    BODIES_KEPT_FIELD_NUMBER: _ClassVar[int]
    pre_prepare: PrePrepare
    vote: bytes
    header_vote: bytes
    view_change: bytes
    new_view: bytes
    finality_notice: FinalityNotice
    heartbeat: Heartbeat
    envelopes: Envelopes
    want_envelopes: WantEnvelopes
    want_blocks: WantBlocks
    blocks: Blocks
    commit_proof: CommitProof
    statement: bytes
    snapshot_request: SnapshotRequest
    snapshot_part: SnapshotPart
    pruned: Pruned
    want_votes: WantVotes
    held_votes: HeldVotes
    keep_bodies: KeepBodies
    bodies_kept: BodiesKept
    def __init__(self, pre_prepare: _Optional[_Union[PrePrepare, _Mapping]] = ..., vote: _Optional[bytes] = ..., header_vote: _Optional[bytes] = ..., view_change: _Optional[bytes] = ..., new_view: _Optional[bytes] = ..., finality_notice: _Optional[_Union[FinalityNotice, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., envelopes: _Optional[_Union[Envelopes, _Mapping]] = ..., want_envelopes: _Optional[_Union[WantEnvelopes, _Mapping]] = ..., want_blocks: _Optional[_Union[WantBlocks, _Mapping]] = ..., blocks: _Optional[_Union[Blocks, _Mapping]] = ..., commit_proof: _Optional[_Union[CommitProof, _Mapping]] = ..., statement: _Optional[bytes] = ..., snapshot_request: _Optional[_Union[SnapshotRequest, _Mapping]] = ..., snapshot_part: _Optional[_Union[SnapshotPart, _Mapping]] = ..., pruned: _Optional[_Union[Pruned, _Mapping]] = ..., want_votes: _Optional[_Union[WantVotes, _Mapping]] = ..., held_votes: _Optional[_Union[HeldVotes, _Mapping]] = ..., keep_bodies: _Optional[_Union[KeepBodies, _Mapping]] = ..., bodies_kept: _Optional[_Union[BodiesKept, _Mapping]] = ...) -> None: ...

class PrePrepare(_message.Message):
    __slots__ = ("vote", "batch")
    VOTE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    vote: bytes
    batch: bytes
    def __init__(self, vote: _Optional[bytes] = ..., batch: _Optional[bytes] = ...) -> None: ...

class CommitProof(_message.Message):
    __slots__ = ("batch", "commits")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    batch: bytes
    commits: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, batch: _Optional[bytes] = ..., commits: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FinalityNotice(_message.Message):
    __slots__ = ("header", "certificate")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    certificate: bytes
    def __init__(self, header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("sender", "final_height", "epoch", "view", "view_changing")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    FINAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGING_FIELD_NUMBER: _ClassVar[int]
    sender: int
    final_height: int
    epoch: int
    view: int
    view_changing: bool
    def __init__(self, sender: _Optional[int] = ..., final_height: _Optional[int] = ..., epoch: _Optional[int] = ..., view: _Optional[int] = ..., view_changing: _Optional[bool] = ...) -> None: ...

class Envelopes(_message.Message):
    __slots__ = ("envelopes",)
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, envelopes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WantEnvelopes(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WantBlocks(_message.Message):
    __slots__ = ("start", "count")
    START_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    start: int
    count: int
    def __init__(self, start: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Blocks(_message.Message):
    __slots__ = ("blocks",)
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, blocks: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WantVotes(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class HeldVotes(_message.Message):
    __slots__ = ("nonce", "final_header", "final_certificate", "votes", "header_votes", "view_change", "statements")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    FINAL_HEADER_FIELD_NUMBER: _ClassVar[int]
    FINAL_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    HEADER_VOTES_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    final_header: bytes
    final_certificate: bytes
    votes: _containers.RepeatedScalarFieldContainer[bytes]
    header_votes: _containers.RepeatedScalarFieldContainer[bytes]
    view_change: bytes
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, nonce: _Optional[bytes] = ..., final_header: _Optional[bytes] = ..., final_certificate: _Optional[bytes] = ..., votes: _Optional[_Iterable[bytes]] = ..., header_votes: _Optional[_Iterable[bytes]] = ..., view_change: _Optional[bytes] = ..., statements: _Optional[_Iterable[bytes]] = ...) -> None: ...

class KeepBodies(_message.Message):
    __slots__ = ("nonce", "ids")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, nonce: _Optional[bytes] = ..., ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class BodiesKept(_message.Message):
    __slots__ = ("nonce", "ids")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, nonce: _Optional[bytes] = ..., ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("height", "kind", "tree", "start", "count")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    height: int
    kind: int
    tree: int
    start: int
    count: int
    def __init__(self, height: _Optional[int] = ..., kind: _Optional[int] = ..., tree: _Optional[int] = ..., start: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class SnapshotPart(_message.Message):
    __slots__ = ("height", "kind", "tree", "start", "parts", "validator_sets")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_SETS_FIELD_NUMBER: _ClassVar[int]
    height: int
    kind: int
    tree: int
    start: int
    parts: _containers.RepeatedScalarFieldContainer[bytes]
    validator_sets: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, height: _Optional[int] = ..., kind: _Optional[int] = ..., tree: _Optional[int] = ..., start: _Optional[int] = ..., parts: _Optional[_Iterable[bytes]] = ..., validator_sets: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Pruned(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...
