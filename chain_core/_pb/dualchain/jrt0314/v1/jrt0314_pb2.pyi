from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NetworksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NetworkRequest(_message.Message):
    __slots__ = ("network_id",)
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    def __init__(self, network_id: _Optional[str] = ...) -> None: ...

class HeightRequest(_message.Message):
    __slots__ = ("network_id", "height")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    height: int
    def __init__(self, network_id: _Optional[str] = ..., height: _Optional[int] = ...) -> None: ...

class TxRequest(_message.Message):
    __slots__ = ("network_id", "height", "tx_id")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    height: int
    tx_id: str
    def __init__(self, network_id: _Optional[str] = ..., height: _Optional[int] = ..., tx_id: _Optional[str] = ...) -> None: ...

class ObjectRequest(_message.Message):
    __slots__ = ("network_id", "height", "object_id")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    height: int
    object_id: str
    def __init__(self, network_id: _Optional[str] = ..., height: _Optional[int] = ..., object_id: _Optional[str] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("object_id", "version", "materialised")
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MATERIALISED_FIELD_NUMBER: _ClassVar[int]
    object_id: str
    version: str
    materialised: bool
    def __init__(self, object_id: _Optional[str] = ..., version: _Optional[str] = ..., materialised: _Optional[bool] = ...) -> None: ...

class NetworkInfo(_message.Message):
    __slots__ = ("chain_id", "kind", "market", "genesis_hash", "ledger", "ledger_name", "consensus", "hash_algorithm", "signature_algorithm")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    LEDGER_NAME_FIELD_NUMBER: _ClassVar[int]
    CONSENSUS_FIELD_NUMBER: _ClassVar[int]
    HASH_ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    chain_id: str
    kind: str
    market: str
    genesis_hash: str
    ledger: int
    ledger_name: str
    consensus: str
    hash_algorithm: str
    signature_algorithm: str
    def __init__(self, chain_id: _Optional[str] = ..., kind: _Optional[str] = ..., market: _Optional[str] = ..., genesis_hash: _Optional[str] = ..., ledger: _Optional[int] = ..., ledger_name: _Optional[str] = ..., consensus: _Optional[str] = ..., hash_algorithm: _Optional[str] = ..., signature_algorithm: _Optional[str] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ("network_id", "info", "subnets")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    SUBNETS_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    info: NetworkInfo
    subnets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, network_id: _Optional[str] = ..., info: _Optional[_Union[NetworkInfo, _Mapping]] = ..., subnets: _Optional[_Iterable[str]] = ...) -> None: ...

class NetworksResponse(_message.Message):
    __slots__ = ("networks",)
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    networks: _containers.RepeatedCompositeFieldContainer[Network]
    def __init__(self, networks: _Optional[_Iterable[_Union[Network, _Mapping]]] = ...) -> None: ...

class OperationType(_message.Message):
    __slots__ = ("type", "statuses")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    type: str
    statuses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, type: _Optional[str] = ..., statuses: _Optional[_Iterable[str]] = ...) -> None: ...

