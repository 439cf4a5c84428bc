from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallRequest(_message.Message):
    __slots__ = ("call", "signature", "request", "deadline_ms")
    CALL_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    call: bytes
    signature: bytes
    request: bytes
    deadline_ms: int
    def __init__(self, call: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., request: _Optional[bytes] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class ServiceReply(_message.Message):
    __slots__ = ("reply", "signature", "response")
    REPLY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    reply: bytes
    signature: bytes
    response: bytes
    def __init__(self, reply: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., response: _Optional[bytes] = ...) -> None: ...

class CallResponse(_message.Message):
    __slots__ = ("answer", "record", "promise")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PROMISE_FIELD_NUMBER: _ClassVar[int]
    answer: ServiceReply
    record: RecordReceipt
    promise: RecordPromise
    def __init__(self, answer: _Optional[_Union[ServiceReply, _Mapping]] = ..., record: _Optional[_Union[RecordReceipt, _Mapping]] = ..., promise: _Optional[_Union[RecordPromise, _Mapping]] = ...) -> None: ...

class CallPiece(_message.Message):
    __slots__ = ("piece", "end")
    PIECE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    piece: bytes
    end: CallResponse
    def __init__(self, piece: _Optional[bytes] = ..., end: _Optional[_Union[CallResponse, _Mapping]] = ...) -> None: ...

class RecordPromise(_message.Message):
    __slots__ = ("record", "promise", "signature")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PROMISE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    record: bytes
    promise: bytes
    signature: bytes
    def __init__(self, record: _Optional[bytes] = ..., promise: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class RecordsRequest(_message.Message):
    __slots__ = ("service", "consumer", "call_id", "batch", "first")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    CALL_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    service: bytes
    consumer: bytes
    call_id: int
    batch: int
    first: int
    def __init__(self, service: _Optional[bytes] = ..., consumer: _Optional[bytes] = ..., call_id: _Optional[int] = ..., batch: _Optional[int] = ..., first: _Optional[int] = ...) -> None: ...

class RecordsResponse(_message.Message):
    __slots__ = ("batch", "height", "count", "rows", "records", "gateway")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    batch: int
    height: int
    count: int
    rows: bytes
    records: _containers.RepeatedCompositeFieldContainer[BatchedRecord]
    gateway: bytes
    def __init__(self, batch: _Optional[int] = ..., height: _Optional[int] = ..., count: _Optional[int] = ..., rows: _Optional[bytes] = ..., records: _Optional[_Iterable[_Union[BatchedRecord, _Mapping]]] = ..., gateway: _Optional[bytes] = ...) -> None: ...

class BatchedRecord(_message.Message):
    __slots__ = ("record", "index", "path")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    record: bytes
    index: int
    path: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, record: _Optional[bytes] = ..., index: _Optional[int] = ..., path: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RecordReceipt(_message.Message):
    __slots__ = ("transaction_id", "height", "receipt", "proof", "header", "certificate")
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: bytes
    height: int
    receipt: bytes
    proof: bytes
    header: bytes
    certificate: bytes
    def __init__(self, transaction_id: _Optional[bytes] = ..., height: _Optional[int] = ..., receipt: _Optional[bytes] = ..., proof: _Optional[bytes] = ..., header: _Optional[bytes] = ..., certificate: _Optional[bytes] = ...) -> None: ...
