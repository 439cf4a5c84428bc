from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallRequest(_message.Message):
    __slots__ = ("call", "signature", "request")
    CALL_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    call: bytes
    signature: bytes
    request: bytes
    def __init__(self, call: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., request: _Optional[bytes] = ...) -> None: ...

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
    __slots__ = ("answer", "record")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    answer: ServiceReply
    record: RecordReceipt
    def __init__(self, answer: _Optional[_Union[ServiceReply, _Mapping]] = ..., record: _Optional[_Union[RecordReceipt, _Mapping]] = ...) -> None: ...

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