class OptionsResponse(_message.Message):
    __slots__ = ("node_version", "operations")
    NODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    node_version: str
    operations: _containers.RepeatedCompositeFieldContainer[OperationType]
    def __init__(self, node_version: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[OperationType, _Mapping]]] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("height", "hash", "timestamp", "peers")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    height: int
    hash: str
    timestamp: int
    peers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, height: _Optional[int] = ..., hash: _Optional[str] = ..., timestamp: _Optional[int] = ..., peers: _Optional[_Iterable[str]] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("format", "encoded", "ledger", "epoch", "height", "attempt", "time_ms", "prev_hash", "history_root", "transaction_root", "transaction_count", "receipt_root", "receipt_count", "outbox_root", "outbox_count", "state_root", "seen_root", "validator_set_hash", "next_validator_set_hash", "params_hash")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ROOT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ROOT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_ROOT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTBOX_ROOT_FIELD_NUMBER: _ClassVar[int]
    OUTBOX_COUNT_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    SEEN_ROOT_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_SET_HASH_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATOR_SET_HASH_FIELD_NUMBER: _ClassVar[int]
    PARAMS_HASH_FIELD_NUMBER: _ClassVar[int]
    format: str
    encoded: str
    ledger: int
    epoch: int
    height: int
    attempt: int
    time_ms: int
    prev_hash: str
    history_root: str
    transaction_root: str
    transaction_count: int
    receipt_root: str
    receipt_count: int
    outbox_root: str
    outbox_count: int
    state_root: str
    seen_root: str
    validator_set_hash: str
    next_validator_set_hash: str
    params_hash: str
    def __init__(self, format: _Optional[str] = ..., encoded: _Optional[str] = ..., ledger: _Optional[int] = ..., epoch: _Optional[int] = ..., height: _Optional[int] = ..., attempt: _Optional[int] = ..., time_ms: _Optional[int] = ..., prev_hash: _Optional[str] = ..., history_root: _Optional[str] = ..., transaction_root: _Optional[str] = ..., transaction_count: _Optional[int] = ..., receipt_root: _Optional[str] = ..., receipt_count: _Optional[int] = ..., outbox_root: _Optional[str] = ..., outbox_count: _Optional[int] = ..., state_root: _Optional[str] = ..., seen_root: _Optional[str] = ..., validator_set_hash: _Optional[str] = ..., next_validator_set_hash: _Optional[str] = ..., params_hash: _Optional[str] = ...) -> None: ...

