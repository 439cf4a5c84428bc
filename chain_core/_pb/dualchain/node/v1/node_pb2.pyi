from chain_core._pb.dualchain.node.v1 import refusal_pb2 as _refusal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Wait(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_UNSPECIFIED: _ClassVar[Wait]
    WAIT_ACCEPTED: _ClassVar[Wait]
    WAIT_FINAL: _ClassVar[Wait]
    WAIT_REPLICATED: _ClassVar[Wait]

class ItemStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ITEM_STATUS_UNSPECIFIED: _ClassVar[ItemStatus]
    REFUSED: _ClassVar[ItemStatus]
    ACCEPTED: _ClassVar[ItemStatus]
    REPLICATED: _ClassVar[ItemStatus]
    FINAL: _ClassVar[ItemStatus]
WAIT_UNSPECIFIED: Wait
WAIT_ACCEPTED: Wait
WAIT_FINAL: Wait
WAIT_REPLICATED: Wait
ITEM_STATUS_UNSPECIFIED: ItemStatus
REFUSED: ItemStatus
ACCEPTED: ItemStatus
REPLICATED: ItemStatus
FINAL: ItemStatus

class Scope(_message.Message):
    __slots__ = ("genesis_hash", "ledger")
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    genesis_hash: bytes
    ledger: int
    def __init__(self, genesis_hash: _Optional[bytes] = ..., ledger: _Optional[int] = ...) -> None: ...

class AnyRequest(_message.Message):
    __slots__ = ("scope",)
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ...) -> None: ...

