from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class FetchRequest(_message.Message):
    __slots__ = ("object", "reader", "not_below")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    NOT_BELOW_FIELD_NUMBER: _ClassVar[int]
    object: bytes
    reader: bytes
    not_below: int
    def __init__(self, object: _Optional[bytes] = ..., reader: _Optional[bytes] = ..., not_below: _Optional[int] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("version", "wrap", "sealed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WRAP_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    version: int
    wrap: bytes
    sealed: bytes
    def __init__(self, version: _Optional[int] = ..., wrap: _Optional[bytes] = ..., sealed: _Optional[bytes] = ...) -> None: ...