class BlockResponse(_message.Message):
    __slots__ = ("height", "hash", "prev_height", "prev_hash", "timestamp", "tx_ids", "header", "tx_leaves", "size_bytes")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PREV_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TX_IDS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TX_LEAVES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    height: int
    hash: str
    prev_height: int
    prev_hash: str
    timestamp: int
    tx_ids: _containers.RepeatedScalarFieldContainer[str]
    header: Header
    tx_leaves: _containers.RepeatedScalarFieldContainer[str]
    size_bytes: int
    def __init__(self, height: _Optional[int] = ..., hash: _Optional[str] = ..., prev_height: _Optional[int] = ..., prev_hash: _Optional[str] = ..., timestamp: _Optional[int] = ..., tx_ids: _Optional[_Iterable[str]] = ..., header: _Optional[_Union[Header, _Mapping]] = ..., tx_leaves: _Optional[_Iterable[str]] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class TxOperation(_message.Message):
    __slots__ = ("type", "result")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    type: str
    result: str
    def __init__(self, type: _Optional[str] = ..., result: _Optional[str] = ...) -> None: ...

class TxResponse(_message.Message):
    __slots__ = ("tx_id", "operations", "height", "rule", "proof")
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    tx_id: str
    operations: _containers.RepeatedCompositeFieldContainer[TxOperation]
    height: int
    rule: str
    proof: Proof
    def __init__(self, tx_id: _Optional[str] = ..., operations: _Optional[_Iterable[_Union[TxOperation, _Mapping]]] = ..., height: _Optional[int] = ..., rule: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class ValidatorKey(_message.Message):
    __slots__ = ("id", "pub_key")
    ID_FIELD_NUMBER: _ClassVar[int]
    PUB_KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    pub_key: str
    def __init__(self, id: _Optional[str] = ..., pub_key: _Optional[str] = ...) -> None: ...

class VoteSignature(_message.Message):
    __slots__ = ("id", "signature")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    signature: str
    def __init__(self, id: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class Votes(_message.Message):
    __slots__ = ("participants", "signatures", "signed_data")
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SIGNED_DATA_FIELD_NUMBER: _ClassVar[int]
    participants: _containers.RepeatedScalarFieldContainer[str]
    signatures: _containers.RepeatedCompositeFieldContainer[VoteSignature]
    signed_data: str
    def __init__(self, participants: _Optional[_Iterable[str]] = ..., signatures: _Optional[_Iterable[_Union[VoteSignature, _Mapping]]] = ..., signed_data: _Optional[str] = ...) -> None: ...

class StateResponse(_message.Message):
    __slots__ = ("height", "state_root", "tx_root", "validators", "votes", "receipt_root", "epoch", "next_validators")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    TX_ROOT_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_ROOT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NEXT_VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    height: int
    state_root: str
    tx_root: str
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorKey]
    votes: Votes
    receipt_root: str
    epoch: int
    next_validators: str
    def __init__(self, height: _Optional[int] = ..., state_root: _Optional[str] = ..., tx_root: _Optional[str] = ..., validators: _Optional[_Iterable[_Union[ValidatorKey, _Mapping]]] = ..., votes: _Optional[_Union[Votes, _Mapping]] = ..., receipt_root: _Optional[str] = ..., epoch: _Optional[int] = ..., next_validators: _Optional[str] = ...) -> None: ...

class IdsResponse(_message.Message):
    __slots__ = ("height", "object_ids")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_IDS_FIELD_NUMBER: _ClassVar[int]
    height: int
    object_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, height: _Optional[int] = ..., object_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PathStep(_message.Message):
    __slots__ = ("side", "hash")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    side: str
    hash: str
    def __init__(self, side: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("leaf", "path", "root", "record", "format")
    LEAF_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    leaf: str
    path: _containers.RepeatedCompositeFieldContainer[PathStep]
    root: str
    record: str
    format: str
    def __init__(self, leaf: _Optional[str] = ..., path: _Optional[_Iterable[_Union[PathStep, _Mapping]]] = ..., root: _Optional[str] = ..., record: _Optional[str] = ..., format: _Optional[str] = ...) -> None: ...

class ObjectItem(_message.Message):
    __slots__ = ("version", "content", "reference", "hash", "proof", "operation")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    version: int
    content: str
    reference: str
    hash: str
    proof: Proof
    operation: str
    def __init__(self, version: _Optional[int] = ..., content: _Optional[str] = ..., reference: _Optional[str] = ..., hash: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., operation: _Optional[str] = ...) -> None: ...

class ObjectResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ObjectItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ObjectItem, _Mapping]]] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("network_id", "object_id", "after", "limit", "rejected")
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    network_id: str
    object_id: str
    after: int
    limit: int
    rejected: bool
    def __init__(self, network_id: _Optional[str] = ..., object_id: _Optional[str] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ..., rejected: _Optional[bool] = ...) -> None: ...

class LogFault(_message.Message):
    __slots__ = ("path", "rule", "message")
    PATH_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    path: str
    rule: str
    message: str
    def __init__(self, path: _Optional[str] = ..., rule: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("number", "received_ms", "network_id", "height", "tx_id", "object_id", "version", "operation", "type", "hash", "result", "faults")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_MS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    received_ms: int
    network_id: str
    height: int
    tx_id: str
    object_id: str
    version: int
    operation: str
    type: str
    hash: str
    result: str
    faults: _containers.RepeatedCompositeFieldContainer[LogFault]
    def __init__(self, number: _Optional[int] = ..., received_ms: _Optional[int] = ..., network_id: _Optional[str] = ..., height: _Optional[int] = ..., tx_id: _Optional[str] = ..., object_id: _Optional[str] = ..., version: _Optional[int] = ..., operation: _Optional[str] = ..., type: _Optional[str] = ..., hash: _Optional[str] = ..., result: _Optional[str] = ..., faults: _Optional[_Iterable[_Union[LogFault, _Mapping]]] = ...) -> None: ...

class LogResponse(_message.Message):
    __slots__ = ("entries", "more", "first")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[LogEntry]
    more: bool
    first: int
    def __init__(self, entries: _Optional[_Iterable[_Union[LogEntry, _Mapping]]] = ..., more: _Optional[bool] = ..., first: _Optional[int] = ...) -> None: ...