class CertifiedHeader(_message.Message):
    __slots__ = ("header", "certificate")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    certificate: bytes
    def __init__(self, header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("scope", "envelopes", "wait", "timeout_ms")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    wait: Wait
    timeout_ms: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., envelopes: _Optional[_Iterable[bytes]] = ..., wait: _Optional[_Union[Wait, str]] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class ProvenReceipt(_message.Message):
    __slots__ = ("height", "receipt", "proof", "text_zh", "text_en")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    TEXT_ZH_FIELD_NUMBER: _ClassVar[int]
    TEXT_EN_FIELD_NUMBER: _ClassVar[int]
    height: int
    receipt: bytes
    proof: bytes
    text_zh: str
    text_en: str
    def __init__(self, height: _Optional[int] = ..., receipt: _Optional[bytes] = ..., proof: _Optional[bytes] = ..., text_zh: _Optional[str] = ..., text_en: _Optional[str] = ...) -> None: ...

class SubmitItem(_message.Message):
    __slots__ = ("status", "refusal", "receipt")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    status: ItemStatus
    refusal: _refusal_pb2.Refusal
    receipt: ProvenReceipt
    def __init__(self, status: _Optional[_Union[ItemStatus, str]] = ..., refusal: _Optional[_Union[_refusal_pb2.Refusal, _Mapping]] = ..., receipt: _Optional[_Union[ProvenReceipt, _Mapping]] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("items", "headers")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[SubmitItem]
    headers: _containers.RepeatedCompositeFieldContainer[CertifiedHeader]
    def __init__(self, items: _Optional[_Iterable[_Union[SubmitItem, _Mapping]]] = ..., headers: _Optional[_Iterable[_Union[CertifiedHeader, _Mapping]]] = ...) -> None: ...

class AccountNonce(_message.Message):
    __slots__ = ("account", "nonce")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    account: bytes
    nonce: int
    def __init__(self, account: _Optional[bytes] = ..., nonce: _Optional[int] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("scope", "transaction_id", "account_nonce")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NONCE_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    transaction_id: bytes
    account_nonce: AccountNonce
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., transaction_id: _Optional[bytes] = ..., account_nonce: _Optional[_Union[AccountNonce, _Mapping]] = ...) -> None: ...

class GetReceiptResponse(_message.Message):
    __slots__ = ("receipt", "header", "absence")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ABSENCE_FIELD_NUMBER: _ClassVar[int]
    receipt: ProvenReceipt
    header: CertifiedHeader
    absence: bytes
    def __init__(self, receipt: _Optional[_Union[ProvenReceipt, _Mapping]] = ..., header: _Optional[_Union[CertifiedHeader, _Mapping]] = ..., absence: _Optional[bytes] = ...) -> None: ...

class QueryStateRequest(_message.Message):
    __slots__ = ("scope", "keys")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StateItem(_message.Message):
    __slots__ = ("present", "value", "proof")
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    present: bool
    value: bytes
    proof: bytes
    def __init__(self, present: _Optional[bool] = ..., value: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class QueryStateResponse(_message.Message):
    __slots__ = ("header", "items")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    header: CertifiedHeader
    items: _containers.RepeatedCompositeFieldContainer[StateItem]
    def __init__(self, header: _Optional[_Union[CertifiedHeader, _Mapping]] = ..., items: _Optional[_Iterable[_Union[StateItem, _Mapping]]] = ...) -> None: ...

class ScanStateRequest(_message.Message):
    __slots__ = ("scope", "prefix", "after", "limit")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    prefix: bytes
    after: bytes
    limit: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., prefix: _Optional[bytes] = ..., after: _Optional[bytes] = ..., limit: _Optional[int] = ...) -> None: ...

class KeyValue(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    value: bytes
    def __init__(self, key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class ScanStateResponse(_message.Message):
    __slots__ = ("height", "proven", "items", "more")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    height: int
    proven: bool
    items: _containers.RepeatedCompositeFieldContainer[KeyValue]
    more: bool
    def __init__(self, height: _Optional[int] = ..., proven: _Optional[bool] = ..., items: _Optional[_Iterable[_Union[KeyValue, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class GetHeaderRequest(_message.Message):
    __slots__ = ("scope", "height", "latest")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    height: int
    latest: bool
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., height: _Optional[int] = ..., latest: _Optional[bool] = ...) -> None: ...

class GetHeaderResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: CertifiedHeader
    def __init__(self, header: _Optional[_Union[CertifiedHeader, _Mapping]] = ...) -> None: ...

class GetHeadersRequest(_message.Message):
    __slots__ = ("scope", "start", "count")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    start: int
    count: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., start: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class GetHeadersResponse(_message.Message):
    __slots__ = ("headers", "final_height")
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    FINAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    headers: _containers.RepeatedCompositeFieldContainer[CertifiedHeader]
    final_height: int
    def __init__(self, headers: _Optional[_Iterable[_Union[CertifiedHeader, _Mapping]]] = ..., final_height: _Optional[int] = ...) -> None: ...

class GetBlockRequest(_message.Message):
    __slots__ = ("scope", "height")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    height: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., height: _Optional[int] = ...) -> None: ...

class GetBlockResponse(_message.Message):
    __slots__ = ("block", "receipts")
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    block: bytes
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, block: _Optional[bytes] = ..., receipts: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetOutboxRequest(_message.Message):
    __slots__ = ("scope", "height", "start")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    height: int
    start: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., height: _Optional[int] = ..., start: _Optional[int] = ...) -> None: ...

class ProvenPacket(_message.Message):
    __slots__ = ("packet", "proof")
    PACKET_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    packet: bytes
    proof: bytes
    def __init__(self, packet: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class GetOutboxResponse(_message.Message):
    __slots__ = ("header", "packets", "more")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    header: CertifiedHeader
    packets: _containers.RepeatedCompositeFieldContainer[ProvenPacket]
    more: bool
    def __init__(self, header: _Optional[_Union[CertifiedHeader, _Mapping]] = ..., packets: _Optional[_Iterable[_Union[ProvenPacket, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class GetEventsRequest(_message.Message):
    __slots__ = ("scope", "height", "start")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    height: int
    start: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., height: _Optional[int] = ..., start: _Optional[int] = ...) -> None: ...

class GetEventsResponse(_message.Message):
    __slots__ = ("header", "events", "more")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    header: CertifiedHeader
    events: _containers.RepeatedScalarFieldContainer[bytes]
    more: bool
    def __init__(self, header: _Optional[_Union[CertifiedHeader, _Mapping]] = ..., events: _Optional[_Iterable[bytes]] = ..., more: _Optional[bool] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("scope", "from_height", "accounts", "contracts", "kinds", "transaction_ids")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    FROM_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_IDS_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    from_height: int
    accounts: _containers.RepeatedScalarFieldContainer[bytes]
    contracts: _containers.RepeatedScalarFieldContainer[str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    transaction_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., from_height: _Optional[int] = ..., accounts: _Optional[_Iterable[bytes]] = ..., contracts: _Optional[_Iterable[str]] = ..., kinds: _Optional[_Iterable[str]] = ..., transaction_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SubscribedTransaction(_message.Message):
    __slots__ = ("receipt", "events")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    receipt: ProvenReceipt
    events: bytes
    def __init__(self, receipt: _Optional[_Union[ProvenReceipt, _Mapping]] = ..., events: _Optional[bytes] = ...) -> None: ...

class SubscribeResponse(_message.Message):
    __slots__ = ("header", "transactions", "more", "resume_height")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    RESUME_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    header: CertifiedHeader
    transactions: _containers.RepeatedCompositeFieldContainer[SubscribedTransaction]
    more: bool
    resume_height: int
    def __init__(self, header: _Optional[_Union[CertifiedHeader, _Mapping]] = ..., transactions: _Optional[_Iterable[_Union[SubscribedTransaction, _Mapping]]] = ..., more: _Optional[bool] = ..., resume_height: _Optional[int] = ...) -> None: ...

class GetEquivocationsRequest(_message.Message):
    __slots__ = ("scope", "start")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    start: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., start: _Optional[int] = ...) -> None: ...

class GetEquivocationsResponse(_message.Message):
    __slots__ = ("proofs", "more")
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    proofs: _containers.RepeatedScalarFieldContainer[bytes]
    more: bool
    def __init__(self, proofs: _Optional[_Iterable[bytes]] = ..., more: _Optional[bool] = ...) -> None: ...

class HandInReopeningRequest(_message.Message):
    __slots__ = ("scope", "order")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    order: bytes
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., order: _Optional[bytes] = ...) -> None: ...

class HandInReopeningResponse(_message.Message):
    __slots__ = ("waits_for",)
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    waits_for: str
    def __init__(self, waits_for: _Optional[str] = ...) -> None: ...

class GetReopeningsRequest(_message.Message):
    __slots__ = ("scope", "start")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    start: int
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ..., start: _Optional[int] = ...) -> None: ...

class GetReopeningsResponse(_message.Message):
    __slots__ = ("height", "epoch", "attempt", "order", "statements", "waits_for", "reopenings", "more")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    REOPENINGS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    height: int
    epoch: int
    attempt: int
    order: bytes
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    waits_for: str
    reopenings: _containers.RepeatedScalarFieldContainer[bytes]
    more: bool
    def __init__(self, height: _Optional[int] = ..., epoch: _Optional[int] = ..., attempt: _Optional[int] = ..., order: _Optional[bytes] = ..., statements: _Optional[_Iterable[bytes]] = ..., waits_for: _Optional[str] = ..., reopenings: _Optional[_Iterable[bytes]] = ..., more: _Optional[bool] = ...) -> None: ...

class GetGenesisRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetGenesisResponse(_message.Message):
    __slots__ = ("genesis",)
    GENESIS_FIELD_NUMBER: _ClassVar[int]
    genesis: bytes
    def __init__(self, genesis: _Optional[bytes] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ("scope",)
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    def __init__(self, scope: _Optional[_Union[Scope, _Mapping]] = ...) -> None: ...

class LedgerStatus(_message.Message):
    __slots__ = ("ledger", "height", "epoch", "view", "validator", "halted", "not_progressing")
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    HALTED_FIELD_NUMBER: _ClassVar[int]
    NOT_PROGRESSING_FIELD_NUMBER: _ClassVar[int]
    ledger: int
    height: int
    epoch: int
    view: int
    validator: int
    halted: str
    not_progressing: str
    def __init__(self, ledger: _Optional[int] = ..., height: _Optional[int] = ..., epoch: _Optional[int] = ..., view: _Optional[int] = ..., validator: _Optional[int] = ..., halted: _Optional[str] = ..., not_progressing: _Optional[str] = ...) -> None: ...

class PeerStatus(_message.Message):
    __slots__ = ("name", "validator", "address", "connected_out", "connected_in", "final_height")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_OUT_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_IN_FIELD_NUMBER: _ClassVar[int]
    FINAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    validator: int
    address: str
    connected_out: bool
    connected_in: bool
    final_height: int
    def __init__(self, name: _Optional[str] = ..., validator: _Optional[int] = ..., address: _Optional[str] = ..., connected_out: _Optional[bool] = ..., connected_in: _Optional[bool] = ..., final_height: _Optional[int] = ...) -> None: ...

class SecurityAlarm(_message.Message):
    __slots__ = ("code", "of", "what", "next_step")
    CODE_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    NEXT_STEP_FIELD_NUMBER: _ClassVar[int]
    code: str
    of: str
    what: str
    next_step: str
    def __init__(self, code: _Optional[str] = ..., of: _Optional[str] = ..., what: _Optional[str] = ..., next_step: _Optional[str] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("summary", "not_progressing", "chain_id", "genesis_hash", "ledger", "node", "validator", "height", "epoch", "view", "view_changing", "primary", "peers", "pool_transactions", "pool_bytes", "crypto_provider", "halted", "version", "assembly", "uptime_ms", "counters", "ledgers", "activity", "security_alarms", "revocation")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    NOT_PROGRESSING_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    GENESIS_HASH_FIELD_NUMBER: _ClassVar[int]
    LEDGER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGING_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    POOL_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    POOL_BYTES_FIELD_NUMBER: _ClassVar[int]
    CRYPTO_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    HALTED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ASSEMBLY_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    LEDGERS_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    SECURITY_ALARMS_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_FIELD_NUMBER: _ClassVar[int]
    summary: str
    not_progressing: str
    chain_id: str
    genesis_hash: bytes
    ledger: int
    node: str
    validator: int
    height: int
    epoch: int
    view: int
    view_changing: bool
    primary: str
    peers: _containers.RepeatedCompositeFieldContainer[PeerStatus]
    pool_transactions: int
    pool_bytes: int
    crypto_provider: str
    halted: str
    version: str
    assembly: str
    uptime_ms: int
    counters: _containers.ScalarMap[str, int]
    ledgers: _containers.RepeatedCompositeFieldContainer[LedgerStatus]
    activity: str
    security_alarms: _containers.RepeatedCompositeFieldContainer[SecurityAlarm]
    revocation: str
    def __init__(self, summary: _Optional[str] = ..., not_progressing: _Optional[str] = ..., chain_id: _Optional[str] = ..., genesis_hash: _Optional[bytes] = ..., ledger: _Optional[int] = ..., node: _Optional[str] = ..., validator: _Optional[int] = ..., height: _Optional[int] = ..., epoch: _Optional[int] = ..., view: _Optional[int] = ..., view_changing: _Optional[bool] = ..., primary: _Optional[str] = ..., peers: _Optional[_Iterable[_Union[PeerStatus, _Mapping]]] = ..., pool_transactions: _Optional[int] = ..., pool_bytes: _Optional[int] = ..., crypto_provider: _Optional[str] = ..., halted: _Optional[str] = ..., version: _Optional[str] = ..., assembly: _Optional[str] = ..., uptime_ms: _Optional[int] = ..., counters: _Optional[_Mapping[str, int]] = ..., ledgers: _Optional[_Iterable[_Union[LedgerStatus, _Mapping]]] = ..., activity: _Optional[str] = ..., security_alarms: _Optional[_Iterable[_Union[SecurityAlarm, _Mapping]]] = ..., revocation: _Optional[str] = ...) -> None: ...
