"""Generated protobuf messages and gRPC stubs (``make protos``); nothing in here is written by hand."""
